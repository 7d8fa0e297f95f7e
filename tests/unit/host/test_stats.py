"""What a host says of itself is never more than the operator reads."""

from __future__ import annotations

import pytest

from pluginsandbox.api import host_stats
from pluginsandbox.host import stats
from pluginsandbox.host.runtime import Act, Confinement
from tests.unit.host.fake_runtime import Bench, config, plugin

MOST_PLUGINS = 16
MOST_ACTS = 200


@pytest.mark.parametrize("letter", ["x", "\x01", '"', "\u20ac", "\U0001f980"])
def test_sixteen_plugins_with_the_longest_messages_are_still_read_whole(letter: str) -> None:
    names = [f"{number:02}{'n' * 61}" for number in range(MOST_PLUGINS)]
    bench = Bench(config(*(plugin(name) for name in names)))
    for name in names:
        bench.plugin(name).fail("ConfinementImpossible", letter * 5000)
    acts = tuple(Act(letter * 500, held=False, detail=letter * 500) for _ in range(MOST_ACTS))
    bench.host.confinement = Confinement(landlock_abi=7, acts=acts)
    for second in range(2 * host_stats.SAMPLES):
        bench.host.load.sample(float(second), float(host_stats.MAX_TIME), host_stats.MAX_COUNT)
    document = stats.document(bench.host)
    assert len(document) < host_stats.MAX_BYTES
    told = host_stats.decode(document)
    assert [each.name for each in told.plugins] == names
    assert all(each.message.startswith(letter) for each in told.plugins)
    assert len(host_stats.decode_load(document)) == host_stats.SAMPLES
