"""`pluginsandbox call` sends what the user typed, as the user would expect."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluginsandbox import cli, cli_call


class Recorder(http.server.BaseHTTPRequestHandler):
    """Answers every call and keeps the last one."""

    seen: ClassVar[dict[str, object]] = {}
    status: ClassVar[int] = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).seen = {"path": self.path, "body": json.loads(body), **dict(self.headers)}
        answer = b'{"ok":true}'
        self.send_response(type(self).status)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Server-Timing", "queue;dur=0.1")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Stay silent."""


@pytest.fixture
def url() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Recorder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_call_carries_plugin_function_context_and_typed_arguments(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["call", "inventory-check", "reserve", "--context", "shanghai-1", "--url", url]
    assert cli.main([*words, "sku=A-100", "quantity=2"]) == 0
    assert Recorder.seen["path"] == "/v1/plugins/inventory-check/functions/reserve"
    assert Recorder.seen["body"] == {"sku": "A-100", "quantity": 2}
    assert Recorder.seen["Sandbox-Context"] == "shanghai-1"
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"ok": True}
    assert "queue;dur=0.1" in printed.err


def test_an_error_answer_gives_exit_status_1_and_an_empty_standard_output(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorder, "status", 404)
    assert cli.main(["call", "p", "f", "--url", url]) == 1
    assert capsys.readouterr().out == ""


def test_nobody_listening_is_said_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["call", "p", "f", "--url", "http://127.0.0.1:9"]) == 1
    assert "pluginsandbox run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["quantity"], "must be name=value"),
        (["=2"], "must be name=value"),
        (["a=1", "a=2"], "given twice"),
        (["--json", "[1]"], "JSON object"),
        (["--json", "{"], "JSON object"),
        (["--json", "{}", "a=1"], "not both"),
        (["--url", "ftp://x"], "must look like"),
    ],
)
def test_wrong_usage_is_explained(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["call", "p", "f", *words]) == 2
    assert says in capsys.readouterr().err


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(max_size=20)))
def test_quoted_text_arrives_as_the_same_text(values: dict[str, str]) -> None:
    words = [f"{name}={json.dumps(value)}" for name, value in values.items()]
    assert cli_call.arguments(words, None) == values
