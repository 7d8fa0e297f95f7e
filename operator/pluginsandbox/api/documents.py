"""Reads a file of YAML documents as `pluginsandbox run` takes it: sandboxes and their sources.

What `kubectl apply` would refuse is refused here too, with the file, the document and the field.
"""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pluginsandbox.api import yaml_reader
from pluginsandbox.api.plugin import Plugin, PluginSecret
from pluginsandbox.api.problems import explain
from pluginsandbox.api.sandbox import API_VERSION, KIND, PluginSandbox

DEFAULT_NAMESPACE = "default"
FILE_NAME = re.compile(r"(?!\.\.)[-._a-zA-Z0-9]{1,253}")
"""What the API server takes for a key of a ConfigMap or a Secret; never a path."""

Files = Mapping[str, bytes]
"""What a ConfigMap or a Secret holds: a file's content by its name."""


class DocumentError(ValueError):
    """A file cannot be used as it is; the message names the place and the way out."""


@dataclasses.dataclass(frozen=True)
class Documents:
    """What a file holds. Keys of the mappings are (namespace, name)."""

    origin: str
    """The file, as it was named."""
    sandboxes: tuple[PluginSandbox, ...]
    config_maps: Mapping[tuple[str, str], Files]
    secrets: Mapping[tuple[str, str], Files]
    others: tuple[str, ...]
    """`Kind name` of what means nothing without a cluster."""

    def sandbox(self, name: str | None = None) -> PluginSandbox:
        """Return the sandbox of that name, or the only one.

        Raises:
            DocumentError: There is none, or there are several and none was named.

        """
        found = [one for one in self.sandboxes if name in (None, one.metadata.name)]
        if len(found) == 1:
            return found[0]
        names = ", ".join(one.metadata.name for one in self.sandboxes) or "none"
        wanted = f"must hold a {KIND} named {name}" if name else f"must hold one {KIND}"
        raise DocumentError(f"{self.origin}: {wanted}; it holds: {names}")

    def files(self, sandbox: PluginSandbox, plugin: Plugin) -> Files:
        """Return the files of a plugin whose source is a ConfigMap of this file.

        Raises:
            DocumentError: The source is an image, or the ConfigMap is not in the file.

        """
        source = plugin.source.config_map
        if source is None:
            raise DocumentError(
                f"{self.origin}: plugin {plugin.name}: an image cannot be mounted without a "
                "cluster; source must be a configMap here"
            )
        return self._find(self.config_maps, "ConfigMap", sandbox, plugin, source.name)

    def secret(self, sandbox: PluginSandbox, plugin: Plugin, secret: PluginSecret) -> Files:
        """Return the content of a Secret that a plugin reads.

        Raises:
            DocumentError: It is not in the file.

        """
        return self._find(self.secrets, "Secret", sandbox, plugin, secret.secret_name)

    def _find(
        self,
        objects: Mapping[tuple[str, str], Files],
        kind: str,
        sandbox: PluginSandbox,
        plugin: Plugin,
        name: str,
    ) -> Files:
        namespace = sandbox.metadata.namespace
        if (namespace, name) in objects:
            return objects[namespace, name]
        there = ", ".join(found for space, found in objects if space == namespace) or "none"
        raise DocumentError(
            f"{self.origin}: plugin {plugin.name}: {kind} {name} must be in this file, "
            f"in namespace {namespace}; there are: {there}"
        )


def load(path: Path) -> Documents:
    """Read a file.

    Raises:
        DocumentError: It cannot be read, or `parse` refuses it.

    """
    try:
        text = yaml_reader.text_of(path)
    except yaml_reader.YamlError as error:
        raise DocumentError(f"{path}: {error}") from error
    return parse(text, str(path))


def parse(text: str, origin: str) -> Documents:
    """Read YAML documents.

    Args:
        text: One or more documents; kinds other than PluginSandbox, ConfigMap and Secret are only
            listed.
        origin: Name of the text in messages.

    Raises:
        DocumentError: Not YAML, not objects of Kubernetes, or fields that are wrong; one line for
            each field.

    """
    try:
        documents = yaml_reader.read(text)
    except yaml_reader.YamlError as error:
        raise DocumentError(f"{origin}: {error}") from error
    reader = _Reader(origin)
    for number, document in enumerate(documents, start=1):
        if document is not None:
            reader.add(number, document)
    return reader.finish()


