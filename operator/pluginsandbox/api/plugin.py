"""What an author says of one plugin."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pluginsandbox.api.model import ListMap, Model, Rule
from pluginsandbox.api.names import Int32, Name, ObjectName
from pluginsandbox.api.quantity import Between, Bytes, parse_bytes

Runtime = Literal["Python"]
Isolation = Literal["PerPlugin", "PerContext"]
PullPolicy = Literal["Always", "IfNotPresent", "Never"]

MAX_CONFIG_BYTES = 16 << 10
MAX_CONFIG_KEY = 128
DEFAULT_CONTEXTS = {"PerPlugin": 1000, "PerContext": 16}
MAX_WORKER_CONTEXTS = 1024  # one process each: the pod's limit of processes is near
_PINNED = "@sha256:[0-9a-f]{64}$"


class ImageSource(Model):
    """Files of a plugin in an OCI image, which the kubelet mounts read-only; nothing in it is run.

    An image without a digest in its reference needs the plugin's `digest`.
    """

    reference: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$", min_length=1, max_length=512),
    ]
    """Image to mount, such as registry.example/shop/inventory@sha256:..."""
    path: Annotated[
        str,
        StringConstraints(
            pattern=r"^/([A-Za-z0-9_+-][A-Za-z0-9._+-]*(/[A-Za-z0-9_+-][A-Za-z0-9._+-]*)*)?$",
            max_length=256,
        ),
    ] = "/"
    """Directory in the image that holds the plugin's files."""
    pull_policy: PullPolicy = "IfNotPresent"
    """When the kubelet pulls the image."""

    @property
    def pinned(self) -> bool:
        """Whether the reference itself names one digest."""
        return re.search(_PINNED, self.reference) is not None


class ConfigMapSource(Model):
    """Files of a plugin in a ConfigMap of the same namespace: one file for each key.

    Label it pluginsandbox.dev/source=true, so that a change is noticed at once. The operator
    copies it: pods never see a half-made change.
    """

    name: ObjectName
    """Name of the ConfigMap."""


class Source(Model):
    """Where a plugin's files come from: exactly one of the fields."""

    image: ImageSource | None = None
    config_map: ConfigMapSource | None = None

    rules = (
        Rule(
            cel="has(self.image) != has(self.configMap)",
            check=lambda source: (source.image is None) != (source.config_map is None),
            message="source must have exactly one of image and configMap",
        ),
    )


class PluginSecret(Model):
    """A Secret that a plugin may read; the kubelet mounts it, the operator never sees it."""

    name: Name
    """Name by which the plugin asks for it: lower-case letters, digits and '-'."""
    secret_name: Annotated[
        ObjectName,
        Rule(
            cel="!self.matches('-peers(-rotation)?$')",
            check=lambda name: not name.endswith(("-peers", "-peers-rotation")),
            message="secretName must not end in '-peers' or '-peers-rotation': such Secrets hold "
            "the keys by which the pods of a sandbox know each other",
        ),
    ]
    """Name of the Secret, in the namespace of the sandbox."""


class PluginLimits(Model):
    """What one plugin may use."""

    memory: Annotated[Bytes, Between("memory", "1Mi", "64Gi")] = "64Mi"
    """Memory of one worker, above what an idle worker takes anyway. A worker over it dies."""
    call_timeout_milliseconds: Annotated[Int32, Field(ge=1, le=3_600_000)] = 1000
    """Time for one call, from when a worker takes it."""
    workers: Annotated[Int32, Field(ge=1, le=8)] = 1
    """Workers of a PerPlugin plugin; each context stays with one of them."""
    concurrency: Annotated[Int32, Field(ge=1, le=16)] = 1
    """Calls at once in one context. Above 1 all functions must be async, and calls of all contexts
    of a worker overlap where they wait."""
    max_contexts: Annotated[Int32, Field(ge=1, le=1_000_000)] | None = None
    """Contexts of the plugin in one pod. Absent: 1000, or 16 with isolation PerContext."""
    request_bytes: Annotated[Bytes, Between("requestBytes", "1", "64Mi")] = "1Mi"
    """Size of a call's arguments, as they are sent."""
    result_bytes: Annotated[Bytes, Between("resultBytes", "1", "64Mi")] = "1Mi"
    """Size of a call's result, as it is sent."""
    durable_bytes: Annotated[Bytes, Between("durableBytes", "1", "16Mi")] = "64Ki"
    """Size of what one context has in durable slots, which outlive its worker. All contexts of the
    plugin in one pod together have at most 64 times as much."""

    @property
    def durable_size(self) -> int:
        """`durableBytes` as a number."""
        return parse_bytes(self.durable_bytes)

    published_bytes: Annotated[Bytes, Between("publishedBytes", "1", "64Mi")] | None = None
    """Size of what the plugin may publish for the other plugins to read. Absent: nothing."""

    @property
    def published_size(self) -> int:
        """`publishedBytes` as a number; 0 if it is absent."""
        return 0 if self.published_bytes is None else parse_bytes(self.published_bytes)

    @property
    def memory_bytes(self) -> int:
        """`memory` as a number."""
        return parse_bytes(self.memory)


