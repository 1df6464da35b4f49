"""What stands beside an incident: calls and their messages, artifacts, postmortems, steps' acts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from engine.domain.canonical import JsonObject
from engine.journal.casefiles import ArtifactRow, CallRow, PostmortemRow, SendRow


class Calls(Protocol):
    def open(self, row: CallRow) -> bool:
        """Store a call; False where its page has one."""
        ...

    def get(self, call_id: str) -> CallRow | None: ...

    def open_ones(self, limit: int = 500) -> Sequence[CallRow]:
        """Those that are not over, oldest first."""
        ...

    def due(self, limit: int) -> Sequence[CallRow]:
        """Those whose next contact is due."""
        ...

    def change(self, call: CallRow, **changes: object) -> bool:
        """Change a call that still is as `call` says (state, rung, round); False where it is not."""
        ...

    def send(self, row: SendRow) -> None: ...

    def sends(self, call_id: str) -> Sequence[SendRow]: ...

    def due_sends(self, limit: int) -> Sequence[SendRow]: ...

    def claim_send(self, row: SendRow, until: datetime) -> bool:
        """Become the one who sends this message until `until`; False where another node did."""
        ...

    def sent(self, row: SendRow, *, state: str, error: str, next_at: datetime | None) -> None:
        """Say what became of a pending message; one that was taken back meanwhile stays so."""
        ...


class Artifacts(Protocol):
    def add(self, row: ArtifactRow, content: bytes | None) -> ArtifactRow:
        """Store one; the same name and digest of a subject is stored once, and that one is returned."""
        ...

    def of(self, subject: str) -> Sequence[ArtifactRow]: ...

    def get(self, artifact_id: str) -> ArtifactRow | None: ...

    def content(self, artifact_id: str) -> bytes | None:
        """Its bytes, or None where they lie elsewhere or were forgotten."""
        ...

    def prune(self, before: datetime) -> int:
        """Forget the bytes of some of what was attached before this time to incidents that are resolved and
        to runs that have ended; name, size and digest stay. Return how many; asked again and again, it
        forgets all."""
        ...

    def total(self, subject: str) -> int:
        """Bytes of a subject's artifacts that are stored here."""
        ...


class Acts(Protocol):
    """What steps did to Stanch itself, by the step's key: the same transaction holds both."""

    def result(self, key: str) -> JsonObject | None: ...

    def done(self, key: str, subject: str, result: JsonObject) -> None: ...


class Postmortems(Protocol):
    def get(self, incident_id: str) -> PostmortemRow | None:
        """On PostgreSQL locks the row."""
        ...

    def put(self, row: PostmortemRow) -> None: ...

    def due(self, limit: int) -> Sequence[PostmortemRow]:
        """Those whose next reminder is due."""
        ...


class WebSessions(Protocol):
    """Sessions at the pages; each stands for a token and ends with it."""

    def add(self, hashed: str, token: str, expires_at: datetime) -> None:
        """Begin one for the token of that hash; those that are over are forgotten."""
        ...

    def find(self, hashed: str) -> tuple[str, tuple[str, ...]] | None:
        """(owner's name, roles) of a session that is not over, whose token holds."""
        ...

    def end(self, hashed: str) -> bool: ...
