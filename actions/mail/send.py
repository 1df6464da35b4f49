"""mail.send: one message, as text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import format_datetime

from pydantic import Field, field_validator

from actions.mail import byhand
from actions.mail.connection import ADDRESS, Mailer
from engine.contract import ActionFailed, ActionParams, Grant, Notify, Target, World
from engine.domain.canonical import Json


class SendParams(ActionParams):
    """Parameters of a message."""

    connection: str = Field(description="A mail connection", examples=["mail"])
    to: list[str] = Field(
        description="Who it goes to",
        examples=[["oncall@example.org"]],
        min_length=1,
        max_length=50,
    )
    subject: str = Field(
        description="Its subject, one line",
        examples=["ETL is paused"],
        min_length=1,
        max_length=300,
    )
    text: str = Field(description="Its text", examples=["Ingestion stands."], max_length=2**20)

    @field_validator("to")
    @classmethod
    def _addresses(cls, value: list[str]) -> list[str]:
        for address in value:
            if not re.match(ADDRESS, address) or not address.isascii():
                raise ValueError(f"{address!r} is no address; write for example oncall@example.org")
        return list(dict.fromkeys(value))

    @field_validator("subject")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("a subject is one line without control characters")
        return value


class MailSend(Notify[SendParams]):
    """Sends one message, once a key. Its Message-ID is made of the key, so that a double can be told.

    Output: `message_id`, `to`, and `refused`, the recipients that the server did not take.
    """

    name = "mail.send"
    manual = byhand.send
    summary = "Send an e-mail"
    Params = SendParams
    risk = "low"

    def targets(self, params: SendParams) -> Sequence[Target]:
        return tuple(Target(params.connection, address) for address in params.to)

    def grants(self, params: SendParams) -> Sequence[Grant]:
        return tuple(
            Grant(params.connection, "mail", {"recipient": address}) for address in params.to
        )

    def send(self, params: SendParams, world: World, key: str) -> Json:
        mailer = world.client(params.connection, Mailer)
        record = mailer.records.find(key)
        if record is not None and record.state == "done":
            return record.value
        message = _message(params, mailer.settings.sender, key, world)
        if mailer.writable:
            mailer.records.put(key, "begun")
        try:
            refused = mailer.deliver(message, params.to)
        except ActionFailed as failure:
            if mailer.writable and not failure.effect_possible:
                mailer.records.drop(key)
            raise
        taken = [address for address in params.to if address not in refused]
        output = {"message_id": str(message["Message-ID"]), "to": taken, "refused": refused}
        mailer.records.put(key, "done", output)
        return output

    def sent(self, params: SendParams, world: World, key: str) -> bool | None:
        record = world.client(params.connection, Mailer).records.find(key)
        if record is None:
            return False
        return True if record.state == "done" else None


def _message(params: SendParams, sender: str, key: str, world: World) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(params.to)
    message["Subject"] = params.subject
    message["Date"] = format_datetime(world.clock.now())
    domain = sender.rpartition("@")[2]
    message["Message-ID"] = f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday answers, please
    message.set_content(params.text)
    return message
