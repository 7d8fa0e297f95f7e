"""The models take and refuse what the API server takes and refuses, with the same words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from tests.unit.api.bad import BAD
from tests.unit.api.cases import Bad, Good
from tests.unit.api.good import GOOD
from tests.unit.api.objects import sandbox

from pluginsandbox.api import problems
from pluginsandbox.api.sandbox import PluginSandbox


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_a_good_object_is_read(case: Good) -> None:
    PluginSandbox.read_strictly(sandbox(**case.changes))


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_a_bad_object_is_refused_with_the_reason(case: Bad) -> None:
    with pytest.raises(ValidationError) as refusal:
        PluginSandbox.read_strictly(sandbox(**case.changes))
    assert case.model in "\n".join(problems.explain(refusal.value))
