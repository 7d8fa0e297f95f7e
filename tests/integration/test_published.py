"""Segments that a plugin publishes: read by all, written by none, whatever a reader tries."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.bed.published import CODE, FATAL, FIND, HONEST, READ, REFUSED, SEEN, SIZE, TRY
from tests.integration.host_bed import Answer, Host, plugin, running


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    # Longer than anything takes on a busy machine.
    patient: dict[str, Any] = {"call_timeout_milliseconds": 30_000}
    with running(
        folder,
        plugin(folder, "source", CODE, "Obedient", published_bytes=1 << 20, **patient),
        plugin(folder, "reader", CODE, "Obedient", "PerContext", max_contexts=64, **patient),
        plugin(folder, "other", CODE, "Obedient", **patient),
    ) as host:
        yield host


def run(host: Host, plugin: str, code: str, context: str | None = None) -> Answer:
    return host.call("run", {"code": textwrap.dedent(code)}, context, plugin)


def out(host: Host, plugin: str, code: str, context: str | None = None) -> str:
    answer = run(host, plugin, code, context)
    assert answer.status == 200, answer.body
    return str(answer.json)


@pytest.fixture
def published(host: Host) -> Iterator[None]:
    """Publish; check at the end that whatever was tried changed nothing for anybody else."""
    out(host, "source", HONEST)
    yield
    assert out(host, "other", READ) == SEEN
    assert out(host, "source", READ) == SEEN


@pytest.mark.usefixtures("published")
def test_what_one_plugin_publishes_all_read_and_its_context_need_not_last(host: Host) -> None:
    for reader in ("source", "reader", "other"):
        assert out(host, reader, READ) == SEEN
    assert out(host, "reader", "out = self.published('source', 'nothing')") == "None"
    assert out(host, "reader", "out = self.published('nobody', 'prices')") == "None"


def test_a_later_one_takes_its_place_and_a_running_call_keeps_what_it_has(host: Host) -> None:
    out(host, "source", "self.publish('day', b'one')")
    waiting = """
        import time
        view = self.published('source', 'day')
        time.sleep(0.5)
        out = bytes(view), bytes(self.published('source', 'day'))
    """
    with ThreadPoolExecutor(1) as pool:
        running_call = pool.submit(out, host, "other", waiting, "a")
        host.until(lambda: host.metric("inflight_calls", plugin="other") == 1)
        out(host, "source", "self.publish('day', b'two')")
        assert out(host, "reader", "out = bytes(self.published('source', 'day'))") == "b'two'"
        assert running_call.result() in {"(b'one', b'one')", "(b'two', b'two')"}
    assert out(host, "other", "out = bytes(self.published('source', 'day'))", "a") == "b'two'"
    out(host, "source", "self.publish('day', b'')")
    assert out(host, "other", "out = self.published('source', 'day')", "a") == "None"


@pytest.mark.parametrize(
    ("who", "code", "says"),
    [
        ("source", "self.publish('big', bytes(1 << 21))", "limits.publishedBytes"),
        ("source", "self.publish('../x', b'x')", "must be 1 to 63"),
        ("other", "self.publish('x', b'x')", "limits.publishedBytes is not set"),
    ],
)
def test_what_cannot_be_published_says_why(host: Host, who: str, code: str, says: str) -> None:
    refused = run(host, who, code)
    assert (refused.status, refused.json["exception"]) == (500, "SharingError")
    assert says in refused.json["detail"]


def test_on_exit_cannot_ask_the_host(host: Host) -> None:
    out(host, "source", "pass")
    host.until(lambda: host.said("on_exit: SharingError"))


def test_a_time_out_never_comes_between_a_question_and_its_answer(host: Host) -> None:
    asking = {
        "code": "while True:\n    self.publish('busy', b'x' * 70_000)\n"
        "    self.published('source', 'busy')"
    }
    for milliseconds in range(20, 60):
        late = host.call("run", asking, "timed", "source", Sandbox_Timeout_Ms=str(milliseconds))
        assert late.status == 504
    assert out(host, "source", "out = bytes(self.published('source', 'busy')[:1])") == "b'x'"
    # A worker that had read one answer for another would have broken.
    for cause in ("Exit", "Protocol"):
        assert host.metric("worker_exits_total", plugin="source", cause=cause) == 0


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("attempt", REFUSED)
def test_a_reader_is_refused_to(host: Host, attempt: str) -> None:
    code, error = REFUSED[attempt]
    assert out(host, "reader", FIND + TRY.format(attempt=code)) == error


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("attempt", FATAL)
def test_alone_dies_who(host: Host, attempt: str) -> None:
    neighbour = out(host, "reader", "self.kept = 1; out = self.kept", "neighbour")
    died = run(host, "reader", FIND + FATAL[attempt])
    assert died.status == 502
    assert "SIGSEGV" in died.json["detail"]
    assert out(host, "reader", "out = self.kept", "neighbour") == neighbour


def test_a_publisher_cannot_change_what_it_published(host: Host) -> None:
    keeping = f"""
        import mmap
        import pluginsandbox.host.worker_shelf as shelf
        kept = []

        def fill(descriptor, payload):
            kept.append(mmap.mmap(descriptor, len(payload)))
            kept[0][:] = payload

        shelf.segments.fill = fill
        self.publish('prices', b'honest' * {SIZE})
        kept[0][:4] = b'evil'
    """
    died = run(host, "source", keeping)
    assert died.status == 502
    assert "SIGBUS" in died.json["detail"]  # what it had filled is empty now
    assert out(host, "other", READ) == SEEN


def test_a_view_kept_beyond_its_call_is_no_memory_once_it_is_replaced(host: Host) -> None:
    out(host, "source", HONEST)
    ended = "self.kept = self.published('source', 'prices'); out = len(self.kept)"
    out(host, "reader", ended, "keeper")
    released = run(host, "reader", "out = self.kept[0]", "keeper")
    assert (released.status, released.json["exception"]) == (500, "ValueError")
    out(host, "reader", "self.kept = self.published('source', 'prices')[:]", "keeper")
    assert out(host, "reader", "out = bytes(self.kept[:6])", "keeper") == "b'honest'"
    out(host, "source", HONEST.replace("honest", "better"))
    died = run(host, "reader", "out = bytes(self.kept[:6])", "keeper")
    assert died.status == 502
    assert "SIGBUS" in died.json["detail"]
    assert out(host, "other", READ) == SEEN.replace("honest", "better")


FORGED = {
    "fills what it did not publish": "channel.send(Filled(channel.call))",
    "publishes for no call": "channel.send(Publish(channel.call + 1, 'x', 5))",
    "publishes twice at once": "[channel.send(Publish(channel.call, 'x', 5)) for _ in '12']",
    "borrows for no call": "channel.send(Borrow(0, 'source', 'prices'))",
    "does not listen": ("while True:\n    channel.send(Borrow(channel.call, 'source', 'prices'))"),
}


@pytest.mark.parametrize("forged", FORGED)
def test_the_host_ends_a_worker_that(host: Host, forged: str) -> None:
    out(host, "source", HONEST)
    labels = {"plugin": "source", "cause": "Protocol"}
    before = host.metric("worker_exits_total", **labels)
    code = """
        import time
        from pluginsandbox.host.frames import Borrow, Filled, Publish
        channel = self._shelf._channel
    """
    died = run(host, "source", textwrap.dedent(code) + FORGED[forged] + "\ntime.sleep(5)")
    assert died.status == 502
    assert host.metric("worker_exits_total", **labels) == before + 1
    assert out(host, "other", READ) == SEEN


def test_publishing_leaves_no_descriptor_behind(host: Host) -> None:
    def held() -> int:
        count = 0
        for link in Path(f"/proc/{host.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                count += "memfd" in str(link.readlink())
        return count

    out(host, "source", "for n in range(8): self.publish(f'n{n}', b'x')")
    before = held()
    publish = "self.publish(f'n{n % 8}', bytes(n + 1))"
    out(host, "source", f"for n in range(200): {publish}; self.published('source', 'n1')")
    host.until(lambda: held() == before)
    out(host, "source", "for n in range(8): self.publish(f'n{n}', b'')")
    host.until(lambda: held() == before - 2 * 8)
