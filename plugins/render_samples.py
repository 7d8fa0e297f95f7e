"""Writes manifests/samples from the plugins beside this file, or with --check finds drift.

Run from the repository's root: `python -m plugins.render_samples [--check]`.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

PLUGINS = Path(__file__).resolve().parent
SAMPLES = PLUGINS.parent / "manifests" / "samples"
SHIPPED = {".py", ".json", ".csv"}

HEADER = """\
# Written by `make generate` from plugins/. Change the sources there.
# The sandbox itself is at the end: what it names comes first.
"""

HELLO = """\
# The smallest sandbox there is. One context, one counter:
#   kubectl apply -f manifests/samples/hello.yaml
#   kubectl wait --for=condition=Ready psb/hello
# or, without a cluster:
#   pluginsandbox run manifests/samples/hello.yaml
#   pluginsandbox call hello greet --context me name=Ada
apiVersion: pluginsandbox.dev/v1alpha1
kind: PluginSandbox
metadata:
  name: hello
spec:
  plugins:
  - name: hello
    runtime: Python
    source: {configMap: {name: hello}}
    entryPoint: hello:Hello
    limits: {memory: 16Mi}
"""

SHOP = """\
# A shop's order path: three plugins, each with state of its own for each context.
#   kubectl apply -f manifests/samples/shop.yaml
#   kubectl wait --for=condition=Ready psb/shop
# or, without a cluster:
#   pluginsandbox run manifests/samples/shop.yaml
#   pluginsandbox call inventory-check reserve --context shanghai-1 sku=A-100 quantity=2
#
# `plugins[].secrets` is the administrator's to allow. In the values of the operator's chart:
#   allow:
#   - fields: ["plugins[].secrets"]
#     namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}
# Without it the sandbox is Stalled with reason NotAllowed, and says so.
apiVersion: pluginsandbox.dev/v1alpha1
kind: PluginSandbox
metadata:
  name: shop
spec:
  plugins:
  # The context is a warehouse.
  - name: inventory-check
    runtime: Python
    source: {configMap: {name: inventory-check}}
    entryPoint: inventory:InventoryCheck
    isolation: PerPlugin        # all warehouses in one worker
    config: {hold_seconds: "900"}
    limits: {memory: 32Mi, callTimeoutMilliseconds: 500}
  # The context is a merchant.
  - name: payment-callback
    runtime: Python
    source: {configMap: {name: payment-callback}}
    entryPoint: payments:PaymentCallback
    isolation: PerContext       # a worker of its own for each merchant
    config: {window_seconds: "300"}
    secrets: [{name: hmac, secretName: payment-callback-keys}]
    limits: {memory: 16Mi, callTimeoutMilliseconds: 500, maxContexts: 8, durableBytes: 512Ki}
  # The context is a parcel.
  - name: logistics-track
    runtime: Python
    source: {configMap: {name: logistics-track}}
    entryPoint: logistics:LogisticsTrack
    isolation: PerPlugin        # all parcels in one worker
    limits: {memory: 32Mi, callTimeoutMilliseconds: 500, maxContexts: 10000}
  contexts: {idleTimeoutSeconds: 300, deadlineSeconds: 3600}
  host:
    warmWorkers: 2
"""

KEYS = """\
# A key for demonstrations. Anybody can read it here: never use it for anything else.
apiVersion: v1
kind: Secret
metadata:
  name: payment-callback-keys
stringData:
  demo: demo-key-that-is-no-secret
"""


def main() -> int:
    """Write the samples; with --check only compare. Return 1 if one had drifted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare only; fail on drift")
    check = parser.parse_args().check
    drifted = [path for path, text in samples().items() if _differs(path, text)]
    for path in drifted:
        done = "drifted" if check else "wrote"
        sys.stdout.write(f"{done} {path.relative_to(PLUGINS.parent)}\n")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(samples()[path], encoding="utf-8")
    return 1 if check and drifted else 0


def samples() -> dict[Path, str]:
    """Return what each sample must be."""
    shop = ("inventory-check", "payment-callback", "logistics-track")
    return {
        SAMPLES / "hello.yaml": _joined(HEADER, config_map("hello"), HELLO),
        SAMPLES / "shop.yaml": _joined(HEADER, *map(config_map, shop), KEYS, SHOP),
    }


def _joined(*documents: str) -> str:
    return "---\n".join(documents)


def config_map(plugin: str) -> str:
    """Return the labelled ConfigMap that carries a plugin's files."""
    return "\n".join(_config_map_lines(plugin))


def _config_map_lines(plugin: str) -> Iterator[str]:
    yield "apiVersion: v1"
    yield "kind: ConfigMap"
    yield "metadata:"
    yield f"  name: {plugin}"
    yield '  labels: {pluginsandbox.dev/source: "true"}   # so that a change is noticed at once'
    yield "data:"
    for file in sorted((PLUGINS / plugin).iterdir()):
        if file.suffix in SHIPPED:
            yield f"  {file.name}: |"
            yield textwrap.indent(file.read_text(encoding="utf-8").rstrip("\n"), "    ")
    yield ""


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text(encoding="utf-8") != text


if __name__ == "__main__":
    sys.exit(main())
