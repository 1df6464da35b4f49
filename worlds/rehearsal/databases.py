"""A PostgreSQL database in a rehearsal: a scratch one on a real server, filled anew, on the rehearsal's clock.

The clock is a function `now()` in a schema that stands before pg_catalog on the search path, so that tables'
defaults and statements see the rehearsal's time. What escapes it (`current_timestamp`) is refused by `check`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.domain.canonical import Json
from engine.domain.clock import Clock, format_time
from engine.domain.errors import InvalidInput
from engine.domain.rehearsed import Message, NetChange, Scene
from worlds.rehearsal.databasespec import DatabaseSpec, LaterSpec, TableSpec
from worlds.rehearsal.rowdiff import dump, table_changes
from worlds.rehearsal.scratch import CLOCK, PATH, adopt, scratch_database
from worlds.rehearsal.specs import Span, read_span
from worlds.rehearsal.tablefill import TablePlan, cell, fill, make

if TYPE_CHECKING:
    import psycopg

SERVICE = "postgres"


@dataclass(frozen=True)
class Played:
    """What a rehearsed client is given: settings of each of its transactions, and connections to start from.

    Attributes:
        go_on: does what others have done by the clock's time, before each transaction.
    """

    clock: Clock
    idle: dict[str, list[psycopg.Connection[Any]]]
    go_on: Callable[[], None]

    def __call__(self) -> Mapping[str, str]:
        self.go_on()
        return {"search_path": PATH, f"{CLOCK}.now": format_time(self.clock.now())}


class DatabaseWorld:
    """A scratch database, its beginning, and what differs from it."""

    def __init__(self, spec: DatabaseSpec, scene: Scene) -> None:
        self._scene = scene
        name = re.sub(r"\W", "_", f"rehearsal_{scene.connection}").lower()
        self._scratch = scratch_database(scene.service(SERVICE), name)
        texts = [(text, self._statement(text)) for text in spec.sql]
        tables = [self._planned(name, self._table(given)) for name, given in spec.tables.items()]
        self._set_clock(scene.clock.now())
        self._scratch.lay(
            (tuple(texts), tuple(one.structure for one in tables)),
            partial(self._build, texts, tables),
        )
        self._fill(tables)
        self._before = dump(self._scratch.connection)
        self._later = list(spec.later)

    def settings(self) -> Mapping[str, Any]:
        return {"dsn": self._scratch.dsn, "read_dsn": None, "password": None}

    def transport(self, *, writable: bool) -> Any:
        del writable
        return Played(self._scene.clock, self._scratch.idle, self._go_on)

    def messages(self) -> Sequence[Message]:
        return ()

    def unanswered(self) -> Sequence[str]:
        return ()

    def unasked(self) -> Sequence[str]:
        return [f"later, after {one.after.step}: {one.sql[:80]}" for one in self._later]

    def close(self) -> None:
        """The database is laid out anew by its next user, and goes with the server."""

    def changes(self) -> Sequence[NetChange]:
        after = dump(self._scratch.connection)
        found: list[NetChange] = []
        for table in sorted({*self._before, *after}):
            found += table_changes(table, self._before.get(table), after.get(table))
        return found

    def _go_on(self) -> None:
        """Do what others have done by now, each at its own moment."""
        import psycopg

        due: list[tuple[datetime, LaterSpec]] = []
        for one in self._later:
            done = self._scene.done(one.after.step)
            if (
                done is not None
                and done + timedelta(seconds=one.after.in_) <= self._scene.clock.now()
            ):
                due.append((done + timedelta(seconds=one.after.in_), one))
        for moment, one in sorted(due, key=lambda entry: entry[0]):
            self._later.remove(one)
            try:
                self._set_clock(moment)
                self._scratch.connection.execute(self._statement(one.sql).encode())
            except psycopg.Error as error:
                where = f"{self._where}: later, after {one.after.step}"
                raise InvalidInput(f"{where}: {one.sql[:80]!r}: {error}") from None

    # ------------------------------------------------------------ filling

    def _set_clock(self, moment: datetime) -> None:
        self._scratch.connection.execute(
            "SELECT set_config(%s, %s, false)", [f"{CLOCK}.now", format_time(moment)]
        )

    def _build(
        self,
        texts: Sequence[tuple[str, str]],
        tables: Sequence[TablePlan],
        connection: psycopg.Connection[Any],
    ) -> None:
        import psycopg

        for given, text in texts:
            try:
                connection.execute(text.encode())
            except psycopg.Error as error:
                raise InvalidInput(f"{self._where}: {given[:80]!r}: {error}") from None
        adopt(connection)
        for table in tables:
            try:
                make(connection, table)
            except psycopg.Error as error:
                raise InvalidInput(f"{self._where}: table {table.name}: {error}") from None

    def _fill(self, tables: Sequence[TablePlan]) -> None:
        import psycopg

        for table in tables:
            try:
                fill(self._scratch.connection, table)
            except psycopg.Error as error:
                raise InvalidInput(f"{self._where}: table {table.name}: {error}") from None

    @property
    def _where(self) -> str:
        return f"world {self._scene.connection}"

    def _statement(self, text: str) -> str:
        if not text.endswith(".sql"):
            return text
        path = self._scene.folder / text
        if not path.is_file():
            raise InvalidInput(f"{self._where}: there is no file {path}")
        return path.read_text()

    def _table(self, given: list[dict[str, Any]] | str | TableSpec) -> TableSpec:
        """Read its file, if it has one, and place its times."""
        if isinstance(given, list):
            spec = TableSpec(rows=given)
        else:
            spec = TableSpec(file=given) if isinstance(given, str) else given
        rows = spec.rows if spec.file is None else self._rows_of(spec.file)
        placed = [{name: self._moment(value) for name, value in row.items()} for row in rows]
        return spec.model_copy(update={"rows": placed})

    @staticmethod
    def _planned(name: str, spec: TableSpec) -> TablePlan:
        return TablePlan.of(name, spec.rows, spec.columns, spec.key)

    def _rows_of(self, file: str) -> list[dict[str, Json]]:
        path = self._scene.folder / file
        if not path.is_file():
            raise InvalidInput(f"{self._where}: there is no file {path}")
        with path.open(newline="", encoding="utf-8") as lines:
            return [
                {name: cell(text) for name, text in row.items()} for row in csv.DictReader(lines)
            ]

    def _moment(self, value: Json) -> Json:
        """Replace `{ago: 5m}` and `{in: 5m}` by times."""
        if isinstance(value, dict) and len(value) == 1:
            for word, sign in (("ago", -1), ("in", 1)):
                if word in value:
                    span: Span = read_span(value[word])
                    return self._scene.clock.now() + timedelta(seconds=sign * span)
        return value
