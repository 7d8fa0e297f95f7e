"""What a host keeps of its load is what the autoscaler reads: bounded, a mean of each second."""

from __future__ import annotations

import msgspec
import pytest

from pluginsandbox.api.host_stats import SAMPLES, HostLoad, HostSample, decode_load
from pluginsandbox.host.load import Load, until_next


def test_a_second_is_the_mean_of_what_was_there_and_the_counts_of_what_came() -> None:
    load = Load(0.0)
    load.requests += 3
    load.refused += 1
    load.calls.up(0.0)
    load.calls.up(0.5)
    load.queued.up(0.5)
    load.calls.down(0.75)
    found = load.sample(1.0, 1_800_000_000.2, contexts=7)
    assert found == HostSample(1_800_000_000, 1250, 500, 3, 1, 7, calls=1, waiting=1)
    assert load.sample(2.0, 1_800_000_001.2, contexts=7).requests == 0


def test_two_minutes_are_kept_and_read_back_as_they_were() -> None:
    load = Load(0.0)
    load.calls.up(0.0)
    for second in range(1, SAMPLES + 50):
        load.sample(float(second), float(second), contexts=0)
    kept = tuple(load)
    assert [each.time for each in kept] == list(range(50, SAMPLES + 50))
    assert decode_load(msgspec.json.encode(HostLoad(kept))) == kept


@pytest.mark.parametrize("unix_time", [1e9, 1e9 + 0.009, 1e9 + 0.01, 1e9 + 0.5, 1e9 + 0.999])
def test_every_host_closes_each_second_once_just_after_its_end(unix_time: float) -> None:
    at = unix_time + until_next(unix_time)
    assert int(at) == int(unix_time) + 1
    assert at % 1 == pytest.approx(0.01, abs=1e-6)


@pytest.mark.parametrize("number", ["-1", "1e3", "1000000001", "null", '"1"', "NaN"])
def test_a_number_that_cannot_be_is_refused(number: str) -> None:
    sample = f'"time": 1, "queued": 0, "requests": 0, "refused": 0, "contexts": {number}'
    with pytest.raises(msgspec.DecodeError):
        decode_load(f'{{"samples": [{{"concurrency": 0, {sample}}}]}}'.encode())
