"""The PluginSandbox kind itself."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, Literal

from pydantic import Field

from pluginsandbox.api.model import Model, Rule
from pluginsandbox.api.names import GROUP
from pluginsandbox.api.spec import SandboxSpec
from pluginsandbox.api.status import SandboxStatus

VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "PluginSandbox"
PLURAL = "pluginsandboxes"
REVISION_ANNOTATION = f"{GROUP}/revision"

MAX_NAME = 50  # leaves room for what the operator appends to name the children
_NAME = "^[a-z]([-a-z0-9]*[a-z0-9])?$"


class Metadata(Model):
    """What of an object's metadata is read here."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    creation_timestamp: dt.datetime | None = None
    deletion_timestamp: dt.datetime | None = None


class PluginSandbox(Model):
    """Other people's plugins, and how they are isolated, limited and served.

    The operator turns it into pods; each loads the plugins into confined workers and serves calls.
    """

    api_version: Literal["pluginsandbox.dev/v1alpha1"]
    kind: Literal["PluginSandbox"]
    metadata: Metadata
    spec: SandboxSpec
    status: SandboxStatus = SandboxStatus(observed_generation=-1)

    rules = (
        Rule(
            cel=f"size(self.metadata.name) <= {MAX_NAME} && self.metadata.name.matches('{_NAME}')",
            check=lambda sandbox: (
                len(sandbox.metadata.name) <= MAX_NAME
                and re.fullmatch(_NAME, sandbox.metadata.name) is not None
            ),
            message=f"metadata.name must have at most {MAX_NAME} characters: lower-case letters, "
            "digits and '-', the first a letter, the last a letter or digit",
        ),
        Rule(
            cel="!self.metadata.name.endsWith('-peers')",
            check=lambda sandbox: not sandbox.metadata.name.endswith("-peers"),
            message="metadata.name must not end in '-peers': the operator uses such names",
        ),
    )

    @classmethod
    def read(cls, data: Any) -> PluginSandbox:
        """Read an object as the API server or a manifest gives it.

        Fields that this version does not know are ignored.

        Raises:
            pydantic.ValidationError: Not a PluginSandbox; `problems.explain` words it.

        """
        return cls.model_validate(data)

    @classmethod
    def read_strictly(cls, data: Any) -> PluginSandbox:
        """Read an object that must hold no field which this version does not know.

        Raises:
            pydantic.ValidationError: As `read`, or there is such a field.

        """
        return cls.model_validate(data, extra="forbid")
