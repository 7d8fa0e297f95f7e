"""How a sandbox's number of pods follows its load: `spec.scaling`."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Annotated, Literal

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from pluginsandbox.api.model import ListMap, Model, Rule
from pluginsandbox.api.names import Int32, Name

MetricType = Literal["Concurrency", "RequestsPerSecond", "Contexts"]
Paused = Literal["None", "Both", "ScaleUp", "ScaleDown"]

CRON_FIELDS = 5
MAX_REPLICAS = 1000

Replicas = Annotated[Int32, Field(ge=1, le=MAX_REPLICAS)]


def _cron(text: str) -> str:
    """Return `text` if it is a schedule that cron would run, ever."""
    why = _broken(text)
    if why:
        raise PydanticCustomError(
            "rule",
            "must be a schedule of cron, such as '0 20 * * *', not {text}: {why}",
            {"text": repr(text), "why": why},
        )
    return text


def _broken(text: str) -> str:
    """Return what is wrong with a schedule; nothing if it is well."""
    if len(text.split()) != CRON_FIELDS:
        return "it must have 5 fields: minute hour day-of-month month day-of-week"
    try:
        next(CronSim(text, dt.datetime(2000, 1, 1, tzinfo=dt.UTC)))
    except CronSimError as error:
        return str(error)
    except StopIteration:
        return "no such day ever comes"
    return ""


def _zone(name: str) -> str:
    """Return `name` if the time zone database has it."""
    try:
        zoneinfo.ZoneInfo(name)
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise PydanticCustomError(
            "rule",
            "must be a name of the time zone database, such as Asia/Shanghai, not {name}",
            {"name": repr(name)},
        ) from error
    return name


class Metric(Model):
    """One measure of load, and how much of it a pod should carry."""

    type: MetricType
    """Concurrency: calls in progress or waiting. RequestsPerSecond: calls that come, refused ones
    included. Contexts: contexts that are bound."""
    target: Annotated[Int32, Field(ge=1, le=1_000_000)]
    """How much of it each pod should carry."""


class Schedule(Model):
    """Hours in which there are more pods, whatever the load."""

    name: Name
    """Name of the schedule, for messages."""
    schedule: Annotated[str, StringConstraints(min_length=9, max_length=128), AfterValidator(_cron)]
    """When it begins, as cron has it: minute, hour, day of month, month, day of week. A time that
    daylight saving leaves out comes an hour later; one that it repeats counts once."""
    duration_seconds: Annotated[Int32, Field(ge=60, le=604_800)]
    """How long it lasts, in seconds that pass, also where the clock is set."""
    time_zone: Annotated[
        str, StringConstraints(min_length=1, max_length=64), AfterValidator(_zone)
    ] = "UTC"
    """Whose clock the schedule means: a name of the time zone database."""
    min_replicas: Replicas
    """Least number of pods while it lasts."""


class Rates(Model):
    """How fast the number of pods may change: what one decision, once a second, may do.

    One pod it may add or remove in any case.
    """

    up_percent: Annotated[Int32, Field(ge=1, le=100_000)] = 900
    """Pods that are added at most, in percent of those wanted before."""
    down_percent: Annotated[Int32, Field(ge=1, le=100)] = 50
    """Pods that are removed at most, in percent of those wanted before."""


class Forecast(Model):
    """Pods ahead of a load that comes back. It only ever adds pods, and none while it is wrong."""

    season_seconds: Annotated[Int32, Field(ge=600, le=604_800)] = 86_400
    """After how long the load comes back: a day unless given."""


class Scaling(Model):
    """How the number of pods follows the load."""

    min_replicas: Replicas = 1
    """Least number of pods."""
    max_replicas: Replicas | None = None
    """Most pods. Absent: as minReplicas. The autoscaler is on where it is more than that."""
    metrics: Annotated[
        tuple[Metric, ...], Field(min_length=1, max_length=3), ListMap(("type",))
    ] = (Metric(type="Concurrency", target=8),)
    """What is measured; the one that asks for most pods wins."""
    stable_window_seconds: Annotated[Int32, Field(ge=6, le=600)] = 60
    """Over how long the usual load is taken. A second far above it is a surge, and answered at
    once."""
    panic_window_seconds: Annotated[Int32, Field(ge=1, le=60)] = 6
    """Over how long load that is no surge is averaged."""
    scale_down_delay_seconds: Annotated[Int32, Field(ge=0, le=3600)] = 60
    """For how long the most pods that were needed are kept."""
    tolerance_percent: Annotated[Int32, Field(ge=0, le=50)] = 0
    """A change by fewer pods than this share of those wanted is not made."""
    rates: Rates = Rates()
    schedules: Annotated[tuple[Schedule, ...], Field(max_length=16), ListMap()] = ()
    """Hours with more pods."""
    forecast: Forecast | None = None
    """Absent: none."""
    paused: Paused = "None"
    """Which changes are held back: none, all, more pods, or fewer pods. While they are, the
    bounds above do not move the number in that direction either."""

    rules = (
        Rule(
            cel="!has(self.maxReplicas) || self.maxReplicas >= self.minReplicas",
            check=lambda item: item.most >= item.min_replicas,
            message="maxReplicas must be at least minReplicas",
            field=".maxReplicas",
        ),
        Rule(
            cel="self.panicWindowSeconds <= self.stableWindowSeconds",
            check=lambda item: item.panic_window_seconds <= item.stable_window_seconds,
            message="panicWindowSeconds must be at most stableWindowSeconds",
            field=".panicWindowSeconds",
        ),
        Rule(
            cel="!has(self.schedules) || self.schedules.all(each, each.minReplicas <= "
            "(has(self.maxReplicas) ? self.maxReplicas : self.minReplicas))",
            check=lambda item: all(each.min_replicas <= item.most for each in item.schedules),
            message="schedules[].minReplicas must be at most maxReplicas",
            field=".schedules",
        ),
    )

    @property
    def on(self) -> bool:
        """Whether the load decides."""
        return self.most > self.min_replicas and self.paused != "Both"

    @property
    def most(self) -> int:
        """Most pods, also where maxReplicas is absent."""
        return self.min_replicas if self.max_replicas is None else self.max_replicas
