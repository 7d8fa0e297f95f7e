"""Reads the scaling of a PluginSandbox from YAML; all else in it is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pluginsandbox.api import yaml_reader
from pluginsandbox.api.model import Model
from pluginsandbox.api.problems import explain
from pluginsandbox.api.sandbox import API_VERSION, KIND
from pluginsandbox.api.scaling import Scaling


class PolicyError(ValueError):
    """A file holds no usable policy; the message names the place and the way out."""


class _Spec(Model):
    scaling: Scaling


class _Sandbox(Model):
    spec: _Spec


def load(path: Path) -> Scaling:
    """Read a file.

    Raises:
        PolicyError: It cannot be read, or `parse` refuses it.

    """
    try:
        text = yaml_reader.text_of(path)
    except yaml_reader.YamlError as error:
        raise PolicyError(f"{path}: {error}") from error
    return parse(text, str(path))


def parse(text: str, origin: str) -> Scaling:
    """Return `spec.scaling` of the one PluginSandbox in a YAML text.

    Args:
        text: Documents; those of other kinds are passed over.
        origin: Name of the text in messages.

    Raises:
        PolicyError: Not YAML, no PluginSandbox or several, or fields that are wrong; one line for
            each field.

    """
    try:
        documents = yaml_reader.read(text)
    except yaml_reader.YamlError as error:
        raise PolicyError(f"{origin}: {error}") from error
    found = [each for each in documents if isinstance(each, dict) and each.get("kind") == KIND]
    if len(found) != 1:
        raise PolicyError(f"{origin}: must hold one {KIND}, not {len(found)}")
    if found[0].get("apiVersion") != API_VERSION:
        raise PolicyError(f"{origin}: apiVersion must be {API_VERSION}")
    return _scaling(found[0], origin)


def _scaling(document: dict[str, Any], origin: str) -> Scaling:
    spec = document.get("spec")
    if not isinstance(spec, dict) or spec.get("scaling") is None:
        raise PolicyError(f"{origin}: spec.scaling must be set: it is the policy to simulate")
    try:
        read = _Sandbox.model_validate({"spec": {"scaling": spec["scaling"]}}, extra="forbid")
    except ValidationError as error:
        lines = (f"{origin}: {line}" for line in explain(error, _Sandbox))
        raise PolicyError("\n".join(lines)) from error
    return read.spec.scaling
