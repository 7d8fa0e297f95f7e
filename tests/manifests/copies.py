"""The generated files: what each must contain, told without writing it."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Callable
from pathlib import Path

from tests.bed.shell import REPOSITORY
from tests.manifests import values

CHART = REPOSITORY / "charts" / "pluginsandbox"
CRD = REPOSITORY / "crds" / "pluginsandbox.dev_pluginsandboxes.yaml"
CHART_CRD = CHART / "files" / "crd.yaml"
INSTALL = REPOSITORY / "manifests" / "install.yaml"
GUIDE = REPOSITORY / "docs" / "install.md"
ARGOCD = REPOSITORY / "manifests" / "argocd"
CUSTOM = ARGOCD / "resource_customizations"
HEALTH = CUSTOM / "pluginsandbox.dev" / "PluginSandbox" / "health.lua"
PLUGIN = REPOSITORY / "plugins" / "hello" / "hello.py"
ARGOCD_PLUGIN = ARGOCD / "hello" / "hello.py"
ARGOCD_CM = ARGOCD / "argocd-cm.yaml"
SUM = "# Sum of chart and text: "


def chart_crd() -> str:
    """Return the chart's copy of the kind: charts cannot reach out of their folder."""
    return CRD.read_text(encoding="utf-8")


def guide() -> str:
    """Return the installation guide with its table of values."""
    text = GUIDE.read_text(encoding="utf-8")
    return values.insert(text, values.table((CHART / "values.yaml").read_text(encoding="utf-8")))


def argocd_cm() -> str:
    """Return the part of Argo CD's own ConfigMap that teaches it health."""
    scripts = {path.parent: path.read_text(encoding="utf-8") for path in _scripts()}
    keys = (
        f"  resource.customizations.health.{kind.parent.name}_{kind.name}: |\n"
        + textwrap.indent(script, " " * 4)
        for kind, script in scripts.items()
    )
    return f"""\
# Generated from {CUSTOM.relative_to(ARGOCD)}/*/*/health.lua by `make generate`.
# kubectl patch configmap argocd-cm -n argocd --patch-file manifests/argocd/argocd-cm.yaml
data:
{"".join(keys)}"""


def _scripts() -> list[Path]:
    return sorted(CUSTOM.glob("*/*/health.lua"))


def argocd_plugin() -> str:
    """Return the sample's copy of a plugin: Kustomize cannot reach out of its folder."""
    return PLUGIN.read_text(encoding="utf-8")


def sealed(body: str) -> str:
    """Return rendered manifests under a header whose sum shows when they or the chart change.

    So drift is found in a moment, and on machines that have no helm.
    """
    header = "# Rendered from charts/pluginsandbox by `make generate`; change the chart instead.\n"
    return f"{header}{SUM}{_sum(body)}\n{body}"


def is_sealed(text: str) -> bool:
    """Tell whether rendered manifests are untouched and made from the chart as it is now."""
    parts = text.split("\n", 2)
    return len(parts) == 3 and parts[1] == f"{SUM}{_sum(parts[2])}"


def _sum(body: str) -> str:
    digest = hashlib.sha256(body.encode())
    for path in sorted(CHART.rglob("*")):
        if path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{content} {path.relative_to(CHART)}\n".encode())
    return digest.hexdigest()


PLAIN: tuple[tuple[Path, Callable[[], str]], ...] = (
    (CHART_CRD, chart_crd),
    (GUIDE, guide),
    (ARGOCD_CM, argocd_cm),
    (ARGOCD_PLUGIN, argocd_plugin),
)
"""Files, and what they must contain; the chart's own come before what is made from the chart."""
