"""`escalation:` who is called, how, in which order, and who is on call."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from engine.contract.world import SecretRef
from engine.domain.canonical import JsonObject
from engine.domain.incident import PRIORITIES, Level
from engine.incidents.chains import Chain, Contact, LevelRule, Policy, Rung
from engine.language.diagnostics import listed, suggestion
from engine.language.explain import Report
from engine.language.fields import Form, Matchers, PositiveSeconds, Seconds, bad_type
from engine.language.yamlsource import Node

WITHIN = 900.0  # seconds for a contact to acknowledge, unless written
REPEAT = 1800.0


def _file(value: object) -> Path:
    if not isinstance(value, str) or not value:
        bad_type(value, "a path")
    return Path(value)


def _level(value: object) -> Level:
    if not isinstance(value, str) or value not in list(Level):
        bad_type(value, f"one of {', '.join(Level)}")
    return Level(value)


LevelName = Annotated[
    Level,
    PlainValidator(_level),
    WithJsonSchema({"type": "string", "enum": [level.value for level in Level]}),
]
FilePath = Annotated[Path, PlainValidator(_file), WithJsonSchema({"type": "string"})]


class MailWay(Form):
    """By e-mail."""

    connection: str = Field(description="A mail connection", examples=["mail"])
    to: list[str] = Field(description="Addresses", examples=[["oncall@example.org"]], min_length=1)


class WayForm(Form):
    """One way to reach somebody: exactly one of these."""

    webhook: str | None = Field(
        None, description="A webhook connection: PagerDuty, Opsgenie or another", examples=["pager"]
    )
    mail: MailWay | None = Field(None, description="By e-mail")
    chat: str | None = Field(
        None,
        description="A channel of the chat, or `incident` for the incident's own",
        examples=["ops"],
    )

    def as_json(self) -> JsonObject:
        return self.model_dump(exclude_none=True, mode="json")


class PersonConfig(Form):
    """How somebody who may be on call is reached."""

    ways: list[WayForm] = Field(description="All of them are used", min_length=1)


class ICalConfig(Form):
    """A calendar feed: each event's attendees, or its title, are on call while it lasts."""

    file: FilePath | None = Field(None, description="A file")
    connection: str | None = Field(None, description="An http connection to fetch it from")
    path: str = Field("/", description="Its path below that connection")


class ProviderSchedule(Form):
    """A schedule at a provider."""

    connection: str = Field(description="An http connection to the provider's API")
    schedule: str = Field(
        description="The schedule's id (PagerDuty) or name (Opsgenie)", pattern=r"^[A-Za-z0-9_-]+$"
    )


class ScheduleConfig(Form):
    """Where it stands who is on call: exactly one of these."""

    file: FilePath | None = Field(None, description="A file of rotations and overrides")
    ical: ICalConfig | None = Field(None, description="A calendar feed")
    pagerduty: ProviderSchedule | None = Field(None, description="PagerDuty's on-calls")
    opsgenie: ProviderSchedule | None = Field(None, description="Opsgenie's on-calls")

    @property
    def source(self) -> str:
        """What says who is on call, for people."""
        if self.file is not None:
            return f"file {self.file}"
        if self.ical is not None:
            return f"calendar {self.ical.file or self.ical.connection}"
        return "PagerDuty" if self.pagerduty is not None else "Opsgenie"


class ContactConfig(Form):
    """Somebody who is called, or whoever is on call."""

    title: str = Field("", description="What people call them", examples=["Primary on-call"])
    on_call: str | None = Field(None, description="A schedule that says who it is")
    person: str | None = Field(None, description="One of people", examples=["alice"])
    ways: list[WayForm] = Field([], description="How they are reached, beside the person's own")


class RungConfig(Form):
    """One step of a chain."""

    contact: str = Field(description="One of contacts", examples=["primary"])
    within: PositiveSeconds = Field(
        WITHIN, description="How long they have to acknowledge before the next one is called; 15m"
    )
    only: Matchers = Field(
        (), description="Only about things with such labels", examples=[["class=~'db.*'"]]
    )


