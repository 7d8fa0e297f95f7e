from __future__ import annotations

from pathlib import Path

import pytest

from pluginsandbox.sdk.errors import SecretError
from pluginsandbox.sdk.secrets import MAX_SECRET_BYTES, read_secret


@pytest.fixture
def mounted(tmp_path: Path) -> dict[str, str]:
    """Two secrets as the kubelet mounts them."""
    for name, keys in {"one": {"value": b"k1"}, "two": {"a": b"k2\n", "b.pem": b"k3"}}.items():
        real = tmp_path / name / "..2026_11_23"
        real.mkdir(parents=True)
        (tmp_path / name / "..data").symlink_to(real.name)
        for key, value in keys.items():
            (real / key).write_bytes(value)
            (tmp_path / name / key).symlink_to(f"..data/{key}")
    return {name: str(tmp_path / name) for name in ("one", "two")}


def test_values_are_read_as_they_are(mounted: dict[str, str]) -> None:
    assert read_secret(mounted, "one", None) == b"k1"
    assert read_secret(mounted, "one", "value") == b"k1"
    assert read_secret(mounted, "two", "a") == b"k2\n"


def test_a_rotated_secret_is_read_anew(mounted: dict[str, str]) -> None:
    assert read_secret(mounted, "one", None) == b"k1"
    root = Path(mounted["one"])
    (root / "..2026_11_24").mkdir()
    (root / "..2026_11_24" / "value").write_bytes(b"new")
    (root / "..tmp").symlink_to("..2026_11_24")
    (root / "..tmp").rename(root / "..data")
    assert read_secret(mounted, "one", None) == b"new"


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [
        ("three", None, "given no secret 'three'; .* names: one, two"),
        ("two", None, "has the keys a, b.pem: say which"),
        ("two", "c", "has no key 'c'; it has: a, b.pem"),
        ("two", "../one/value", "has no key"),
        ("two", "..data/a", "has no key"),
        ("two", "..data", "has no key"),
        ("two", "", "has no key"),
    ],
)
def test_what_is_not_there_is_named(
    mounted: dict[str, str], name: str, key: str | None, message: str
) -> None:
    with pytest.raises(SecretError, match=message):
        read_secret(mounted, name, key)


def test_a_huge_value_is_refused(tmp_path: Path) -> None:
    (tmp_path / "value").write_bytes(b"x" * (MAX_SECRET_BYTES + 1))
    with pytest.raises(SecretError, match="larger than 1 MiB"):
        read_secret({"s": str(tmp_path)}, "s", None)
