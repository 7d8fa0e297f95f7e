"""What `make bench-control` brings up many of: an object, and the operator that serves it.

A subject is a YAML file, so that another operator can be put through the same load:

    name: another
    install: [its-crds.yaml]              # applied first; paths beside the file
    command: [its-operator, --kubeconfig, KUBECONFIG]   # absent = the control plane serves it
    ready: {condition: Ready}             # of the object's status
    manifest: {apiVersion: …, kind: …, spec: …}         # NAME stands for the object's name
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).with_name("subjects")


@dataclasses.dataclass(frozen=True)
class Subject:
    """One kind of object.

    Args:
        name: For people.
        manifest: Of an object, NAME standing for its name.
        plural: Of its kind.
        command: Of its operator, KUBECONFIG standing for the path; empty = none is needed.
        install: Manifests to apply first.
        condition: Type of the condition that says that it is ready.

    """

    name: str
    manifest: Mapping[str, Any]
    plural: str
    condition: str
    command: tuple[str, ...] = ()
    install: tuple[Mapping[str, Any], ...] = ()

    @property
    def path(self) -> str:
        """Path of the group and version."""
        version = str(self.manifest["apiVersion"])
        return f"/apis/{version}" if "/" in version else f"/api/{version}"

    def body(self, name: str) -> dict[str, Any]:
        """Return an object."""
        text = json.dumps({"metadata": {"name": "NAME"}, **self.manifest})
        body: dict[str, Any] = json.loads(text.replace("NAME", name))
        return body

    @property
    def plugins(self) -> list[str]:
        """Names of the plugins that its hosts must say they have loaded; none of another's."""
        spec = self.manifest.get("spec") or {}
        return [each["name"] for each in spec.get("plugins") or ()]

    def is_ready(self, body: Mapping[str, Any]) -> bool:
        """Tell whether an object is ready, as of its present generation."""
        status = body.get("status") or {}
        observed = status.get("observedGeneration", body["metadata"].get("generation"))
        return observed == body["metadata"].get("generation") and any(
            (each["type"], each["status"]) == (self.condition, "True")
            for each in status.get("conditions") or ()
        )


def read(path: Path) -> Subject:
    """Read a subject's file.

    Raises:
        KeyError: A field is missing; `install` and `command` may be.

    """
    told = yaml.safe_load(path.read_text())
    documents = (
        document
        for name in told.get("install") or ()
        for document in yaml.safe_load_all((path.parent / name).read_text())
        if document
    )
    return Subject(
        name=told["name"],
        manifest=told["manifest"],
        plural=told.get("plural") or f"{told['manifest']['kind'].lower()}s",
        condition=told["ready"]["condition"],
        command=tuple(told.get("command") or ()),
        install=tuple(documents),
    )
