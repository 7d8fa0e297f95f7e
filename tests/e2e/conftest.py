"""The operator as users get it: our images, our chart, its own service account."""

from __future__ import annotations

import contextlib
import json
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.bed import sandboxes
from tests.bed.kubectl import Kubectl
from tests.bed.platform import Platform

ALLOW = [{"fields": ["plugins[].secrets"]}]
"""The sample's payment plugin needs a Secret, which only an administrator can grant."""


@pytest.fixture(scope="session")
def operator(cluster: Platform) -> Platform:
    """The operator, installed by Helm and ready."""
    cluster.install({"allow": ALLOW})
    return cluster


@pytest.fixture
def namespace(operator: Platform) -> Iterator[str]:
    """A fresh namespace that enforces Pod Security `restricted`; gone after the test."""
    with fresh_namespace(operator.kubectl) as name:
        yield name


@contextlib.contextmanager
def fresh_namespace(kubectl: Kubectl) -> Iterator[str]:
    """Make a namespace and delete it without waiting for its end."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


Post = Callable[..., tuple[int, dict[str, str], Any]]


@contextlib.contextmanager
def door(kubectl: Kubectl, namespace: str, name: str) -> Iterator[Post]:
    """Open a sandbox's door 8080; what it yields posts one call and returns status and answer."""
    with kubectl.forward(namespace, f"service/{name}", 8080) as port:

        def post(
            plugin: str, function: str, *, context: str = "", headers: Any = None, **arguments: Any
        ) -> tuple[int, dict[str, str], Any]:
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/plugins/{plugin}/functions/{function}",
                json.dumps(arguments).encode(),
                {"Content-Type": "application/json", **(headers or {})},
            )
            if context:
                request.add_header("Sandbox-Context", context)
            return answer(request)

        yield post


def answer(request: urllib.request.Request) -> tuple[int, dict[str, str], Any]:
    """Send a request; return status, headers and the decoded body, of an error, too."""
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, dict(response.headers), json.loads(response.read())
    except HTTPError as error:
        with error:
            return error.code, dict(error.headers), json.loads(error.read())


def ready(kubectl: Kubectl, namespace: str, name: str) -> None:
    """Wait until a sandbox is ready."""
    sandboxes.wait_for(kubectl, namespace, name, "Ready", "True")
