"""Objects that must be refused for what they say of a plugin, or of themselves."""

from __future__ import annotations

from tests.unit.api.cases import IMAGE, PINNED, Bad, P
from tests.unit.api.objects import ABSENT, DIGEST, PLUGIN

NAME_FORM = "metadata.name must have at most 50 characters"

BAD_PLUGINS = (
    Bad("name too long", {"metadata.name": "a" * 51}, NAME_FORM),
    Bad("name with a dot", {"metadata.name": "a.b"}, NAME_FORM),
    Bad("name begins with a digit", {"metadata.name": "1a"}, NAME_FORM),
    Bad("name of peers", {"metadata.name": "a-peers"}, "metadata.name must not end in '-peers'"),
    Bad("no spec", {"/spec": ABSENT}, "spec: Required value", "spec: must be set"),
    Bad("no plugins", {"plugins": ABSENT}, "spec.plugins: Required value", "must be set"),
    Bad(
        "empty plugins",
        {"plugins": []},
        "spec.plugins in body should have at least 1 items",
        "must have at least 1 item",
    ),
    Bad(
        "seventeen plugins",
        {"plugins": [PLUGIN | {"name": f"p{n}"} for n in range(17)]},
        "must have at most 16 items",
    ),
    Bad(
        "two plugins of one name",
        {"plugins": [PLUGIN, PLUGIN]},
        'spec.plugins[1]: Duplicate value: {"name":"inventory-check"}',
        "name must be unique: inventory-check",
    ),
    Bad(
        "plugins as a map",
        {"plugins": PLUGIN},
        'unknown field "spec.plugins.entryPoint"',
        "must be a valid tuple",
    ),
    Bad("plugin without a name", {f"{P}.name": ABSENT}, "name: Required value", "must be set"),
    Bad("name of a plugin", {f"{P}.name": "Inventory_Check"}, "should match", "must match"),
    Bad("plugin name too long", {f"{P}.name": "a" * 51}, "Too long", "at most 50 characters"),
    Bad(
        "runtime of another day",
        {f"{P}.runtime": "WebAssembly"},
        'Unsupported value: "WebAssembly": supported values: "Python"',
        "must be 'Python'",
    ),
    Bad("no runtime", {f"{P}.runtime": ABSENT}, "runtime: Required value", "must be set"),
    Bad("no source", {f"{P}.source": ABSENT}, "source: Required value", "must be set"),
    Bad("empty source", {f"{P}.source": {}}, "source must have exactly one of image and configMap"),
    Bad(
        "two sources",
        {f"{P}.source.image": PINNED["image"]},
        "source must have exactly one of image and configMap",
    ),
    Bad("image without digest", {f"{P}.source": IMAGE}, "digest must be set for an image"),
    Bad(
        "image with half a digest",
        {f"{P}.source": {"image": {"reference": "a@sha256:abc"}}},
        "digest must be set for an image",
    ),
    Bad(
        "image with a space",
        {f"{P}.source": IMAGE, f"{P}.source.image.reference": "a b", f"{P}.digest": DIGEST},
        "should match",
        "must match",
    ),
    Bad(
        "relative path",
        {f"{P}.source": PINNED, f"{P}.source.image.path": "plugin"},
        "should match",
        "must match",
    ),
    Bad(
        "path upwards",
        {f"{P}.source": PINNED, f"{P}.source.image.path": "/a/../../etc"},
        "should match",
        "must match",
    ),
    Bad(
        "pull policy",
        {f"{P}.source": PINNED, f"{P}.source.image.pullPolicy": "Sometimes"},
        'Unsupported value: "Sometimes"',
        "must be 'Always', 'IfNotPresent' or 'Never'",
    ),
    Bad(
        "ConfigMap without a name",
        {f"{P}.source.configMap.name": ABSENT},
        "source.configMap.name: Required value",
        "must be set",
    ),
    Bad(
        "ConfigMap of another namespace",
        {f"{P}.source.configMap.name": "other/plugin"},
        "should match",
        "must match",
    ),
    Bad("digest of another kind", {f"{P}.digest": "md5:abc"}, "should match", "must match"),
    Bad("entry point without a class", {f"{P}.entryPoint": "a"}, "should match", "must match"),
    Bad("entry point as a file", {f"{P}.entryPoint": "a.py:/B"}, "should match", "must match"),
    Bad(
        "isolation misspelt",
        {f"{P}.isolation": "perContext"},
        'supported values: "PerPlugin", "PerContext"',
        "must be 'PerPlugin' or 'PerContext'",
    ),
    Bad(
        "config with a number",
        {f"{P}.config": {"port": 8080}},
        "must be of type string",
        "must be a valid string",
    ),
    Bad(
        "config with too many keys",
        {f"{P}.config": {f"k{n}": "" for n in range(65)}},
        "must have at most 64 items",
    ),
    Bad(
        "config with a long value",
        {f"{P}.config": {"a": "v" * 4097}},
        "Too long: may not be more than 4096",
        "at most 4096 characters",
    ),
    Bad(
        "config too large in all",
        {f"{P}.config": dict.fromkeys("abcd", "v" * 4096)},
        "config must be at most 16384 bytes",
    ),
    Bad(
        "config too large in bytes",
        {f"{P}.config": dict.fromkeys("abc", "大" * 2000)},
        "config must be at most 16384 bytes",
    ),
    Bad(
        "config with an empty key", {f"{P}.config": {"": "x"}}, "keys of config must have 1 to 128"
    ),
    Bad(
        "config with a long key", {f"{P}.config": {"k" * 129: ""}}, "keys of config must have 1 to"
    ),
    Bad(
        "nine secrets",
        {f"{P}.secrets": [{"name": f"s{n}", "secretName": "x"} for n in range(9)]},
        "must have at most 8 items",
    ),
    Bad(
        "two secrets of one name",
        {f"{P}.secrets": [{"name": "s", "secretName": "x"}, {"name": "s", "secretName": "y"}]},
        'Duplicate value: {"name":"s"}',
        "name must be unique: s",
    ),
    Bad(
        "secret with the key of peers",
        {f"{P}.secrets": [{"name": "s", "secretName": "other-peers"}]},
        "secretName must not end in '-peers' or '-peers-rotation'",
    ),
    Bad(
        "secret with the second key of peers",
        {f"{P}.secrets": [{"name": "s", "secretName": "other-peers-rotation"}]},
        "secretName must not end in '-peers' or '-peers-rotation'",
    ),
    Bad(
        "secret with a path",
        {f"{P}.secrets": [{"name": "s/../t", "secretName": "x"}]},
        "should match",
        "must match",
    ),
    Bad("memory in words", {f"{P}.limits.memory": "64 MB"}, "should match", "must match"),
    Bad("memory of nothing", {f"{P}.limits.memory": 0}, "memory must be from 1Mi to 64Gi", "match"),
    Bad("memory too small", {f"{P}.limits.memory": "64Ki"}, "memory must be from 1Mi to 64Gi"),
    Bad("memory too large", {f"{P}.limits.memory": "65Gi"}, "memory must be from 1Mi to 64Gi"),
    Bad(
        "memory as a fraction",
        {f"{P}.limits.memory": 0.5},
        'must be of type integer,string: "number"',
        "must be a valid string",
    ),
    Bad(
        "request too large",
        {f"{P}.limits.requestBytes": "65Mi"},
        "requestBytes must be from 1 to 64Mi",
    ),
    Bad(
        "result too large",
        {f"{P}.limits.resultBytes": 67108865},
        "resultBytes must be from 1 to 64Mi",
    ),
    Bad(
        "more calls at once than a worker takes",
        {f"{P}.limits.concurrency": 17},
        "less than or equal to 16",
    ),
    Bad(
        "durable slots too large",
        {f"{P}.limits.durableBytes": "17Mi"},
        "durableBytes must be from 1 to 16Mi",
    ),
    Bad(
        "published too much",
        {f"{P}.limits.publishedBytes": "65Mi"},
        "publishedBytes must be from 1 to 64Mi",
    ),
    Bad(
        "no time for a call",
        {f"{P}.limits.callTimeoutMilliseconds": 0},
        "greater than or equal to 1",
    ),
    Bad(
        "time as text",
        {f"{P}.limits.callTimeoutMilliseconds": "1s"},
        "must be of type integer",
        "must be a valid integer",
    ),
    Bad("too many workers", {f"{P}.limits.workers": 9}, "less than or equal to 8"),
    Bad(
        "workers of a context",
        {f"{P}.isolation": "PerContext", f"{P}.limits.workers": 2},
        "workers must be 1 with isolation PerContext",
    ),
    Bad(
        "contexts with a worker each",
        {f"{P}.isolation": "PerContext", f"{P}.limits.maxContexts": 1025},
        "maxContexts must be at most 1024 with isolation PerContext",
    ),
    Bad("no contexts", {f"{P}.limits.maxContexts": 0}, "greater than or equal to 1"),
    Bad(
        "too many contexts",
        {f"{P}.limits.maxContexts": 1_000_001},
        "less than or equal to 1000000",
        "less than or equal to 1000000",
    ),
)
