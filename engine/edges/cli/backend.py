"""Where a command's answers come from: the local store, or a server. One port, two implementations.

Every answer is the JSON that the API gives, whichever door it came through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self

from engine.domain.canonical import JsonObject

LISTS = frozenset(
    {
        "alerts",
        "decisions",
        "incidents",
        "runs",
        "plans",
        "approvals",
        "brakes",
        "rules",
        "playbooks",
        "batches",
    }
)


class Backend(Protocol):
    """What the commands ask. Raises StanchErrors: InvalidInput, NotFound, Refused, StoreUnavailable …"""

    where: str  # for people: which store or server this is

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def list(self, what: str, **query: Any) -> JsonObject:
        """Return `{items, next}`. `query`: limit, before, and the list's own filters."""
        ...

    def warmup(self) -> JsonObject:
        """Return what the server fetched before runs needed it; `state: off` without one."""
        ...

    def metrics(self, since: float, every: float) -> JsonObject:
        """Return the series of the last `since` seconds, in intervals of `every` seconds."""
        ...

    def show(self, text: str) -> JsonObject: ...

    def run(self, text: str) -> JsonObject: ...

    def gate(self, text: str) -> JsonObject: ...

    def plan(self, text: str) -> JsonObject: ...

    def playbook(self, name: str) -> JsonObject: ...

    def entries(self, run: str, after: int) -> JsonObject: ...

    def preview(
        self,
        playbook: str | None,
        inputs: Mapping[str, Any],
        alert: str | JsonObject | None,
        *,
        save: bool = False,
    ) -> JsonObject:
        """Return the plan; with `save` also `saved`, the content of a plan file."""
        ...

    def start(
        self,
        playbook: str | None,
        inputs: Mapping[str, Any],
        *,
        mode: str,
        priority: int,
        alert: str | None,
        plan: JsonObject | None = None,
    ) -> JsonObject: ...

    def cancel(self, run: str, reason: str) -> JsonObject: ...

    def retry(self, run: str, reason: str) -> JsonObject: ...

    def recover(self, run: str, step: str | None) -> JsonObject: ...

    def undo(self, run: str, steps: Sequence[str], override: str = "") -> JsonObject: ...

    def plan_undo(self, run: str, steps: Sequence[str], override: str = "") -> JsonObject: ...

    def done(self, run: str, address: str, note: str) -> JsonObject: ...

    def approve(self, gate: str, fingerprint: str, comment: str) -> JsonObject: ...

    def reject(self, gate: str, comment: str) -> JsonObject: ...

    def withdraw(self, gate: str) -> JsonObject: ...

    def choose(
        self,
        gate: str,
        fingerprint: str,
        only: Mapping[str, Sequence[str]],
        without: Mapping[str, Sequence[str]],
        reason: str,
    ) -> JsonObject: ...

    def break_glass(self, gate: str, fingerprint: str, reason: str) -> JsonObject: ...

    def steer(self, run: str, act: str, **words: str) -> JsonObject:
        """`act`: hold, release, step, takeover, handback or preempt; `words`: reason, note, how."""
        ...

    def delegations(self) -> JsonObject: ...

    def delegate(self, role: str, to: str, seconds: float, reason: str) -> JsonObject: ...

    def revoke(self, delegation: str) -> JsonObject: ...

    def rearm(self, name: str, reason: str) -> JsonObject: ...

    def pause(self, reason: str, *, let_undo: bool = False) -> JsonObject: ...

    def resume(self, reason: str) -> JsonObject: ...

    def tokens(self) -> JsonObject: ...

    def create_token(
        self, name: str, roles: Sequence[str], expires_at: datetime | None
    ) -> JsonObject: ...

    def revoke_token(self, name: str) -> JsonObject: ...

    def acknowledge(self, text: str, note: str) -> JsonObject: ...

    def on_incident(self, incident: str, verb: str, **body: Any) -> JsonObject:
        """Do `verb` (note, artifact, severity, title, role, merge, escalate, resolve, close, reopen)."""
        ...

    def artifact(self, incident: str, name: str) -> tuple[JsonObject, bytes | None]:
        """An artifact and its bytes, None where they lie elsewhere."""
        ...

    def postmortem(
        self, incident: str, *, format_: str, template: str, given: str | None, publish: bool
    ) -> JsonObject: ...

    def pages(self, *, over: bool) -> JsonObject: ...

    def on_call(self) -> JsonObject: ...

    def audit(self, expected_seal: str | None = None) -> JsonObject:
        """Verify the journal."""
        ...

    def work(self) -> None:
        """See that runs go on while this command follows one: starts workers on a local store."""
        ...

    def wait(self, seconds: float) -> None:
        """Return when something may have changed, at the latest after `seconds`."""
        ...
