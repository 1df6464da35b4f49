"""The one module that knows the concrete parts: out of a configuration it builds the engine."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.contract.registry import Registry, load_registry
from engine.contract.world import SecretRef
from engine.domain.clock import Clock, SystemClock
from engine.domain.errors import ActionFailed, Category, InvalidInput
from engine.edges.accepting import Accepting
from engine.edges.config import Config
from engine.edges.faults import Fault, planned_fault
from engine.edges.reaching import Reaching
from engine.edges.settings.brakes import brake_rules
from engine.edges.warming import Warming
from engine.incidents.paging import Paging
from engine.journal.keys import KeyRing, Keys, load_ring
from engine.language.program import Program
from engine.language.project import Project, load_project
from engine.planning.brakes import BrakeRules, Limit
from engine.planning.planner import Planner
from engine.running.commands import Commands
from engine.running.duplicates import Known
from engine.running.secrets import Secrets, read_reference
from engine.running.services import ApprovalRule, Retention, Services
from engine.running.worker import Worker
from engine.running.world import Connection, Connections
from engine.running.yielding import give_way_to

if TYPE_CHECKING:
    from engine.edges.chat.service import ChatService
    from engine.journal.database import Database
    from engine.journal.seals import Sealer

DECISIONS = "decisions"  # the connection of log.decision, unless the configuration names one


class Application(Accepting, Reaching, Warming):
    """One built engine. The store is opened when it is first needed, so that `check` and `plan` need none."""

    def __init__(
        self, config: Config, registry: Registry, clock: Clock, environ: Mapping[str, str]
    ) -> None:
        self.config = config
        self.registry = registry
        self.clock = clock
        self.node = f"{os.uname().nodename}"
        self._environ = environ
        self._fault: Fault | None = planned_fault(environ)
        self._stop = threading.Event()
        self._triage_thread: threading.Thread | None = None
        self._paging: threading.Thread | None = None
        self._worker: Worker | None = None
        self._intake: Any = None
        self._give_way = give_way_to(self._accepting)
        self._sealer: Sealer | None = None
        self._opened = False
        self._calling = False
        self.secrets = Secrets(self._secret, lambda: bool(self.config.secrets))
        self._configured = self._connections_of(config)
        self.world = Connections(registry, self._configured, self.secrets, clock, self.reference)
        self._project: Project | None = None

    # ------------------------------------------------------------ configuration

    def _connections_of(self, config: Config) -> dict[str, Connection]:
        kinds = self.registry.kinds
        found = {
            name: Connection(name, kinds[item.kind], item.settings, item.data_class)
            for name, item in config.connections.items()
        }
        if DECISIONS not in found and DECISIONS in kinds:
            settings = kinds[DECISIONS].Settings.model_validate({"path": str(config.decisions_log)})
            found[DECISIONS] = Connection(DECISIONS, kinds[DECISIONS], settings)
        return found

    def _load(self) -> Project:
        return load_project(
            self.config.rules,
            self.config.playbooks,
            self.registry,
            self.world.names,
            self.config.roles or None,
            self.config.secrets,
        )

    @property
    def project(self) -> Project:
        """The loaded rules and playbooks; read when first needed, so that a mistake in one of them never
        keeps anybody from looking at a run, deciding at a gate or setting a brake.

        Raises:
            InvalidProject: with every mistake.
        """
        if self._project is None:
            self._project = self._load()
        return self._project

    def reload(self) -> Project:
        """Read rules and playbooks again; what is loaded stays in force where the new set has mistakes.

        Raises:
            InvalidProject: with every mistake.
        """
        project = self._load()
        self._project = project
        if "triage" in self.__dict__:
            self.triage.reload(project.rules)
        return project

    def reference(self, reference: SecretRef) -> str:
        """Return the text behind `{env: NAME}` or `{file: PATH}`.

        Raises:
            ActionFailed: (configuration) it cannot be read.
        """
        file = None if reference.file is None else str(reference.file)
        return read_reference(reference.env, file, self._environ)

    def _secret(self, name: str) -> str:
        reference = self.config.secrets.get(name)
        if reference is None:
            known = ", ".join(sorted(self.config.secrets)) or "none"
            raise ActionFailed(
                Category.CONFIGURATION,
                f"there is no secret {name!r}; configured are: {known}",
                effect_possible=False,
            )
        return self.reference(reference)

    # ------------------------------------------------------------ parts

    @cached_property
    def store(self) -> Database:
        """The journal; made or migrated when it is first asked for."""
        from engine.journal.database import open_store  # SQLAlchemy: not for `check` and `plan`

        url = self.config.store_url(self.reference)
        keys = Keys(self._ring(self.config.keys.images), self._ring(self.config.keys.seal))
        hook: Callable[[int, Any], None] | None = self._fault.on_commit if self._fault else None
        store = open_store(url, keys=keys, on_commit=hook)
        self._opened = True
        return store

    def has_store(self) -> bool:
        """Whether the store is there already; asking makes none. A database server is taken to be there."""
        url = self.config.store_url(self.reference)
        file = url.removeprefix("sqlite:///")
        return self._opened or file == url or Path(file).exists()

    def _ring(self, reference: SecretRef) -> KeyRing:
        if reference.file is not None:
            return load_ring(reference.file)
        import base64

        text = self.reference(reference)
        try:
            return KeyRing(tuple(base64.b64decode(line, validate=True) for line in text.split()))
        except ValueError as error:
            raise InvalidInput(
                f"{reference.env}: expected one base64 key of 32 bytes a line"
            ) from error

    @cached_property
    def planner(self) -> Planner:
        known = Known(lambda: self.store if self.has_store() else None)
        return Planner(self.registry, self.world, self.clock.now, done=known)

    @cached_property
    def services(self) -> Services:
        """What the rooms of `running` share."""
        config = self.config
        services = Services(
            store=self.store,
            clock=self.clock,
            registry=self.registry,
            connections=self.world,
            planner=self.planner,
            approval=ApprovalRule(
                config.approval.role,
                config.approval.approvals,
                config.approval.within,
                config.approval.on_timeout,
                tuple(config.approval.escalation),
                config.approval.break_glass,
            ),
            budgets=self.budgets(),
            node=self.node,
            brakes=self.brake_rules,
            retention=Retention(config.retention.images, config.retention.artifacts),
            person=config.directory.canonical,
            on_end=self._run_ended,
            stopping=self._stop.is_set,
        )
        services.ports = self._ports
        if self._fault is not None:
            services.on_moment = self._fault.on_moment
        return services

    @cached_property
    def chat(self) -> ChatService | None:
        """What speaks to people, where a chat is configured."""
        if not self._chats:
            return None
        from engine.edges.chat.building import chat_of  # its client: not for those without a chat

        return chat_of(self)

    @cached_property
    def brake_rules(self) -> BrakeRules:
        """The configured brakes; asking needs no store."""
        return brake_rules(self.config.brakes)

    def budgets(self) -> Mapping[str, Limit]:
        """The configured blast-radius budgets, by unit."""
        return {name: Limit(item.limit, item.within) for name, item in self.config.budgets.items()}

    @cached_property
    def commands(self) -> Commands:
        return Commands(
            self.store,
            self.playbooks,
            self.node,
            holders=self.config.directory,
            break_glass=self.config.approval.break_glass,
        )

    def playbooks(self) -> Mapping[str, Program]:
        """The loaded programs as they are now."""
        return self.project.playbooks

    # ------------------------------------------------------------ work

    def new_worker(self) -> Worker:
        """A worker that is driven by hand."""
        return Worker(
            self.services,
            threads=self.config.workers.threads,
            lease=self.config.workers.lease,
            give_way=self._give_way,
        )

    def start_workers(self, *, triage: bool = True) -> None:
        """Begin to claim and drive runs in the background; with `triage`, to decide alerts too."""
        from engine.journal.seals import Sealer

        self._worker = self.new_worker()
        self._worker.start()
        self._sealer = Sealer(self.store)
        self._sealer.start()
        paging = Paging(self.store, self.pager, node=self.node)
        self._paging = threading.Thread(
            target=paging.serve, args=(self._stop,), name="pages", daemon=True
        )
        self._paging.start()
        if triage and self.chat is not None:
            self.chat.start()
        if triage:
            self.escalator.start()
            self._calling = True
            self._triage_thread = threading.Thread(
                target=self.triage.serve, args=(self._stop,), name="triage", daemon=True
            )
            self._triage_thread.start()

    def stop(self) -> None:
        """Finish the steps in flight, hand the runs back, close everything."""
        self._stop.set()
        self._stop_warming()
        if self._triage_thread is not None:
            self.triage.wake()
            self._triage_thread.join()
        if self._calling:
            self.escalator.stop()
        if self._worker is not None:
            self._worker.stop()
        if self._paging is not None:
            self._paging.join()
        if self.__dict__.get("chat") is not None:
            self.__dict__["chat"].stop()
        if self._sealer is not None:
            self._sealer.stop()
        self.world.close()
        if self._opened:
            self.store.close()


def build(
    config: Config,
    *,
    clock: Clock | None = None,
    registry: Registry | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Application:
    """Build the engine of a configuration.

    Raises:
        InvalidProject: rules or playbooks have mistakes.
        StoreUnavailable: (when the store is first used) it cannot be opened.
    """
    return Application(
        config, registry or load_registry(config.actions), clock or SystemClock(), environ
    )
