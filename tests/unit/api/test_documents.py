"""A file for `pluginsandbox run` is read whole, or refused with the place and the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pluginsandbox.api.documents import DocumentError, load, parse
from tests.unit.api.cases import PINNED
from tests.unit.api.objects import ABSENT, PLUGIN, sandbox

CONFIG_MAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "inventory-plugin"},
    "data": {"inventory.py": "class InventoryCheck: ..."},
    "binaryData": {"stock.bin": "AAEC"},
}
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "merchant-keys"},
    "data": {"key": "c2VjcmV0"},
    "stringData": {"plain": "text"},
}
SECRETS = {"plugins.0.secrets": [{"name": "hmac", "secretName": "merchant-keys"}]}


def text(*documents: Any) -> str:
    """Write documents as YAML."""
    return yaml.safe_dump_all(documents)


def refusal(*documents: Any) -> str:
    """Return what is said of documents that are refused."""
    with pytest.raises(DocumentError) as error:
        parse(text(*documents), "shop.yaml")
    return str(error.value)


def test_a_sandbox_and_its_sources_are_found() -> None:
    found = parse(text(sandbox(**SECRETS), CONFIG_MAP, SECRET), "shop.yaml")
    shop = found.sandbox()
    (plugin,) = shop.spec.plugins
    files = {"inventory.py": b"class InventoryCheck: ...", "stock.bin": b"\0\1\2"}
    assert found.files(shop, plugin) == files
    secret = {"key": b"secret", "plain": b"text"}
    assert found.secret(shop, plugin, plugin.secrets[0]) == secret


def test_other_kinds_are_listed_and_left_alone() -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    assert parse(text(namespace, sandbox()), "shop.yaml").others == ("Namespace shop",)


def test_an_object_without_a_namespace_is_in_default() -> None:
    found = parse(text(sandbox(**{"metadata.namespace": ABSENT}), CONFIG_MAP), "shop.yaml")
    shop = found.sandbox()
    assert shop.metadata.namespace == "default"
    assert found.files(shop, shop.spec.plugins[0])


def test_a_sandbox_is_chosen_by_name() -> None:
    found = parse(text(sandbox(), sandbox(**{"metadata.name": "other"})), "shop.yaml")
    assert found.sandbox("other").metadata.name == "other"
    with pytest.raises(DocumentError, match="must hold one PluginSandbox; it holds: shop, other"):
        found.sandbox()
    with pytest.raises(DocumentError, match="must hold a PluginSandbox named x; it holds: shop"):
        found.sandbox("x")


def test_a_file_without_a_sandbox_says_so() -> None:
    with pytest.raises(DocumentError, match=r"shop\.yaml: must hold one PluginSandbox; it holds: "):
        parse(text(CONFIG_MAP), "shop.yaml").sandbox()


def test_a_missing_config_map_is_named_with_those_that_are_there() -> None:
    other = CONFIG_MAP | {"metadata": {"name": "inventory"}}
    found = parse(text(sandbox(), other), "shop.yaml")
    shop = found.sandbox()
    with pytest.raises(DocumentError) as error:
        found.files(shop, shop.spec.plugins[0])
    assert str(error.value) == (
        "shop.yaml: plugin inventory-check: ConfigMap inventory-plugin must be in this file, in "
        "namespace default; there are: inventory"
    )


def test_an_image_needs_a_cluster() -> None:
    found = parse(text(sandbox(**{"plugins.0.source": PINNED})), "shop.yaml")
    shop = found.sandbox()
    with pytest.raises(DocumentError, match="an image cannot be mounted without a cluster"):
        found.files(shop, shop.spec.plugins[0])


def test_every_wrong_field_of_every_document_is_told_at_once() -> None:
    bad = sandbox(
        **{"plugins.0.isolation": "Perplugin", "plugins.0.limits.memry": "1Mi", "replicas": -2}
    )
    lines = refusal(CONFIG_MAP, bad, SECRET | {"data": {"k": "not base64!"}}).splitlines()
    place = "shop.yaml: document 2 (PluginSandbox shop): spec."
    assert lines[0] == (
        f"{place}plugins[0].isolation: must be 'PerPlugin' or 'PerContext', not 'Perplugin'"
    )
    assert lines[1].startswith(
        f"{place}plugins[0].limits.memry: no such field; there are: callTimeoutMilliseconds, c"
    )
    assert lines[2].startswith(f"{place}replicas: must be greater than or equal to 0")
    assert lines[3].startswith("shop.yaml: document 3 (Secret merchant-keys): data: every value ")
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([1], "document 1: must be an object with apiVersion, kind, metadata"),
        ("text", "document 1: must be an object with apiVersion, kind, metadata"),
        ({"kind": "ConfigMap"}, "document 1: apiVersion and kind must be set"),
        ({"apiVersion": "v1", "kind": "ConfigMap"}, "(ConfigMap): metadata.name must be set"),
        (CONFIG_MAP | {"metadata": {"name": 5}}, "metadata.name must be set, as a string"),
        (
            CONFIG_MAP | {"metadata": {"name": "a", "namespace": 5}},
            "metadata.namespace must be a string",
        ),
        (CONFIG_MAP | {"data": ["a"]}, "data: must be an object of strings"),
        (CONFIG_MAP | {"data": {"a": 1}}, "data.a: must be a string; put 1 in quotes"),
        (CONFIG_MAP | {"data": {"../a": "b"}}, "data.'../a': must be a file name"),
        (CONFIG_MAP | {"data": {"..": "b"}}, "data.'..': must be a file name"),
        (CONFIG_MAP | {"binaryData": {"a": "é"}}, "binaryData: every value must be base64"),
        (sandbox(**{"/apiVersion": "x/v1"}), "apiVersion must be pluginsandbox.dev/v1alpha1"),
        (sandbox(**{"/plugins": []}), "plugins: no such field; spec holds them all"),
        (sandbox(**{"/spec": ABSENT}), "spec: must be set"),
        (sandbox(**{"metadata.name": "a.b"}), "metadata.name must have at most 50 characters"),
        (
            sandbox(plugins=[PLUGIN | {"name": "A"}]),
            "spec.plugins[0].name: must match ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$, not 'A'. Name of",
        ),
        (
            sandbox(plugins=[PLUGIN | {"config": {"port": 8080}}]),
            "spec.plugins[0].config.port: must be a valid string, not 8080",
        ),
    ],
    ids=lambda value: str(value)[-32:],
)
def test_what_is_wrong_is_told_with_its_place(document: Any, message: str) -> None:
    assert message in refusal(document)


def test_one_object_twice_is_refused() -> None:
    assert "document 2 (ConfigMap inventory-plugin): occurs twice in this file" in refusal(
        CONFIG_MAP, CONFIG_MAP
    )


def test_what_is_no_yaml_is_told_with_its_line() -> None:
    with pytest.raises(DocumentError, match=r"shop\.yaml: line 2, column 1: "):
        parse("a: [\n}", "shop.yaml")


def test_an_unknown_field_of_the_metadata_is_the_servers_business() -> None:
    parse(text(sandbox(**{"metadata.labels": {"a": "b"}, "metadata.uid": "1"})), "shop.yaml")


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(text(sandbox()), encoding="utf-8")
    assert load(path).sandbox().metadata.name == "shop"


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"none\.yaml: cannot be read: No such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(DocumentError, match="cannot be read: Is a directory"):
        load(tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(DocumentError, match=r"binary\.yaml: must be UTF-8"):
        load(binary)
    large = tmp_path / "large.yaml"
    with large.open("wb") as file:
        file.truncate(9 << 20)
    with pytest.raises(DocumentError, match=r"large\.yaml: must be at most 8 MiB"):
        load(large)
