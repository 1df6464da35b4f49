"""`budgets:` and `brakes:`: what holds runs back whatever their playbooks say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from engine.domain.clock import parse_time
from engine.language.diagnostics import Report
from engine.language.fileforms import BreakerForm
from engine.language.forms import Form, bad, bad_type
from engine.language.rules import Schedule
from engine.language.schedulereading import read_schedule
from engine.language.schedules import checked_fields, checked_timezone, cron_fields
from engine.language.valuefields import PositiveSeconds, Seconds
from engine.language.yamlnodes import Node
from engine.planning.brakes import BrakeRules, Breaker, Fresh, Limit, Window


class BudgetLimit(Form):
    """A blast radius: the most of a unit within a sliding window."""

    limit: int = Field(ge=0, description="The most", examples=[50])
    within: PositiveSeconds = Field(description="The window", examples=["1h"])


def _instant(value: object) -> str:
    if not isinstance(value, str):
        bad_type(value, "a time such as 2026-11-23T03:15:00Z")
    try:
        parse_time(value)
    except ValueError:
        bad(f"{value!r} is no time with a zone", "write for example 2026-11-23T03:15:00Z")
    return value


Instant = Annotated[
    str, PlainValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})
]


class WindowForm(Form):
    """A maintenance window: once (from, until), or again and again (schedule, for)."""

    name: str = Field(description="How people call it", examples=["db-upgrade"], min_length=1)
    does: Literal["hold", "approve"] = Field(
        "hold", description="hold: nothing is changed; approve: people approve what goes by itself"
    )
    from_: Instant | None = Field(None, alias="from", description="When it begins, once")
    until: Instant | None = Field(None, description="When it ends, once")
    schedule: Annotated[
        dict[str, Any] | None,
        WithJsonSchema(
            {
                "type": "object",
                "properties": {
                    "cron": {"type": "string", "examples": ["0 2 * * sun"]},
                    "timezone": {"type": "string", "examples": ["UTC", "Europe/Berlin"]},
                },
            }
        ),
    ] = Field(None, description="When it begins each time: cron, or APScheduler's fields")
    for_: PositiveSeconds | None = Field(
        None, alias="for", description="How long it lasts each time", examples=["2h"]
    )
    playbooks: list[str] = Field(
        [], description="Playbooks or patterns; left out: all", examples=[["etl/*"]]
    )
    connections: list[str] = Field([], description="Connections; left out: all")
    reason: str = Field("", description="Told to whoever meets it")


class FreshForm(Form):
    """Changes by others on the same target hold an automatic run."""

    within: Seconds = Field(600.0, description="How recent they are; 10m; 0s: they hold nothing")
    ignore: list[str] = Field(
        ["kube-controller-manager", "kubelet"],
        description="Who does not count, as the system names them; Kubernetes' own controllers",
        examples=[["kube-controller-manager"]],
    )


class BrakesConfig(Form):
    """Brakes of all runs. A playbook's own breaker, cooldown and concurrency come first."""

    breaker: BreakerForm | None = Field(None, description="Opens a playbook's circuit breaker")
    cooldown: Seconds = Field(0.0, description="How long after a run's end no rule starts another")
    concurrency: Annotated[int, Field(ge=1)] | None = Field(
        None, description="How many runs of one playbook may be at work at a time"
    )
    connections: dict[str, dict[str, BudgetLimit]] = Field(
        {}, description="Blast radius of each connection, by unit"
    )
    playbooks: dict[str, dict[str, BudgetLimit]] = Field(
        {}, description="Blast radius of each playbook (or pattern), by unit"
    )
    windows: list[WindowForm] = Field([], description="Maintenance windows")
    fresh_changes: FreshForm = Field(FreshForm(), description="Recent changes by others")