class _Reader:
    """Sorts documents by kind and gathers what is wrong with any of them."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._sandboxes: dict[tuple[str, str], PluginSandbox] = {}
        self._config_maps: dict[tuple[str, str], Files] = {}
        self._secrets: dict[tuple[str, str], Files] = {}
        self._others: list[str] = []
        self._errors: list[str] = []

    def add(self, number: int, document: Any) -> None:
        """Take one document."""
        place = f"{self._origin}: document {number}"
        try:
            kind, key = _identity(document)
            place += f" ({kind} {key[1]})"
            self._sort(kind, key, document)
        except ValidationError as error:
            self._errors += [f"{place}: {line}" for line in explain(error)]
        except DocumentError as error:
            self._errors.append(f"{place}: {error}")

    def finish(self) -> Documents:
        """Return all, or raise every error that was found."""
        if self._errors:
            raise DocumentError("\n".join(self._errors))
        sandboxes = tuple(self._sandboxes.values())
        return Documents(
            self._origin, sandboxes, self._config_maps, self._secrets, tuple(self._others)
        )

    def _sort(self, kind: str, key: tuple[str, str], document: dict[str, Any]) -> None:
        if kind == KIND:
            _put(self._sandboxes, key, _sandbox(document, key))
        elif kind == "ConfigMap":
            plain, encoded = _texts(document, "data"), _decoded(document, "binaryData")
            _put(self._config_maps, key, plain | encoded)
        elif kind == "Secret":
            encoded, plain = _decoded(document, "data"), _texts(document, "stringData")
            _put(self._secrets, key, encoded | plain)
        else:
            self._others.append(f"{kind} {key[1]}")


def _identity(document: Any) -> tuple[str, tuple[str, str]]:
    if not isinstance(document, dict):
        raise DocumentError("must be an object with apiVersion, kind, metadata")
    kind, metadata = document.get("kind"), document.get("metadata")
    if not isinstance(kind, str) or not isinstance(document.get("apiVersion"), str):
        raise DocumentError("apiVersion and kind must be set")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise DocumentError(f"({kind}): metadata.name must be set, as a string")
    namespace = metadata.get("namespace") or DEFAULT_NAMESPACE
    if not isinstance(namespace, str):
        raise DocumentError(f"({kind}): metadata.namespace must be a string")
    return kind, (namespace, metadata["name"])


def _sandbox(document: dict[str, Any], key: tuple[str, str]) -> PluginSandbox:
    if document["apiVersion"] != API_VERSION:
        raise DocumentError(f"apiVersion must be {API_VERSION}, not {document['apiVersion']}")
    unknown = document.keys() - {"apiVersion", "kind", "metadata", "spec", "status"}
    if unknown:
        raise DocumentError(f"{', '.join(sorted(unknown))}: no such field; spec holds them all")
    annotations = document["metadata"].get("annotations") or {}
    metadata = {"namespace": key[0], "name": key[1], "annotations": annotations}
    whole = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata}
    return PluginSandbox.read_strictly(whole | {"spec": document.get("spec")})


def _put(objects: dict[tuple[str, str], Any], key: tuple[str, str], value: Any) -> None:
    if key in objects:
        raise DocumentError("occurs twice in this file")
    objects[key] = value


def _texts(document: dict[str, Any], field: str) -> dict[str, bytes]:
    return {name: value.encode() for name, value in _strings(document, field).items()}


def _decoded(document: dict[str, Any], field: str) -> dict[str, bytes]:
    try:
        strings = _strings(document, field).items()
        return {name: base64.b64decode(value, validate=True) for name, value in strings}
    except ValueError as error:
        raise DocumentError(f"{field}: every value must be base64: {error}") from error


def _strings(document: dict[str, Any], field: str) -> dict[str, str]:
    mapping = document.get(field) or {}
    if not isinstance(mapping, dict):
        raise DocumentError(f"{field}: must be an object of strings")
    for name, value in mapping.items():
        if not isinstance(value, str):
            raise DocumentError(f"{field}.{name}: must be a string; put {value!r} in quotes")
        if not FILE_NAME.fullmatch(name):
            raise DocumentError(f"{field}.{name!r}: must be a file name of letters, digits, '-_.'")
    return mapping
