"""Hours with more pods: which schedule holds at a moment."""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo

from cronsim import CronSim

from pluginsandbox.api.scaling import Scaling, Schedule

MINUTE = 60


def floor(policy: Scaling, now: int) -> tuple[int, str]:
    """Return the least number of pods at a moment, and the schedule that asks for it.

    Args:
        policy: What the author asked for.
        now: Unix time in seconds.

    Returns:
        minReplicas and no name where no schedule asks for more.

    """
    least, name = policy.min_replicas, ""
    for schedule in policy.schedules:
        if schedule.min_replicas > least and holds(schedule, now):
            least, name = schedule.min_replicas, schedule.name
    return least, name


def holds(schedule: Schedule, now: int) -> bool:
    """Tell whether a schedule began, and is not over, at a moment (Unix time in seconds)."""
    began = _next(
        schedule.schedule, schedule.time_zone, (now - schedule.duration_seconds) // MINUTE
    )
    return began is not None and began <= now


@functools.lru_cache(maxsize=4096)
def _next(schedule: str, zone: str, minute: int) -> int | None:
    """Return the first beginning after a minute (of Unix time), which is a moment in that minute.

    Schedules begin with a minute: what follows a moment follows its minute too. Where the clock is
    set back, the first that cron names may be the earlier of two, and past already.
    """
    moment = dt.datetime.fromtimestamp(minute * MINUTE, zoneinfo.ZoneInfo(zone))
    following = (int(each.timestamp()) for each in CronSim(schedule, moment))
    return next((each for each in following if each > minute * MINUTE), None)
