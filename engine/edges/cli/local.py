"""The backend without a server: this process opens the store as the local user."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self

from engine.domain.canonical import JsonObject
from engine.domain.people import Actor
from engine.edges.desk.acting import Desk
from engine.edges.desk.people import local_actor
from engine.edges.desk.reading import page_of
from engine.edges.web.ports import Application


class Runnable(Application, Protocol):
    """An application that can also work: what wiring builds."""

    def start_workers(self, *, triage: bool = True) -> None: ...

    def stop(self) -> None: ...


class LocalBackend:
    """Asks the desk directly. Closes the application at the end."""

    def __init__(self, application: Runnable, actor: Actor | None = None) -> None:
        self.where = "the local store"
        self._app = application
        self._desk = Desk(application)
        self._actor = actor or local_actor(application.config.directory, via="cli")
        self._changed = threading.Event()
        self._unlisten: Callable[[], None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._unlisten is not None:
            self._unlisten()
        self._app.stop()

    # ------------------------------------------------------------ looking

    def list(self, what: str, **query: Any) -> JsonObject:
        page = page_of(query.pop("limit", 50), query.pop("before", None))
        desk = self._desk
        lists: Mapping[str, Callable[[], JsonObject]] = {
            "alerts": lambda: desk.alerts(page, query.get("labels")),
            "decisions": lambda: desk.decisions(page, **query),
            "incidents": lambda: desk.incidents(page, open_only=query.get("open_only", False)),
            "runs": lambda: desk.runs(
                page,
                states=query.get("states", ()),
                incident_id=query.get("incident"),
                playbook=query.get("playbook"),
            ),
            "plans": lambda: desk.plans(page),
            "approvals": lambda: desk.approvals(open_only=not query.get("closed", False)),
            "brakes": desk.brakes,
            "rules": desk.rules,
            "playbooks": desk.playbooks,
            "batches": desk.batches,
        }
        return lists[what]()

    def warmup(self) -> JsonObject:
        return self._desk.warmup()

    def metrics(self, since: float, every: float) -> JsonObject:
        return self._desk.metrics(since, every)

    def show(self, text: str) -> JsonObject:
        return self._desk.show(text)

    def run(self, text: str) -> JsonObject:
        return self._desk.run(text)

    def gate(self, text: str) -> JsonObject:
        return self._desk.gate(text)

    def plan(self, text: str) -> JsonObject:
        return self._desk.plan(text)

    def playbook(self, name: str) -> JsonObject:
        return self._desk.playbook(name)

    def entries(self, run: str, after: int) -> JsonObject:
        return self._desk.entries(run, after=after)

    # ------------------------------------------------------------ acting

    def preview(
        self,
        playbook: str | None,
        inputs: Mapping[str, Any],
        alert: str | JsonObject | None,
        *,
        save: bool = False,
    ) -> JsonObject:
        return self._desk.preview(self._actor, playbook, inputs, alert=alert, save=save)

    def start(
        self,
        playbook: str | None,
        inputs: Mapping[str, Any],
        *,
        mode: str,
        priority: int,
        alert: str | None,
        plan: JsonObject | None = None,
    ) -> JsonObject:
        return self._desk.start(
            self._actor, playbook, inputs, mode=mode, priority=priority, alert=alert, plan=plan
        )

    def cancel(self, run: str, reason: str) -> JsonObject:
        return self._desk.cancel(self._actor, run, reason)

    def retry(self, run: str, reason: str) -> JsonObject:
        return self._desk.retry(self._actor, run, reason)

    def recover(self, run: str, step: str | None) -> JsonObject:
        return self._desk.recover(self._actor, run, step)

    def undo(self, run: str, steps: Sequence[str], override: str = "") -> JsonObject:
        return self._desk.undo(self._actor, run, steps, override)

    def plan_undo(self, run: str, steps: Sequence[str], override: str = "") -> JsonObject:
        return self._desk.plan_undo(self._actor, run, steps, override)

    def done(self, run: str, address: str, note: str) -> JsonObject:
        return self._desk.done(self._actor, run, address, note)

    def approve(self, gate: str, fingerprint: str, comment: str) -> JsonObject:
        return self._desk.approve(self._actor, gate, fingerprint, comment)

    def reject(self, gate: str, comment: str) -> JsonObject:
        return self._desk.reject(self._actor, gate, comment)

    def withdraw(self, gate: str) -> JsonObject:
        return self._desk.withdraw(self._actor, gate)

    def choose(
        self,
        gate: str,
        fingerprint: str,
        only: Mapping[str, Sequence[str]],
        without: Mapping[str, Sequence[str]],
        reason: str,
    ) -> JsonObject:
        return self._desk.choose(
            self._actor, gate, fingerprint, only=only, without=without, reason=reason
        )

    def break_glass(self, gate: str, fingerprint: str, reason: str) -> JsonObject:
        return self._desk.break_glass(self._actor, gate, fingerprint, reason)

    def steer(self, run: str, act: str, **words: str) -> JsonObject:
        done: JsonObject = getattr(self._desk, act)(self._actor, run, **words)
        return done

    def delegations(self) -> JsonObject:
        return self._desk.delegations(self._actor)

    def delegate(self, role: str, to: str, seconds: float, reason: str) -> JsonObject:
        return self._desk.delegate(self._actor, role, to, seconds, reason)

    def revoke(self, delegation: str) -> JsonObject:
        return self._desk.revoke(self._actor, delegation)

    def rearm(self, name: str, reason: str) -> JsonObject:
        return self._desk.rearm(self._actor, name, reason)

    def pause(self, reason: str, *, let_undo: bool = False) -> JsonObject:
        return self._desk.pause(self._actor, reason, let_undo)

    def resume(self, reason: str) -> JsonObject:
        return self._desk.resume(self._actor, reason)

    # ------------------------------------------------------------ incidents and calls

    def acknowledge(self, text: str, note: str) -> JsonObject:
        return self._desk.acknowledge(self._actor, text, note)

    def on_incident(self, incident: str, verb: str, **body: Any) -> JsonObject:
        act: Callable[..., JsonObject] = getattr(self._desk, verb)
        return act(self._actor, incident, **body)

    def artifact(self, incident: str, name: str) -> tuple[JsonObject, bytes | None]:
        return self._desk.artifact_content(incident, name)

    def postmortem(
        self, incident: str, *, format_: str, template: str, given: str | None, publish: bool
    ) -> JsonObject:
        from engine.incidents.postmortem.book import Request

        wanted = Request(format_, template, given, publish)
        return self._desk.postmortem(self._actor, incident, wanted)

    def pages(self, *, over: bool) -> JsonObject:
        return self._desk.pages(unresolved=not over)

    def on_call(self) -> JsonObject:
        return self._desk.on_call()

    # ------------------------------------------------------------ tokens: the store's owner hands them out

    @property
    def _owner(self) -> Actor:
        return Actor(self._actor.name, frozenset({"admin"}), via="cli")

    def tokens(self) -> JsonObject:
        return self._desk.tokens(self._owner)

    def create_token(
        self, name: str, roles: Sequence[str], expires_at: datetime | None
    ) -> JsonObject:
        return self._desk.create_token(self._owner, name, roles, expires_at)

    def revoke_token(self, name: str) -> JsonObject:
        return self._desk.revoke_token(self._owner, name)

    def audit(self, expected_seal: str | None = None) -> JsonObject:
        return self._desk.audit(expected_seal)

    # ------------------------------------------------------------ following

    def work(self) -> None:
        self._unlisten = self._app.store.listen(lambda _: self._changed.set())
        self._app.start_workers(triage=False)  # deciding alerts is the server's

    def wait(self, seconds: float) -> None:
        self._changed.wait(seconds)
        self._changed.clear()