class ChainConfig(Form):
    """Contacts in their order."""

    steps: list[RungConfig] = Field(description="Who is called, one after another", min_length=1)
    repeat: PositiveSeconds = Field(
        REPEAT, description="After the last one, begin anew after this; 30m"
    )


class LevelConfig(Form):
    """How a level calls."""

    chain: str = Field("default", description="One of chains")
    first: Seconds = Field(0.0, description="How long to wait before the first call; 0s")
    step: Seconds | None = Field(
        None, description="Between contacts, instead of their own; 0s: all at once"
    )


class HookConfig(Form):
    """What a pager's own webhook proves itself with, so that an acknowledgement there counts here."""

    pagerduty: SecretRef | None = Field(None, description="Secret of PagerDuty's webhook (v3)")
    opsgenie: SecretRef | None = Field(None, description="Token that Opsgenie's webhook sends")


class EscalationConfig(Form):
    """Who is called when something needs people, how, and in which order."""

    people: dict[str, PersonConfig] = Field({}, description="Those who may be on call, by name")
    schedules: dict[str, ScheduleConfig] = Field({}, description="Who is on call, by name")
    contacts: dict[str, ContactConfig] = Field({}, description="Who is called, by name")
    chains: dict[str, ChainConfig] = Field({}, description="Contacts in their order, by name")
    levels: dict[LevelName, LevelConfig] = Field(
        {}, description="warning, critical, emergency: which chain, how soon"
    )
    severities: dict[str, LevelName] = Field(
        {},
        description="Which incidents call people when they open",
        examples=[{"P0": "emergency"}],
    )
    acknowledgements: HookConfig = Field(
        HookConfig(), description="How pagers tell us what was acknowledged there"
    )

    def policy(self) -> Policy:
        """Return what the chains do, ready to be asked."""
        return Policy(
            chains={name: _chain(one) for name, one in self.chains.items()},
            contacts={name: self._contact(name, one) for name, one in self.contacts.items()},
            levels={
                level: LevelRule(one.chain, one.first, one.step)
                for level, one in self.levels.items()
            },
            severities=self.severities,
        )

    def _contact(self, name: str, written: ContactConfig) -> Contact:
        own = self.people[written.person].ways if written.person else []
        ways = tuple(way.as_json() for way in (*own, *written.ways))
        return Contact(name, written.title or name, ways, written.on_call)


def _chain(written: ChainConfig) -> Chain:
    rungs = tuple(Rung(one.contact, one.within, one.only) for one in written.steps)
    return Chain(rungs, written.repeat)


def beside(config: EscalationConfig, base: Path) -> EscalationConfig:
    """Return the section with its relative paths counted from the configuration's folder."""
    schedules = {}
    for name, one in config.schedules.items():
        changes: dict[str, Any] = {}
        if one.file is not None:
            changes["file"] = base / one.file
        if one.ical is not None and one.ical.file is not None:
            changes["ical"] = one.ical.model_copy(update={"file": base / one.ical.file})
        schedules[name] = one.model_copy(update=changes)
    hooks = config.acknowledgements
    files = {
        name: SecretRef(file=base / secret.file)
        for name in ("pagerduty", "opsgenie")
        if (secret := getattr(hooks, name)) is not None and secret.file is not None
    }
    told = {"schedules": schedules, "acknowledgements": hooks.model_copy(update=files)}
    return config.model_copy(update=told)


# ---------------------------------------------------------------- what must fit together


