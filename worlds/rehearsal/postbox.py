"""Mail in a rehearsal: what is handed over is kept, and told as messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from typing import Any

from pydantic import Field

from engine.domain.rehearsed import Message, NetChange, Scene
from worlds.rehearsal.specs import Spec


class PostboxSpec(Spec):
    """A mail server."""

    refuses: list[str] = Field([], description="Recipients that it refuses")


class PostboxWorld:
    """The server, in the form of a session that the mail connection hands messages to."""

    def __init__(self, spec: PostboxSpec, scene: Scene) -> None:
        self._spec = spec
        self._scene = scene
        self._messages: list[Message] = []
        self.ehlo_resp = b"rehearsal"

    def settings(self) -> Mapping[str, Any]:
        return {"records": self._scene.scratch / f"{self._scene.connection}-records"}

    def transport(self, *, writable: bool) -> Any:
        del writable
        return self

    def send_message(
        self, message: EmailMessage, sender: str, recipients: Sequence[str]
    ) -> dict[str, tuple[int, bytes]]:
        """Take a message, as smtplib does; return who is refused."""
        del sender
        body = message.get_body(("plain", "html"))
        text = f"{message['Subject']}\n{body.get_content() if body is not None else ''}"
        refused = {one: (550, b"refused") for one in recipients if one in self._spec.refuses}
        now = self._scene.clock.now()
        self._messages += [Message(now, one, text) for one in recipients if one not in refused]
        if len(refused) == len(recipients):
            import smtplib

            raise smtplib.SMTPRecipientsRefused(refused)
        return refused

    def changes(self) -> Sequence[NetChange]:
        return ()

    def messages(self) -> Sequence[Message]:
        return self._messages

    def unanswered(self) -> Sequence[str]:
        return ()

    def unasked(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        """Nothing is open."""
