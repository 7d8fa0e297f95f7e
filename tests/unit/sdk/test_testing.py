"""The harness that authors use."""

from __future__ import annotations

import signal

import pytest

from pluginsandbox.sdk import CallTimeout, Plugin, SharingError, function, slot
from pluginsandbox.sdk.errors import ArgumentsError, DurableError, LoadError, RestoreError
from pluginsandbox.sdk.testing import SecretValue, harness
from tests.unit.sdk.samples import Item, Sample


class Vault(Plugin):
    opened = slot(int, default=0)

    def on_exit(self, cause: str) -> None:
        if cause == "Crashed":
            raise RuntimeError("still open")

    @function
    def open(self, name: str, key: str | None = None) -> str:
        self.opened.set(self.opened.get() + 1)
        return self.secret(name, key).decode() + str(self.opened.get())


def test_contexts_of_one_harness_keep_their_state_apart() -> None:
    both = harness(Sample)
    with both.context("a") as a, both.context("b", tenant="t", generation=2) as b:
        assert [a.call("add"), a.call("add"), b.call("add", by=5)] == [1, 2, 5]
        assert b.plugin.context == ("b", "t", 2)
    with both.context("a") as again:
        assert again.call("add") == 1


def test_results_are_what_a_caller_sees_and_arguments_may_be_structs() -> None:
    with harness(Sample).context() as c:
        assert c.call("keep", item=Item("a")) == [{"sku": "a", "quantity": 1}]


def test_the_plugins_own_exception_comes_out() -> None:
    with harness(Sample).context() as c:
        with pytest.raises(ValueError, match=r"^so$"):
            c.call("fail", kind="so")
        with pytest.raises(ArgumentsError, match="by: must be int"):
            c.call("add", by="x")
        with pytest.raises(LookupError, match="no function 'ad'; there are: add, "):
            c.call("ad")


def test_secrets_are_given_as_bytes_or_keys() -> None:
    secrets: dict[str, SecretValue] = {"one": b"k", "two": {"a": b"ka", "b": b"kb"}}
    with harness(Vault, secrets=secrets).context() as c:
        assert c.call("open", name="one") == "k1"
        assert c.call("open", name="two", key="b") == "kb2"


def test_the_time_limit_is_the_sandboxs() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with (
        harness(Sample, call_timeout_milliseconds=30).context() as c,
        pytest.raises(CallTimeout),
    ):
        c.call("spin")
    assert signal.getsignal(signal.SIGALRM) is before


def test_a_failing_on_exit_fails_the_test() -> None:
    with harness(Vault).context() as c, pytest.raises(AssertionError, match="on_exit raised Run"):
        c.release("Crashed")


def test_a_class_that_cannot_be_served_is_refused() -> None:
    with pytest.raises(LoadError, match="has no functions"), harness(Plugin).context():
        pass


class Purse(Plugin):
    coins = slot(int, default=0, durable=True)
    seen = slot(int, default=0)

    def on_restore(self, from_digest: str) -> None:
        if from_digest == "sha256:old":
            raise ValueError("coins were euros then")

    @function
    def put(self, coins: int = 1) -> list[int]:
        self.coins.set(self.coins.get() + coins)
        self.seen.set(self.seen.get() + 1)
        return [self.coins.get(), self.seen.get(), self.context.generation]

    @function
    def hoard(self) -> None:
        self.coins.set(10**18)


def test_a_crash_leaves_the_durable_slots_and_takes_the_others() -> None:
    with harness(Purse).context() as purse:
        purse.call("put")
        purse.crash()
        assert purse.call("put") == [2, 1, 2]
        purse.crash()
        purse.crash()
        assert purse.call("put") == [3, 1, 4]


def test_a_crash_in_a_call_leaves_nothing_of_it() -> None:
    with harness(Purse).context() as purse:
        purse.call("put")
        purse.crash("put", coins=5)
        assert purse.call("put") == [2, 1, 2]
        with pytest.raises(LookupError, match="no function 'pot'"):
            purse.crash("pot")


def test_a_state_may_be_given_to_another_version_and_refused() -> None:
    with harness(Purse).context() as purse:
        purse.call("put", coins=3)
        stored = purse.stored
        with pytest.raises(RestoreError, match="coins were euros then"):
            purse.crash(from_digest="sha256:old")
    with harness(Purse).context(stored=stored, from_digest="sha256:new") as purse:
        assert purse.call("put") == [4, 1, 1]


def test_the_size_limit_is_the_sandboxs() -> None:
    with harness(Purse, durable_bytes=10).context() as purse:
        purse.call("put")
        with pytest.raises(DurableError, match=r"14 bytes; limits.durableBytes is 10"):
            purse.call("hoard")
        assert purse.call("put") == [2, 2, 1]


def test_without_durable_slots_there_is_nothing_to_restore() -> None:
    with harness(Sample).context() as c:
        c.call("add")
        with pytest.raises(LookupError, match="nothing is stored"):
            c.crash()


class Prices(Plugin):
    @function
    def announce(self, cents: int) -> None:
        self.publish("today", cents.to_bytes(4, "big"))

    @function
    def read(self, plugin: str) -> int | None:
        view = self.published(plugin, "today")
        return None if view is None else int.from_bytes(view, "big")


def test_what_is_published_can_be_looked_at_and_given() -> None:
    prices = harness(Prices)
    prices.published["other", "today"] = bytes(3) + b"\x07"
    with prices.context() as caller:
        assert [caller.call("read", plugin=name) for name in ("test", "other")] == [None, 7]
        caller.call("announce", cents=5)
        assert caller.call("read", plugin="test") == 5
    assert prices.published["test", "today"] == bytes(3) + b"\x05"
    with pytest.raises(SharingError, match="no sandbox"):
        Prices().announce(1)
    assert Prices().read("test") is None
