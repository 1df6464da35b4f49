"""The real servers that some worlds need, started once for all rehearsals of an invocation."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.domain.errors import InvalidInput
from engine.edges.config import Config
from engine.edges.rehearsal.answers import is_answers
from engine.language.rehearsalreading import Rehearsal

VARIABLE = "STANCH_REHEARSAL_POSTGRES"  # a server that is there already, by its DSN


def needed(rehearsals: Sequence[Rehearsal], config: Config) -> set[str]:
    """Return the servers that rehearsals need, by name."""
    return {name for one in rehearsals for name in _needed(one, config)}


def _needed(rehearsal: Rehearsal, config: Config) -> Iterator[str]:
    from worlds.rehearsal.kinds import WORLDS

    world = rehearsal.form.world if rehearsal.form is not None else {}
    for name, entry in world.items():
        offer = WORLDS.get(config.kinds.get(name, ""))
        service = offer.service(entry) if offer is not None and not is_answers(entry) else None
        if service is not None:
            yield service


class Servers:
    """Starts what is needed when entered, ends it when left."""

    def __init__(self, names: set[str]) -> None:
        self._names = names
        self._addresses: dict[str, str] = {}
        self._problems: dict[str, str] = {}
        self._stack = ExitStack()

    def service(self, name: str) -> str:
        """Return a server's address.

        Raises:
            InvalidInput: there is none; the message says what to install.
        """
        if name in self._addresses:
            return self._addresses[name]
        why = self._problems.get(name, "it was not started")
        raise InvalidInput(f"this rehearsal needs a {name} server: {why}")

    def __enter__(self) -> Self:
        if "postgres" in self._names:
            self._start_postgres()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._addresses.clear()
        self._stack.close()

    def _start_postgres(self) -> None:
        given = os.environ.get(VARIABLE)
        if given:
            self._addresses["postgres"] = given
            return
        from worlds.servers.postgres import PostgresServer

        lacking = PostgresServer.missing()
        if lacking:
            self._problems["postgres"] = (
                f"install {lacking}, name one in ${VARIABLE}, or write {{answers: […]}}"
            )
            return
        folder = Path(tempfile.mkdtemp(prefix="stanch-rehearsal-pg-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = self._stack.enter_context(PostgresServer(folder))
        self._addresses["postgres"] = server.dsn