def brake_rules(config: BrakesConfig) -> BrakeRules:
    """Return the section as the engine uses it."""
    breaker, fresh = config.breaker, config.fresh_changes
    return BrakeRules(
        breaker=Breaker(breaker.failures, breaker.within) if breaker is not None else None,
        cooldown=config.cooldown,
        at_once=config.concurrency,
        connections=_limits(config.connections),
        playbooks=_limits(config.playbooks),
        windows=tuple(map(_window, config.windows)),
        fresh=Fresh(fresh.within, frozenset(fresh.ignore)) if fresh.within else None,
    )


def _limits(
    given: Mapping[str, Mapping[str, BudgetLimit]],
) -> Mapping[str, Mapping[str, Limit]]:
    return {
        name: {unit: Limit(one.limit, one.within) for unit, one in limits.items()}
        for name, limits in given.items()
    }


def _window(form: WindowForm) -> Window:
    return Window(
        name=form.name,
        does=form.does,
        schedule=_schedule(form.schedule),
        lasts=form.for_ or 0.0,
        since=parse_time(form.from_) if form.from_ else None,
        until=parse_time(form.until) if form.until else None,
        playbooks=tuple(form.playbooks),
        connections=tuple(form.connections),
        reason=form.reason,
    )


def _schedule(given: Mapping[str, Any] | None) -> Schedule | None:
    if given is None:
        return None
    fields = {name: value for name, value in given.items() if name not in ("cron", "timezone")}
    found = cron_fields(given["cron"]) if "cron" in given else checked_fields(fields)
    return Schedule(fields=found, timezone=checked_timezone(given.get("timezone", "UTC")))


def check_brakes(root: Node, report: Report) -> None:
    """Windows are either once or again and again, and name connections that there are."""
    brakes = root.get("brakes")
    if brakes is None or not isinstance(brakes.value, dict):
        return
    windows = brakes.get("windows")
    names: set[str] = set()
    for node in windows.elements() if windows is not None else ():
        if isinstance(node.value, dict):
            _check_window(node, names, report)
            _check_connections(node.get("connections"), root, report)
    budgets = brakes.get("connections")
    if budgets is not None and isinstance(budgets.value, dict):
        known = root.get("connections")
        for name in budgets.keys:
            if known is None or name not in known.keys:
                report.error(
                    budgets.key(name),
                    f"there is no connection {name!r}",
                    hint="name it under connections:",
                )


def _check_window(node: Node, names: set[str], report: Report) -> None:
    name = str(node.value.get("name", ""))
    if name in names:
        report.error(
            node.at("name"), f"there are two windows {name!r}", hint="give one another name"
        )
    names.add(name)
    once = [key for key in ("from", "until") if key in node.keys]
    again = [key for key in ("schedule", "for") if key in node.keys]
    if once and again:
        hint = "write from and until, or schedule and for"
        report.error(node.keys[again[0]], "a window is once or again and again", hint=hint)
        return
    if len(once) == 1 or len(again) == 1:
        given = (once or again)[0]
        other = {"from": "until", "until": "from", "schedule": "for", "for": "schedule"}[given]
        report.error(node.keys[given], f"{given} goes with {other}", hint=f"add {other}:")
        return
    if not once and not again:
        hint = "write from and until, or schedule and for"
        report.error(node, f"the window {name!r} says no time", hint=hint)
        return
    schedule = node.get("schedule")
    if schedule is not None:
        read_schedule(schedule, report)
        return
    try:
        begins, ends = parse_time(node.value["from"]), parse_time(node.value["until"])
    except (TypeError, ValueError, AttributeError):
        return  # its form has said so
    if ends <= begins:
        report.error(node.at("until"), "the window ends before it begins", hint="swap the times")


def _check_connections(node: Node | None, root: Node, report: Report) -> None:
    known = root.get("connections")
    for place in node.elements() if node is not None and isinstance(node.value, list) else ():
        if isinstance(place.value, str) and (known is None or place.value not in known.keys):
            report.error(
                place, f"there is no connection {place.value!r}", hint="name it under connections:"
            )
