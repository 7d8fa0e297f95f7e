"""What the tests on the real API server share: the kind, a client, namespaces of their own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from pluginsandbox.api import crd as generated
from pluginsandbox.api import sandbox
from pluginsandbox.api.names import GROUP
from tests.bed import platform
from tests.bed.kubectl import Kubectl

COORDINATES = {
    "group": GROUP,
    "version": sandbox.VERSION,
    "plural": sandbox.PLURAL,
}


@pytest.fixture(scope="session")
def crd(kubectl: Kubectl) -> str:
    """The kind as the models define it, established; the value is its name.

    It is applied as Helm would apply it and is left there, as the chart leaves it: a release that
    is installed later, or was earlier, goes on owning it. An operator that is still installed would
    act on the objects of these tests, so it goes; the tests on pods install it again.
    """
    platform.uninstall(kubectl)
    definition = generated.definition()
    live = kubectl.find("crd", generated.NAME)
    definition["metadata"] |= _ownership(live)
    kubectl.apply(yaml.safe_dump(definition), "--field-manager=helm")
    kubectl("wait", "--for=condition=Established", f"crd/{generated.NAME}", "--timeout=30s")
    return generated.NAME


def _ownership(live: Any) -> dict[str, Any]:
    if live:
        kept = {key: live["metadata"].get(key, {}) for key in ("labels", "annotations")}
        kept["annotations"].pop("kubectl.kubernetes.io/last-applied-configuration", None)
        return kept
    return {
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {
            "helm.sh/resource-policy": "keep",
            "meta.helm.sh/release-name": platform.RELEASE,
            "meta.helm.sh/release-namespace": platform.NAMESPACE,
        },
    }


@pytest.fixture(scope="session")
def api(kubeconfig: Path) -> Iterator[client.ApiClient]:
    """A client with the administrator's rights."""
    settings = client.Configuration()
    config.load_kube_config(  # type: ignore[no-untyped-call]
        str(kubeconfig), client_configuration=settings
    )
    with client.ApiClient(settings) as connection:
        yield connection


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"test-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")
