"""Accounts with rights of their own, where what RBAC lets them do is part of the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pluginsandbox.controller.kinds import Kind
from tests.integration.operator.bed import ACCOUNT, Bed

RBAC = "rbac.authorization.k8s.io"
ROLE = Kind("Role", RBAC, "v1", "roles")
ROLE_BINDING = Kind("RoleBinding", RBAC, "v1", "rolebindings")
CLUSTER_ROLE = Kind("ClusterRole", RBAC, "v1", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDING = Kind(
    "ClusterRoleBinding", RBAC, "v1", "clusterrolebindings", namespaced=False
)


async def make(bed: Bed, namespace: str, name: str, folder: Path) -> Path:
    """Make a ServiceAccount without any right; return a kubeconfig with its token."""
    await bed.write("POST", ACCOUNT.path(namespace), {"metadata": {"name": name}})
    token = await bed.write("POST", ACCOUNT.path(namespace, name, "token"), {"spec": {}})
    config = yaml.safe_load(bed.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token["status"]["token"]}
    path = folder / f"{namespace}-{name}.yaml"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


async def grant(
    bed: Bed,
    account: tuple[str, str],
    rules: list[dict[str, Any]],
    namespace: str = "",
    part: str = "",
) -> None:
    """Give an account rights, or others than before.

    Args:
        bed: Whose administrator gives them.
        account: Namespace and name.
        rules: Of a Role.
        namespace: Where they hold; empty: everywhere.
        part: Told apart from the account's other rights there.

    """
    role, binding = (ROLE, ROLE_BINDING) if namespace else (CLUSTER_ROLE, CLUSTER_ROLE_BINDING)
    name = "-".join((*account, part)).rstrip("-")
    home, who = account
    subject = {"kind": "ServiceAccount", "name": who, "namespace": home}
    reference = {"apiGroup": RBAC, "kind": role.name, "name": name}
    for kind, parts in (
        (role, {"rules": rules}),
        (binding, {"subjects": [subject], "roleRef": reference}),
    ):
        body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": name}}
        path = kind.path(namespace, name)
        query = {"fieldManager": "test", "force": "true"}
        content = "application/apply-patch+yaml"
        await bed.write("PATCH", path, body | parts, content, **query)
