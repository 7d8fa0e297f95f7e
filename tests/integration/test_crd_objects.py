"""The real API server takes what it should, refuses what it should, and says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client import ApiException

from pluginsandbox.api.sandbox import PluginSandbox
from tests.bed import shell
from tests.bed.kubectl import Kubectl
from tests.integration.conftest import COORDINATES
from tests.unit.api.bad import BAD
from tests.unit.api.cases import Bad, Good
from tests.unit.api.good import GOOD
from tests.unit.api.objects import sandbox

SAMPLES = sorted((shell.REPOSITORY / "manifests" / "samples").glob("*.yaml"))

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crd")]


def create(api: client.ApiClient, body: dict[str, Any]) -> Any:
    """Have the server check and default an object without storing it, as strictly as kubectl."""
    options: dict[str, Any] = {**COORDINATES, "dry_run": "All", "field_validation": "Strict"}
    return client.CustomObjectsApi(api).create_namespaced_custom_object(
        namespace="default", body=body, **options
    )


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_a_good_object_is_taken(case: Good, api: client.ApiClient) -> None:
    taken = create(api, sandbox(**case.changes))
    assert taken["status"] == {"observedGeneration": -1}


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_the_defaults_of_the_models_are_those_of_the_server(
    case: Good, api: client.ApiClient
) -> None:
    given = sandbox(**case.changes)
    assert PluginSandbox.read(create(api, given)).spec == PluginSandbox.read(given).spec


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_a_bad_object_is_refused_with_the_reason(case: Bad, api: client.ApiClient) -> None:
    with pytest.raises(ApiException) as refusal:
        create(api, sandbox(**case.changes))
    assert case.server in json.loads(str(refusal.value.body))["message"]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_taken(path: Path, kubectl: Kubectl) -> None:
    kubectl("create", "--dry-run=server", "--validate=strict", "-f", path)
