"""The models take and refuse what the API server takes and refuses, with the same words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pluginsandbox.api import problems
from pluginsandbox.api.sandbox import PluginSandbox
from tests.unit.api.bad import BAD
from tests.unit.api.cases import Bad, Good
from tests.unit.api.good import GOOD
from tests.unit.api.objects import PLUGIN, sandbox


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_a_good_object_is_read(case: Good) -> None:
    PluginSandbox.read_strictly(sandbox(**case.changes))


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_a_bad_object_is_refused_with_the_reason(case: Bad) -> None:
    with pytest.raises(ValidationError) as refusal:
        PluginSandbox.read_strictly(sandbox(**case.changes))
    assert case.model in "\n".join(problems.explain(refusal.value))


def test_fields_of_another_day_are_ignored_when_the_operator_reads() -> None:
    newer = sandbox(**{"rollout.strategy": "Canary", "plugins.0.priority": 1, "/extra": True})
    assert PluginSandbox.read(newer) == PluginSandbox.read(sandbox())


def test_what_was_read_is_written_as_it_was_given() -> None:
    for case in GOOD:
        given = sandbox(**case.changes)
        if case.name not in {"null is absent", "every limit", "processors as a number"}:
            assert PluginSandbox.read_strictly(given).dump() == given


def test_a_summary_names_the_first_fields_and_counts_the_rest() -> None:
    plugins = [PLUGIN | {"name": f"Bad{n}"} for n in range(12)]
    with pytest.raises(ValidationError) as refusal:
        PluginSandbox.read(sandbox(plugins=plugins))
    summary = problems.summarize(refusal.value)
    assert summary.startswith("spec.plugins[0].name: must match ")
    assert summary.endswith("; and 4 more")


def test_models_cannot_be_changed() -> None:
    read = PluginSandbox.read(sandbox())
    with pytest.raises(ValidationError, match="frozen"):
        read.spec.replicas = 1
