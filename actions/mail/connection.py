"""The `mail` connection: one SMTP server, who mail is from, and who it may go to."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actions.pace import PacedSocket
from actions.records import Records
from engine.contract import ActionFailed, Category, ConnectionKind, Opening, SecretRef, Target
from engine.contract.fields import Seconds
from engine.contract.redact import Redactor

ADDRESS = r"^[^@\s<>,;:\"]+@[A-Za-z0-9.-]+$"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class MailSettings(BaseModel):
    """Settings of a `mail` connection."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(description="The SMTP server", min_length=1, examples=["mail.internal"])
    port: int = Field(587, gt=0, lt=65536, description="Its port")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection is made safe"
    )
    username: str | None = Field(None, description="User name, where the server wants one")
    password: SecretRef | None = Field(None, description="Its password")
    sender: str = Field(
        description="Address that mail is from", pattern=ADDRESS, examples=["stanch@example.org"]
    )
    recipients: list[str] = Field(
        description="Addresses that mail may go to; * stands for any characters",
        min_length=1,
        examples=[["*@example.org"]],
    )
    records: Path = Field(
        description="Folder that keeps which keys were sent", examples=["var/mail"]
    )
    ca: Path | None = Field(None, description="CA bundle to verify the server with")
    timeout: Seconds = Field(20.0, gt=0, le=300, description="Longest wait for an answer")

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("give username and password, or neither")
        if self.password and self.security == "none" and self.host not in _LOOPBACK:
            raise ValueError("a password goes over starttls or tls only, except on this machine")
        return self

    def allows(self, address: str) -> bool:
        return any(fnmatchcase(address.lower(), pattern.lower()) for pattern in self.recipients)


class Mailer:
    """Hands messages to one server. Safe to share between threads: each message has its own session."""

    def __init__(self, opening: Opening) -> None:
        self.name = opening.name
        self.settings = cast(MailSettings, opening.settings)
        self.writable = opening.writable
        self.records = Records(self.settings.records)
        self._password = opening.secret(self.settings.password) if self.settings.password else None
        self._redactor = Redactor([self._password] if self._password else [])
        self._played = opening.transport  # a session of a rehearsal, instead of a server's

    def deliver(self, message: EmailMessage, recipients: Sequence[str]) -> list[str]:
        """Hand a message over and return the recipients that the server refused while taking others.

        Raises:
            ActionFailed: (permanent) this client is read-only; (configuration) the server refuses the
                login or is not to be trusted; else by the server's reply.
        """
        if not self.writable:
            raise self.failure(Category.PERMANENT, "this world is read-only; nothing was sent")
        for address in recipients:
            if not self.settings.allows(address):
                what = f"{address} is not in the list of recipients"
                raise self.failure(Category.CONFIGURATION, what)
        handing = False
        try:
            with self._session() as session:
                handing = True
                return sorted(session.send_message(message, self.settings.sender, recipients))
        except smtplib.SMTPException as error:
            raise self._refused(error, handing) from None
        except ssl.SSLError as error:
            raise self.failure(
                Category.CONFIGURATION, f"cannot be reached safely: {error}"
            ) from None
        except OSError as error:
            what = f"cannot be reached: {error.strerror or error}"
            raise self.failure(Category.TRANSIENT, what, sent=handing) from None

    def greet(self) -> str:
        """Open a session and return the server's greeting name.

        Raises:
            ActionFailed: see `deliver`.
        """
        try:
            with self._session() as session:
                return (session.ehlo_resp or b"").decode("utf-8", "replace").split("\n")[0]
        except smtplib.SMTPException as error:
            raise self._refused(error, False) from None
        except OSError as error:
            raise self.failure(Category.TRANSIENT, f"cannot be reached: {error}") from None

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        if self._played is not None:
            yield self._played
            return
        settings = self.settings
        context = ssl.create_default_context(cafile=str(settings.ca) if settings.ca else None)
        named = settings.sender.rpartition("@")[2]
        session: smtplib.SMTP
        if settings.security == "tls":
            session = _PacedTls(
                settings.host, settings.port, named, timeout=settings.timeout, context=context
            )
        else:
            session = _Paced(settings.host, settings.port, named, timeout=settings.timeout)
        try:
            if settings.security == "starttls":
                session.starttls(context=context)
                session.sock = cast(socket.socket, PacedSocket(session.sock))
            session.ehlo_or_helo_if_needed()
            if settings.username and self._password:
                session.login(settings.username, self._password)
            yield session
        finally:
            session.close()  # a QUIT that is not answered must not undo what was accepted

    def _refused(self, error: smtplib.SMTPException, handing: bool) -> ActionFailed:
        if isinstance(error, smtplib.SMTPAuthenticationError | smtplib.SMTPNotSupportedError):
            said = "the login" if isinstance(error, smtplib.SMTPAuthenticationError) else str(error)
            return self.failure(Category.CONFIGURATION, f"the server refuses {said}")
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            codes = [code for code, _ in error.recipients.values()]
            category = Category.PERMANENT if min(codes) >= 500 else Category.TRANSIENT
            return self.failure(
                category, f"every recipient is refused: {', '.join(error.recipients)}"
            )
        if isinstance(error, smtplib.SMTPResponseException):
            reply = error.smtp_error
            text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
            category = _category(error.smtp_code)
            return self.failure(category, f"answered {error.smtp_code}: {text[:200]}")
        return self.failure(Category.TRANSIENT, f"broke off: {error}", sent=handing)

    def failure(self, category: Category, what: str, *, sent: bool = False) -> ActionFailed:
        message = self._redactor.text(f"mail connection {self.name!r}: {what}")
        return ActionFailed(category, message, effect_possible=sent)


class _Paced(smtplib.SMTP):
    """A session whose replies keep to a pace."""

    def _get_socket(self, *given: Any) -> Any:
        return PacedSocket(super()._get_socket(*given))  # type: ignore[misc]


class _PacedTls(smtplib.SMTP_SSL):
    """The same within TLS from the first byte."""

    def _get_socket(self, *given: Any) -> Any:
        return PacedSocket(super()._get_socket(*given))  # type: ignore[misc]


def _category(code: int) -> Category:
    """Return what a reply means. Source: RFC 5321, 4.2."""
    if code in (452, 552):
        return Category.RESOURCE
    if code in (530, 534, 535):
        return Category.CONFIGURATION
    return Category.TRANSIENT if 400 <= code < 500 else Category.PERMANENT


class MailKind(ConnectionKind):
    """Connections to SMTP servers."""

    kind = "mail"
    Settings = MailSettings

    def open(self, opening: Opening) -> Mailer:
        return Mailer(opening)

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        assert isinstance(settings, MailSettings)
        if settings.allows(target.path):
            return None
        return f"{target.path} is not in the list of recipients of connection {target.connection!r}"

    def check(self, client: Mailer) -> Mapping[str, str]:
        return {"greeting": client.greet()}
