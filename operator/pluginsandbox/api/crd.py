"""Writes the CustomResourceDefinition from the models: `python -m pluginsandbox.api.crd`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from typing_extensions import override

from pluginsandbox.api.generated import main
from pluginsandbox.api.names import GROUP
from pluginsandbox.api.sandbox import KIND, PLURAL, REVISION_ANNOTATION, VERSION, PluginSandbox
from pluginsandbox.api.structural import structural

NAME = f"{PLURAL}.{GROUP}"
FILE = Path("crds", f"{GROUP}_{PLURAL}.yaml")
HEADER = "# Generated from pluginsandbox.api by `make generate`; edit the models instead.\n"

_ESCAPED_ANNOTATION = REVISION_ANNOTATION.replace(".", r"\.")


def definition() -> dict[str, Any]:
    """Return the CustomResourceDefinition of PluginSandbox."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["psb"],
            },
            "scope": "Namespaced",
            "versions": [_version()],
        },
    }


def text() -> str:
    """Return the file that is checked in: the same models give the same bytes."""
    return HEADER + yaml.dump(definition(), Dumper=_Plain, width=100, allow_unicode=True)


class _Plain(yaml.SafeDumper):
    """Writes equal parts out instead of pointing at the first of them."""

    @override
    def ignore_aliases(self, data: object) -> bool:
        return True


def _version() -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root()},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            _column("Ready", _condition("Ready", "status")),
            _column("Reason", _condition("Ready", "reason")),
            _column("Replicas", ".status.replicas", kind="integer"),
            _column("Desired", ".status.desiredReplicas", kind="integer"),
            _column("Age", ".metadata.creationTimestamp", kind="date"),
            _column("Plugins", _condition("PluginsLoaded", "reason"), wide=True),
            _column("Endpoint", ".status.endpoint", wide=True),
            _column("Revision", f".metadata.annotations.{_ESCAPED_ANNOTATION}", wide=True),
        ],
    }


def _root() -> dict[str, Any]:
    """Return the schema of an object, without what the API server itself knows of every object."""
    schema = structural(PluginSandbox)
    schema["required"] = ["spec"]
    schema["properties"] |= {
        "apiVersion": {"type": "string", "description": f"Always {GROUP}/{VERSION}."},
        "kind": {"type": "string", "description": f"Always {KIND}."},
        "metadata": {"type": "object"},
    }
    return schema


def _condition(kind: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


def _column(name: str, path: str, *, kind: str = "string", wide: bool = False) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": path, **({"priority": 1} if wide else {})}


if __name__ == "__main__":
    sys.exit(main(__spec__.name, FILE, text()))
