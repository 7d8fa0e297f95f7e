"""`python -m tests.manifests`: writes what is generated from the chart; with --check, compares."""

from __future__ import annotations

import argparse
import re
import sys

from tests.bed import shell
from tests.cluster import tools
from tests.cluster.errors import ClusterError
from tests.manifests import copies

NAMESPACE = """\
---
apiVersion: v1
kind: Namespace
metadata:
  name: pluginsandbox-system
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""
OLDEST_KUBERNETES = "1.33.0"


def rendered() -> str:
    """Return the chart with its default values as plain manifests, its namespace first.

    Raises:
        ClusterError: helm could not be built.
        CommandError: helm refused the chart.
    """
    release = ("pluginsandbox", copies.CHART, "--namespace", "pluginsandbox-system")
    fixed = ("--kube-version", OLDEST_KUBERNETES)
    printed = shell.run(tools.find("helm"), "template", *release, *fixed).stdout
    # These differ between versions of helm, and say nothing.
    body = re.sub(
        r"\n+---\n", "\n---\n", re.sub(r"^# Source: .*\n", "", printed, flags=re.MULTILINE)
    )
    return NAMESPACE + body


def check() -> list[str]:
    """Return the generated files that differ from their sources."""
    drifted = [
        path
        for path, text in copies.PLAIN
        if not path.exists() or path.read_text(encoding="utf-8") != text()
    ]
    if not copies.is_sealed(copies.INSTALL.read_text(encoding="utf-8")):
        drifted.append(copies.INSTALL)
    return [str(path.relative_to(shell.REPOSITORY)) for path in drifted]


def write() -> None:
    """Write all generated files."""
    for path, text in copies.PLAIN:
        path.write_text(text(), encoding="utf-8")
    copies.INSTALL.write_text(copies.sealed(rendered()), encoding="utf-8")


def main() -> int:
    """Write, or check; 0 for success, 1 for drift."""
    parser = argparse.ArgumentParser(prog="python -m tests.manifests", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; fail on drift")
    try:
        if not parser.parse_args().check:
            write()
            return 0
        drifted = check()
    except (ClusterError, shell.CommandError, OSError, ValueError) as error:
        print(f"manifests: {error}", file=sys.stderr)
        return 1
    for path in drifted:
        print(f"{path} differs from its source", file=sys.stderr)
    return 1 if drifted else 0


if __name__ == "__main__":
    sys.exit(main())
