"""The half of the application that reaches people: incidents, calls, chat, postmortems."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from engine.contract.ports import ChatPort, Ports
from engine.contract.registry import Registry
from engine.contract.world import SecretRef
from engine.domain.run import RunState
from engine.edges.config import Config
from engine.incidents.acting import RunIncident
from engine.incidents.artifacts import ArtifactLimits
from engine.incidents.calling import Calling
from engine.incidents.escalation import Escalator
from engine.incidents.lifecycle import on_run_end
from engine.incidents.ports import Pager
from engine.incidents.postmortem import due
from engine.incidents.standing import ChainPager
from engine.language.project import Project
from engine.running.secrets import Secrets
from engine.running.world import Connections

if TYPE_CHECKING:
    from engine.edges.oncall.roster import Roster
    from engine.incidents.chains import Policy
    from engine.incidents.postmortem.book import Book
    from engine.journal.database import Database
    from engine.journal.rows import RunRow
    from engine.journal.store import Tx


class Reaching:
    """Parts that are built when they are first asked for; `Application` has what they need."""

    config: Config
    registry: Registry
    world: Connections
    secrets: Secrets
    _project: Project | None

    if TYPE_CHECKING:

        @property
        def store(self) -> Database: ...

        def reference(self, reference: SecretRef) -> str: ...

    def _run_ended(
        self, tx: Tx, run: RunRow, state: RunState, reason: str, /, *, verified: bool
    ) -> None:
        """Whether its playbook wants a postmortem; then what follows from its end."""
        program = self._project.playbooks.get(run.playbook) if self._project is not None else None
        if program is not None and program.postmortem_due is not None and run.incident_id:
            due.wants(tx, run.incident_id, program.postmortem_due)
        on_run_end(tx, run, state, reason, verified=verified)

    @cached_property
    def book(self) -> Book:
        """Makes postmortems."""
        from engine.edges.writing import book_of

        return book_of(self)

    def _ports(self, run: RunRow) -> Ports:
        """What the actions of a run may ask of Stanch itself."""
        incident = RunIncident(
            self.store, run.id, run.incident_id, self.calling, self.artifact_limits
        )
        voices = self._voices
        if voices is None:
            return Ports(incident=incident)
        return Ports(chat=voices(run.incident_id), incident=incident)

    @cached_property
    def _voices(self) -> Callable[[str | None], ChatPort] | None:
        """What speaks for an incident, where a chat is configured."""
        if not self._chats:
            return None
        from engine.edges.chat.building import voices_of

        return voices_of(self)

    @property
    def _chats(self) -> bool:
        return self.config.slack is not None or self.config.chat.console

    @cached_property
    def policy(self) -> Policy:
        """The configured escalation, ready to be asked."""
        return self.config.escalation.policy()

    @cached_property
    def calling(self) -> Calling:
        """Pages people about incidents."""
        return Calling(self.policy)

    @cached_property
    def pager(self) -> Pager:
        """Who is told of pages: the configured chains, and the log."""
        return ChainPager(self.store, self.calling)

    @cached_property
    def roster(self) -> Roster:
        """Who is on call."""
        from engine.edges.calling import roster_of

        return roster_of(self.config.escalation, self.policy, self.registry, self.world)

    @cached_property
    def escalator(self) -> Escalator:
        """Carries calls on."""
        from engine.edges.calling import ActionMessenger

        messenger = ActionMessenger(self.registry, self.world, self._voices)
        return Escalator(
            self.store,
            self.policy,
            messenger,
            self.roster,
            public_url=self.config.chat.pages,
            reminders=(due.Reminders(self.store, self.calling),),
        )

    def hook_secret(self, name: str) -> str | None:
        """What the webhook of a pager proves itself with; None: it is not configured."""
        reference: SecretRef | None = getattr(self.config.escalation.acknowledgements, name)
        if reference is None:
            return None
        return self.secrets.learn(f"{name} webhook", self.reference(reference))

    @cached_property
    def artifact_limits(self) -> ArtifactLimits:
        return self.config.incidents.limits()
