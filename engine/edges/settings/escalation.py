"""`escalation:` who is called, how, in which order, and who is on call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from engine.contract.world import SecretRef
from engine.domain.canonical import JsonObject
from engine.domain.incident import Level
from engine.incidents.chains import Chain, Contact, LevelRule, Policy, Rung
from engine.language.forms import Form, bad_type
from engine.language.listfields import Matchers
from engine.language.valuefields import PositiveSeconds, Seconds

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
