"""A pod's memory follows from its plugins' limits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluginsandbox.api.host_config import PAYLOAD_CALLS
from pluginsandbox.controller.memory import MIB, budget, quantity
from pluginsandbox.controller.settings import Memory
from tests.unit.controller.worlds import plugin, sandbox

PAYLOADS = PAYLOAD_CALLS * 2  # MiB: arguments and results of 1 MiB each
DURABLE = 4  # MiB: 64 contexts of 64 KiB


def limit(*plugins: dict[str, Any], maximum: str = "64Gi", **spec: Any) -> int:
    memory = Memory(reserve="100Mi", maximum=maximum)
    return budget(sandbox(*plugins, **spec).spec, memory).limit // MIB


def test_workers_add_up() -> None:
    two = plugin("a", limits={"memory": "50Mi", "workers": 2})
    one = plugin("b", limits={"memory": "30Mi"})
    assert limit(two, one) == 100 + 2 * 50 + 30 + PAYLOADS + 2 * DURABLE


def test_durable_slots_have_room_for_the_contexts_there_can_be_and_at_most_64() -> None:
    few = plugin("a", limits={"memory": "1Mi", "maxContexts": 8, "durableBytes": "1Mi"})
    many = plugin("b", limits={"memory": "1Mi", "maxContexts": 10_000, "durableBytes": "1Mi"})
    assert limit(few, many) == 100 + 2 + PAYLOADS + 8 + 64


def test_what_is_published_counts_three_times() -> None:
    publisher = plugin("a", limits={"memory": "1Mi", "publishedBytes": "5Mi"})
    assert limit(publisher) == 100 + 1 + PAYLOADS + DURABLE + 3 * 5


def test_every_context_of_a_per_context_plugin_is_a_worker_and_so_are_the_warm_ones() -> None:
    alone = plugin(isolation="PerContext", limits={"memory": "10Mi", "maxContexts": 5})
    assert limit(alone, host={"warmWorkers": 3}) == 100 + (5 + 3) * 10 + PAYLOADS + 1


def test_the_largest_payload_counts_once() -> None:
    large = plugin("a", limits={"memory": "1Mi", "requestBytes": "2Mi", "resultBytes": "4Mi"})
    small = plugin("b", limits={"memory": "1Mi"})
    assert limit(large, small) == 100 + 2 + PAYLOAD_CALLS * 6 + 2 * DURABLE


def test_the_administrators_maximum_holds_and_what_lacks_is_told() -> None:
    memory = Memory(reserve="100Mi", maximum="200Mi")
    greedy = sandbox(plugin(limits={"memory": "1Gi"}))
    found = budget(greedy.spec, memory)
    assert found.limit == 200 * MIB
    assert found.missing == (100 + 1024 + PAYLOADS + DURABLE - 200) * MIB
    assert "1160 MiB" in found.overcommit
    assert not budget(sandbox().spec, Memory()).overcommit


def test_the_author_may_ask_for_less_on_the_node() -> None:
    spec = sandbox(host={"resources": {"requests": {"memory": "16Mi"}}}).spec
    assert budget(spec, Memory()).request == 16 * MIB
    whole = budget(sandbox().spec, Memory())
    assert whole.request == whole.limit


@given(st.integers(min_value=1, max_value=1 << 40))
def test_sizes_are_written_so_that_they_read_back(size: int) -> None:
    text = quantity(size)
    assert size == (int(text[:-2]) * MIB if text.endswith("Mi") else int(text))


@pytest.mark.parametrize("memory", ["1Mi", "7M", "64Mi", "1k"])
def test_the_limit_is_whole_mebibytes(memory: str) -> None:
    if memory == "1k":
        memory = "1048577"
    spec = sandbox(plugin(limits={"memory": memory})).spec
    assert budget(spec, Memory()).limit % MIB == 0
