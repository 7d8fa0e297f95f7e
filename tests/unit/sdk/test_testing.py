"""The harness that authors use."""

from __future__ import annotations

import signal

import pytest

from pluginsandbox.sdk import CallTimeout, Plugin, function, slot
from pluginsandbox.sdk.errors import ArgumentsError, LoadError
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
