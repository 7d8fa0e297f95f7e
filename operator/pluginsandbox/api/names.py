"""Strings with a form: the names, keys and values that Kubernetes and this kind know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, Strict, StringConstraints

from pluginsandbox.api.model import MAP_TYPE, Rule

GROUP = "pluginsandbox.dev"
LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
SUBDOMAIN_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
LABEL_VALUE_PATTERN = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
QUALIFIED_PATTERN = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
RESERVED_PATTERN = r"^(pluginsandbox\.dev|app\.kubernetes\.io|(.+\.)?(k8s|kubernetes)\.io)/"

MAX_KEY = 317  # 253 of a prefix, a slash, 63 of a name
MAX_ANNOTATION = 4096
MAX_GENERATION = 2**53 - 1  # bounds of a schema are read as 64-bit floats

Name = Annotated[str, StringConstraints(pattern=LABEL_PATTERN, min_length=1, max_length=50)]
"""A name given by the author of a sandbox; short, as names of volumes are made from it."""

ObjectName = Annotated[
    str, StringConstraints(pattern=SUBDOMAIN_PATTERN, min_length=1, max_length=253)
]
"""The name of an object of Kubernetes."""

QualifiedKey = Annotated[
    str, StringConstraints(pattern=QUALIFIED_PATTERN, min_length=1, max_length=MAX_KEY)
]
"""A label's key, such as `topology.kubernetes.io/zone`."""

LabelValue = Annotated[str, StringConstraints(pattern=LABEL_VALUE_PATTERN, max_length=63)]

Int32 = Annotated[int, Strict()]
"""A whole number; `Strict` because the API server takes no `true` or `"1"` for one either."""


def well_formed(mapping: Mapping[str, str]) -> bool:
    """Tell whether every key is one that Kubernetes takes for a label or an annotation."""
    return all(len(key) <= MAX_KEY and re.fullmatch(QUALIFIED_PATTERN, key) for key in mapping)


def _free(mapping: Mapping[str, str]) -> bool:
    return not any(re.match(RESERVED_PATTERN, key) for key in mapping)


def _cel(pattern: str) -> str:
    return pattern.replace("\\", "\\\\")


def _well_formed(kind: str) -> Rule:
    return Rule(
        cel=f"self.all(key, size(key) <= {MAX_KEY} && key.matches('{_cel(QUALIFIED_PATTERN)}'))",
        check=well_formed,
        message=f"{kind} keys must be a name of at most 63 letters, digits, '-', '_' and '.', that "
        "may follow a DNS prefix and a slash",
    )


def _unreserved(kind: str) -> Rule:
    return Rule(
        cel=f"!self.exists(key, key.matches('{_cel(RESERVED_PATTERN)}'))",
        check=_free,
        message=f"{kind} keys must not begin with a reserved prefix: pluginsandbox.dev/, "
        "app.kubernetes.io/, *.k8s.io/ or *.kubernetes.io/",
    )


Labels = Annotated[
    dict[str, LabelValue],
    Field(max_length=32, json_schema_extra={MAP_TYPE: "atomic"}),
    _well_formed("label"),
]
"""Labels that must match, as in a selector."""

OwnLabels = Annotated[
    dict[str, LabelValue], Field(max_length=32), _well_formed("label"), _unreserved("label")
]
"""Labels that an author may add."""

OwnAnnotations = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=MAX_ANNOTATION)]],
    Field(max_length=32),
    _well_formed("annotation"),
    _unreserved("annotation"),
]
"""Annotations that an author may add."""
