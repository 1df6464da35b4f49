"""The part of the application that takes alerts in and decides them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from engine.contract.world import SecretRef
from engine.edges.config import Config
from engine.incidents.calling import Calling
from engine.incidents.triage import Triage, TriageSettings, leave_to_workers
from engine.language.program import Query
from engine.language.project import Project
from engine.running.commands import Commands
from engine.running.resolved import on_resolved
from engine.running.secrets import Secrets
from engine.running.world import Connections

if TYPE_CHECKING:
    from engine.edges.intake.auth import Auth
    from engine.incidents.chains import Policy
    from engine.journal.database import Database
    from engine.journal.store import Tx
    from engine.running.worker import Worker
    from engine.running.yielding import GiveWay


class Accepting:
    """The intake, and the rules at work; `Application` has what they need."""

    config: Config
    node: str
    secrets: Secrets
    world: Connections
    _give_way: GiveWay
    _intake: Any
    _triage_thread: threading.Thread | None
    _worker: Worker | None

    if TYPE_CHECKING:

        @property
        def store(self) -> Database: ...

        @property
        def project(self) -> Project: ...

        @property
        def commands(self) -> Commands: ...

        @property
        def calling(self) -> Calling: ...

        @property
        def policy(self) -> Policy: ...

        def reference(self, reference: SecretRef) -> str: ...

    @cached_property
    def triage(self) -> Triage:
        """The rules at work."""
        intake = self.config.intake
        watchdog = None
        if intake.watchdog is not None:
            watchdog = (intake.watchdog.alertname, intake.watchdog.missing_after)
        return Triage(
            self.store,
            self.project.rules,
            self.commands.create_run,
            query=_Queries(self.world),
            on_resolved=on_resolved,
            on_opened=self.calling.incident_opened if self.policy.severities else None,
            give_way=self._give_way,
            take=self._take_runs,
            settings=TriageSettings(self.node, intake.max_alert_age, watchdog),
        )

    def _take_runs(self, tx: Tx) -> Callable[[], None]:
        """Claim for this process's worker, where it has one, what was just decided."""
        return leave_to_workers(tx) if self._worker is None else self._worker.take(tx)

    def intake_route(self, on_accepted: Any = None, on_answer: Any = None) -> Any:
        """Return the route of `POST /hooks/alertmanager`."""
        from engine.edges.intake.endpoint import IntakeSettings, intake_route

        intake = self.config.intake
        settings = IntakeSettings(
            drop_labels=frozenset(intake.drop_labels),
            max_body=intake.max_body,
            max_alerts=intake.max_alerts,
            auth=self._intake_auth(),
            node=self.node,
        )
        route = intake_route(self.store, settings, on_accepted, on_answer, self._decide_along)
        self._intake = route.endpoint
        return route

    def _decide_along(self) -> None:
        """Decide a delivery in the commit that accepts it, where this process decides at all."""
        if self._triage_thread is not None:
            self.triage.hurry()

    def _accepting(self) -> bool:
        """Whether a burst of deliveries comes in just now: then deciding and claiming give way."""
        return self._intake is not None and self._intake.busy()

    def _intake_auth(self) -> Auth | None:
        from engine.edges.intake.auth import Basic, Bearer

        auth = self.config.intake.auth
        if auth is None:
            return None
        if auth.bearer is not None:
            return Bearer(self.secrets.learn("intake bearer", self.reference(auth.bearer)))
        assert auth.basic is not None
        password = self.secrets.learn("intake password", self.reference(auth.basic.password))
        return Basic(auth.basic.username, password)


class _Queries:
    """The metrics queries of conditions and query triggers."""

    def __init__(self, world: Connections) -> None:
        self._world = world

    def value(self, query: Query) -> float | None:
        return self._world.query(query.connection, query.query, query.params)
