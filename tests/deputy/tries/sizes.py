"""Tries to cost more than a sandbox may: huge objects, numbers without bounds, dear expressions."""

from __future__ import annotations

from typing import Any

from tests.deputy.record import NOTHING, OPERATOR, SCHEMA, SERVER, Request, Try
from tests.unit.api.cases import P
from tests.unit.api.objects import PLUGIN

MEMORY = f"{P}.limits.memory"
ALIASES = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
BOMB = f"apiVersion: pluginsandbox.dev/v1alpha1\nkind: PluginSandbox\na0: &a0 [x]\n{ALIASES}\n"
DEEP = b'{"apiVersion":"pluginsandbox.dev/v1alpha1","kind":"PluginSandbox","spec":' + b"[" * 20000
SCHEDULE = {"schedule": "0 0 */7 2 1#5", "durationSeconds": 604800, "minReplicas": 2}
KEYS = [
    {"key": f"k{n}", "operator": "In", "values": [f"{m:063}" for m in range(16)]} for n in range(16)
]


def config(plugin: int) -> dict[str, str]:
    return {f"k{plugin}-{n}": "x" * 4000 for n in range(4)}


def cron(schedule: str, zone: str = "UTC") -> dict[str, Any]:
    one = {**SCHEDULE, "name": "s", "schedule": schedule, "timeZone": zone}
    return {"scaling": {"minReplicas": 1, "maxReplicas": 2, "schedules": [one]}}


SIZES = (
    Try(
        "send four megabytes",
        SERVER,
        says="too large",
        request=Request("POST", "$HERE", b'{"a":"' + b"x" * (4 << 20) + b'"}'),
    ),
    Try("keep two megabytes", SERVER, {"metadata.annotations": {"a": "x" * (2 << 20)}}, "Too long"),
    Try(
        "have 16 plugins with 16 KiB of configuration each",
        NOTHING,
        {"plugins": [{**PLUGIN, "name": f"p{n}", "config": config(n)} for n in range(16)]},
    ),
    Try(
        "have 17 KiB of configuration",
        SCHEMA,
        {f"{P}.config": {f"k{n}": "x" * 4000 for n in range(5)}},
        "config must be at most 16384 bytes",
    ),
    Try(
        "have one setting of 4097 characters",
        SCHEMA,
        {f"{P}.config": {"k": "x" * 4097}},
        "Too long",
    ),
    Try(
        "have 65 settings", SCHEMA, {f"{P}.config": {f"k{n}": "" for n in range(65)}}, "at most 64"
    ),
    Try(
        "have 17 plugins",
        SCHEMA,
        {"plugins": [{**PLUGIN, "name": f"p{n}"} for n in range(17)]},
        "at most 16 items",
    ),
    Try(
        "copy one ConfigMap 16 times",
        OPERATOR,
        {
            "plugins": [
                {**PLUGIN, "name": f"p{n}", "source": {"configMap": {"name": "large"}}}
                for n in range(16)
            ]
        },
        "SourceTooLarge",
    ),
    Try(
        "fill a revision of 200 KiB",
        NOTHING,
        {"metadata.annotations": {"pluginsandbox.dev/revision": "r" * (200 << 10)}},
    ),
    *(
        Try(f"ask for {what} pods", SCHEMA, {"replicas": value}, "spec.replicas")
        for what, value in (
            ("1,001", 1001),
            ("minus one", -1),
            ("2^63", 2**63 - 1),
            ("one and a half", 1.5),
            ("'many'", "many"),
        )
    ),
    Try("ask for 1,000 pods", NOTHING, {"replicas": 1000}),
    *(
        Try(f"ask for memory of {value or 'nothing'!r}", SCHEMA, {MEMORY: value}, "memory")
        for value in (
            "-1Mi",
            "0",
            "65Gi",
            "999999999999999Gi",
            "1e9",
            "Infinity",
            "",
            " 64Mi",
            "64mi",
        )
    ),
    Try("ask for all the memory there may be", NOTHING, {MEMORY: "64Gi"}),
    Try(
        "set aside more memory than it may use",
        OPERATOR,
        {"host.resources.requests.memory": "4096Gi"},
        "SpecInvalid",
    ),
    Try("ask for 257 processors", SCHEMA, {"host.resources.limits.cpu": "257"}, "cpu must be"),
    Try(
        "set aside more processors than it may use",
        SCHEMA,
        {"host.resources.requests.cpu": 1, "host.resources.limits.cpu": "500m"},
        "requests.cpu must be at most limits.cpu",
    ),
    Try("leave for an hour and a second", SCHEMA, {"host.terminationGraceSeconds": 3601}, "3600"),
    Try(
        "have a call last for ever",
        SCHEMA,
        {f"{P}.limits.callTimeoutMilliseconds": 2**31},
        "3600000",
    ),
)

COST = (
    Try(
        "have YAML unfold",
        SERVER,
        says="",
        request=Request("POST", "$HERE", BOMB.encode(), "application/yaml"),
    ),
    Try("nest twenty thousand lists", SERVER, says="", request=Request("POST", "$HERE", DEEP)),
    Try(
        "have every rule check the most",
        NOTHING,
        {
            "network.allowFrom": [
                {
                    "podSelector": {"matchExpressions": KEYS},
                    "namespaceSelector": {"matchExpressions": KEYS},
                }
            ]
            * 16
        },
    ),
    Try(
        "have a regular expression run for long",
        SCHEMA,
        {"pod.labels": {f"{'a.' * 120}{'a' * 60}!": "x"}},
        "keys must be",
    ),
    Try(
        "have 16 schedules that come once in 28 years",
        NOTHING,
        {
            "scaling": {
                "minReplicas": 1,
                "maxReplicas": 2,
                "schedules": [{**SCHEDULE, "name": f"s{n}"} for n in range(16)],
            }
        },
    ),
    Try("have a schedule that never comes", OPERATOR, cron("0 0 */6 2 1#5"), "SpecInvalid"),
    Try("have a schedule in each minute", NOTHING, cron("* * * * *")),
    Try("have a schedule that is none", OPERATOR, cron("\x1b[2J * * * *"), "SpecInvalid"),
    Try(
        "read a file as a time zone",
        OPERATOR,
        cron("0 0 * * *", "../../../etc/passwd"),
        "SpecInvalid",
    ),
    Try(
        "read a file of the root as a time zone",
        OPERATOR,
        cron("0 0 * * *", "/etc/passwd"),
        "SpecInvalid",
    ),
    Try("have a folder for a time zone", OPERATOR, cron("0 0 * * *", "America"), "SpecInvalid"),
    Try("have a time zone with a NUL", OPERATOR, cron("0 0 * * *", "UTC\x00"), "SpecInvalid"),
    Try("have a schedule of 129 characters", SCHEMA, cron("0 0 * * " + "1" * 121), "Too long"),
)