def check_escalation(root: Node, kinds: Mapping[str, str], report: Report) -> None:
    """Report names that are nowhere, ways that are none or several, connections of another kind."""
    section = root.get("escalation")
    if section is None or not isinstance(section.value, dict):
        return
    names = {
        part: _keys(section.get(part)) for part in ("people", "schedules", "contacts", "chains")
    }
    for place in _values(section.get("people")):
        _check_ways(place.get("ways"), kinds, report)
    for place in _values(section.get("schedules")):
        _one_of(place, ("file", "ical", "pagerduty", "opsgenie"), "a schedule", report)
        for provider in ("pagerduty", "opsgenie", "ical"):
            asked = place.get(provider)
            _connection(asked.get("connection") if asked else None, "http", kinds, report)
        ical = place.get("ical")
        if ical is not None:
            _one_of(ical, ("file", "connection"), "a calendar", report)
    for place in _values(section.get("contacts")):
        _named(place.get("on_call"), names["schedules"], "schedule", report)
        _named(place.get("person"), names["people"], "person", report)
        _check_ways(place.get("ways"), kinds, report)
        if not any(place.get(one) for one in ("on_call", "person", "ways")):
            report.error(
                place, "nobody is reached by this contact", hint="write on_call, person or ways"
            )
    for place in _values(section.get("chains")):
        for step in _items(place.get("steps")):
            _named(step.get("contact"), names["contacts"], "contact", report)
    for place in _values(section.get("levels")):
        chain = place.get("chain")
        if chain is not None:
            _named(chain, names["chains"], "chain", report)
        elif "default" not in names["chains"]:
            report.error(
                place, "there is no chain called default", hint="name the level's chain: chain: …"
            )
    severities = section.get("severities")
    for name in _keys(severities):
        if name not in PRIORITIES:
            assert severities is not None
            report.error(
                severities.key(name), f"{name!r} is no severity", expected=listed(PRIORITIES)
            )


def _keys(node: Node | None) -> tuple[str, ...]:
    return tuple(node.keys) if node is not None and isinstance(node.value, dict) else ()


def _values(node: Node | None) -> Iterable[Node]:
    if node is None or not isinstance(node.value, dict):
        return ()
    return [item for _, item in node.entries() if isinstance(item.value, dict)]


def _items(node: Node | None) -> Iterable[Node]:
    if node is None or not isinstance(node.value, list):
        return ()
    return [item for item in node.elements() if isinstance(item.value, dict)]


def _check_ways(node: Node | None, kinds: Mapping[str, str], report: Report) -> None:
    for way in _items(node):
        _one_of(way, ("webhook", "mail", "chat"), "a way", report)
        _connection(way.get("webhook"), "webhook", kinds, report)
        mail = way.get("mail")
        if mail is not None and isinstance(mail.value, dict):
            _connection(mail.get("connection"), "mail", kinds, report)


def _one_of(node: Node, choices: tuple[str, ...], what: str, report: Report) -> None:
    given = [name for name in choices if node.get(name) is not None]
    if len(given) != 1:
        report.error(
            node,
            f"{what} is exactly one of these",
            found=listed(given) if given else "none",
            expected=listed(choices),
        )


def _named(node: Node | None, known: Iterable[str], what: str, report: Report) -> None:
    if node is None or not isinstance(node.value, str) or node.value in known:
        return
    report.error(
        node,
        f"there is no {what} {node.value!r}",
        expected=listed(known) if known else None,
        hint=suggestion(node.value, known),
    )


def _connection(node: Node | None, kind: str, kinds: Mapping[str, str], report: Report) -> None:
    if node is None or not isinstance(node.value, str):
        return
    name = re.sub(r"\s+", " ", node.value)
    if kinds.get(node.value) == kind:
        return
    fitting = sorted(one for one, of in kinds.items() if of == kind)
    other = kinds.get(node.value)
    message = (
        f"connection {name!r} is of kind {other}, not {kind}"
        if other
        else f"there is no connection {name!r}"
    )
    report.error(
        node,
        message,
        expected=listed(fitting) if fitting else f"a connection of kind {kind}",
        hint=suggestion(node.value, fitting),
    )
