"""`chat:`: how incidents are told to people, in whatever chat there is."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, PlainValidator, WithJsonSchema

from engine.language.diagnostics import Report
from engine.language.forms import Form, bad, bad_type
from engine.language.valuefields import PositiveSeconds, Seconds
from engine.language.yamlnodes import Node

_FIELDS = ("what", "rule", "severity", "time")
_URL = re.compile(r"https?://[^\s?#]+\Z")


def _template(value: object) -> str:
    if not isinstance(value, str):
        bad_type(value, "a channel's name such as incident-{what}-{time}")
    try:
        value.format(**dict.fromkeys(_FIELDS, "x"))
    except (KeyError, ValueError, IndexError):
        names = ", ".join(f"{{{name}}}" for name in _FIELDS)
        bad(f"{value!r} cannot be filled in", f"there are {names}")
    return value


def _url(value: object) -> str:
    if not isinstance(value, str):
        bad_type(value, "a URL such as https://stanch.internal")
    if not _URL.match(value):
        bad(f"{value!r} is no URL", "write for example https://stanch.internal")
    return value.rstrip("/")


Url = Annotated[str, PlainValidator(_url), WithJsonSchema({"type": "string"})]


class CadenceConfig(Form):
    """How often an open incident is told of without news, by its severity."""

    P0: PositiveSeconds = Field(900.0, description="Of the most severe; 15m")
    P1: PositiveSeconds = Field(1800.0, description="Of the next; 30m")
    P2: PositiveSeconds = Field(1800.0, description="Of the others; 30m")


class ChatConfig(Form):
    """How incidents are told to people."""

    console: bool = Field(
        False, description="Print what people would read, where there is no Slack"
    )
    channel: Annotated[str, PlainValidator(_template), WithJsonSchema({"type": "string"})] = Field(
        "incident-{what}-{time}",
        description="Name of an incident's channel; {what}, {rule}, {severity}, {time} are filled in",
    )
    cadence: CadenceConfig = Field(CadenceConfig(), description="Time between updates while open")
    invite: list[str] = Field([], description="Roles that are invited", examples=[["sre"]])
    commander: str | None = Field(
        None, description="The role that is called when nobody takes an incident up", min_length=1
    )
    remind: PositiveSeconds = Field(900.0, description="Silence until it is called; 15m")
    upload: bool = Field(
        True, description="Put artifacts into the channel; false: they are only named there"
    )
    archive_after: Seconds = Field(86400.0, description="From closing to archiving; 24h")
    pages: Url | None = Field(
        None, description="Where people reach the pages", examples=["https://stanch.internal"]
    )


def check_chat(root: Node, report: Report) -> None:
    """The roles that chat names must be there."""
    chat, roles = root.get("chat"), root.get("roles")
    if chat is None or not isinstance(chat.value, dict):
        return
    known = set(roles.keys) if roles is not None and isinstance(roles.value, dict) else set()
    invite, commander = chat.get("invite"), chat.get("commander")
    places = [*invite.elements()] if invite is not None and isinstance(invite.value, list) else []
    places += [commander] if commander is not None else []
    for place in places:
        if isinstance(place.value, str) and place.value not in known:
            report.error(
                place,
                f"there is no role {place.value!r}",
                expected=", ".join(sorted(known)) or "a role of roles:",
                hint="add it to roles:",
            )
