"""Reads the metrics of a pod, and says which of them changed."""

from __future__ import annotations

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from tests.bed.kubectl import Kubectl

Series = dict[str, float]
HIDDEN_LABELS = ("namespace", "sandbox")
HIDDEN_SUFFIXES = ("_bucket", "_created")


def read(kubectl: Kubectl, namespace: str, target: str, port: int) -> Series:
    """Return every series of ours at /metrics of a pod or Service, by name and labels."""
    with kubectl.forward(namespace, target, port) as local:
        url = f"http://127.0.0.1:{local}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return parse(answer.read().decode())


def parse(text: str) -> Series:
    """Return every series of ours in a page of metrics."""
    return {
        name(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("pluginsandbox_") and not sample.name.endswith(HIDDEN_SUFFIXES)
    }


def name(metric: str, labels: dict[str, str]) -> str:
    """Write a series as Prometheus does, without the labels that are the same for all."""
    told = [f'{key}="{value}"' for key, value in labels.items() if key not in HIDDEN_LABELS]
    return f"{metric}{{{', '.join(told)}}}" if told else metric


def changed(before: Series, after: Series) -> list[tuple[str, float]]:
    """Return what grew or shrank, and by how much, in alphabetical order."""
    both = sorted({**before, **after})
    deltas = ((key, after.get(key, 0.0) - before.get(key, 0.0)) for key in both)
    return [(key, delta) for key, delta in deltas if delta]
