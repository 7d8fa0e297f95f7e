"""All tries, by group; the order is that of the table in docs/security.md."""

from __future__ import annotations

from collections.abc import Mapping

from tests.deputy.record import Try
from tests.deputy.tries import far, names, placement, pods, sizes, words

GROUPS: Mapping[str, tuple[Try, ...]] = {
    "other namespaces": far.NAMESPACES,
    "Secrets and ConfigMaps": far.SECRETS,
    "other people's objects": far.OBJECTS,
    "the pod": pods.PODS,
    "paths and images": pods.PATHS,
    "placement": placement.PLACEMENT,
    "labels and annotations": placement.LABELS,
    "network": placement.NETWORK,
    "names": names.NAMES,
    "size": sizes.SIZES,
    "cost": sizes.COST,
    "characters": words.WORDS,
}
TRIES = tuple(each for group in GROUPS.values() for each in group)
