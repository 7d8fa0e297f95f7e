"""Secrets of a plugin: files that the kubelet mounted, one directory for each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pluginsandbox.sdk.errors import SecretError

# Kubernetes refuses a Secret of more than 1 MiB in all.
MAX_SECRET_BYTES = 1 << 20


def read_secret(directories: Mapping[str, str], name: str, key: str | None) -> bytes:
    """Read one value of a secret, as it is now: a rotated secret needs no restart.

    Args:
        directories: Name of each secret to the directory it is mounted in.
        name: The secret.
        key: Which value of it; None if it has only one.

    Returns:
        The bytes of the value.

    Raises:
        SecretError: There is no such secret or key, or the value is larger than 1 MiB.

    """
    directory = directories.get(name)
    if directory is None:
        raise SecretError(
            f"this plugin was given no secret {name!r}; the sandbox's plugins[].secrets names: "
            f"{_listed(sorted(directories))}"
        )
    # The kubelet's own entries (..data and dated directories) begin with two dots.
    keys = sorted(path.name for path in Path(directory).iterdir() if path.name[:2] != "..")
    if key is None and len(keys) == 1:
        key = keys[0]
    if key is None:
        raise SecretError(f"secret {name!r} has the keys {_listed(keys)}: say which")
    if key not in keys:
        raise SecretError(f"secret {name!r} has no key {key!r}; it has: {_listed(keys)}")
    with Path(directory, key).open("rb") as file:
        value = file.read(MAX_SECRET_BYTES + 1)
    if len(value) > MAX_SECRET_BYTES:
        raise SecretError(f"key {key!r} of secret {name!r} is larger than 1 MiB")
    return value


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"