def _config_fits(config: Mapping[str, str]) -> bool:
    size = sum(len(key.encode()) + len(value.encode()) for key, value in config.items())
    return size <= MAX_CONFIG_BYTES


class Plugin(Model):
    """One plugin: third-party code, where it comes from, and what it may use."""

    name: Name
    """Name of the plugin in calls, metrics and status: lower-case letters, digits and '-'."""
    runtime: Runtime
    """What runs the plugin."""
    source: Source
    digest: (
        Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)] | None
    ) = None
    """Digest of the plugin's files: SHA-256 over the sorted lines of '<sha256> <relative path>',
    each ended by a newline. Files that do not match are never loaded. Required for an image
    without @sha256."""
    entry_point: Annotated[
        str,
        StringConstraints(
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$",
            max_length=256,
        ),
    ]
    """Class to load, as module:Class or package.module:Class."""
    isolation: Isolation = "PerPlugin"
    """What has a process of its own. PerPlugin: the plugin; its contexts are kept apart by the SDK
    only, which is no wall against hostile code. PerContext: each context of the plugin."""
    config: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=4096)]],
        Field(max_length=64),
        Rule(
            cel=f"self.all(key, size(key) >= 1 && size(key) <= {MAX_CONFIG_KEY})",
            check=lambda config: all(1 <= len(key) <= MAX_CONFIG_KEY for key in config),
            message=f"keys of config must have 1 to {MAX_CONFIG_KEY} characters",
        ),
        Rule(
            cel="self.map(key, size(bytes(key)) + size(bytes(self[key]))).sum()"
            f" <= {MAX_CONFIG_BYTES}",
            check=_config_fits,
            message=f"config must be at most {MAX_CONFIG_BYTES} bytes, keys and values in all",
        ),
    ] = Field(default_factory=dict)
    """Settings that the plugin reads; at most 16 KiB in all."""
    secrets: Annotated[tuple[PluginSecret, ...], Field(max_length=8), ListMap()] = ()
    """Secrets that the plugin reads as files. Only where the administrator allows it."""
    limits: PluginLimits = PluginLimits()

    rules = (
        Rule(
            cel="has(self.digest) || !has(self.source.image)"
            f" || self.source.image.reference.matches('{_PINNED}')",
            check=lambda plugin: (
                plugin.digest is not None
                or plugin.source.image is None
                or plugin.source.image.pinned
            ),
            message="digest must be set for an image whose reference does not end in @sha256:...",
            field=".digest",
        ),
        Rule(
            cel="self.isolation != 'PerContext' || self.limits.workers == 1",
            check=lambda plugin: plugin.isolation != "PerContext" or plugin.limits.workers == 1,
            message="workers must be 1 with isolation PerContext: each context has its own worker",
            field=".limits.workers",
        ),
        Rule(
            cel="self.isolation != 'PerContext' || !has(self.limits.maxContexts)"
            f" || self.limits.maxContexts <= {MAX_WORKER_CONTEXTS}",
            check=lambda plugin: (
                plugin.isolation != "PerContext" or plugin.max_contexts <= MAX_WORKER_CONTEXTS
            ),
            message=f"maxContexts must be at most {MAX_WORKER_CONTEXTS} with isolation PerContext",
            field=".limits.maxContexts",
        ),
    )

    @property
    def max_contexts(self) -> int:
        """Contexts of this plugin in one pod; the default depends on the isolation."""
        return self.limits.max_contexts or DEFAULT_CONTEXTS[self.isolation]
