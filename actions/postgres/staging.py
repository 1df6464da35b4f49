"""The lines of a backup in a temporary table, and what of a table differs from them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from actions.postgres.backup import FORMAT
from actions.postgres.catalogue import Column
from actions.postgres.changing import Effect, by_key, image_of, select, texts
from actions.postgres.client import Work
from actions.postgres.parsing import Table, quoted
from engine.contract import ActionFailed, Category
from engine.domain.canonical import JsonObject

_STAGED = "pg_temp.stanch_staged"
_AT_ONCE = 500  # lines that travel together
_LONGEST = 64 * 2**20  # bytes of one line


@dataclass(frozen=True)
class Restoring:
    """A backup beside the table that it is restored into.

    Attributes:
        kept: the table's columns that the backup has, computed ones left out.
        whole: whether rows that the backup has not are deleted.
    """

    work: Work
    table: Table
    shape: list[Column]
    key: list[str]
    kept: list[Column]
    whole: bool

    def _matches(self) -> str:
        types = {column.name: column.type for column in self.kept}
        return " AND ".join(f"t.{quoted(one)} = s.{quoted(one)}::{types[one]}" for one in self.key)

    def _differs(self) -> str:
        names = [quoted(column.name) for column in self.kept if column.name not in self.key]
        each = [f"t.{name}::text IS DISTINCT FROM s.{name}" for name in names]
        return f"({' OR '.join(each)})" if each else "false"

    def counts(self) -> dict[str, int]:
        """Count the rows that would be inserted, updated and deleted."""
        t, s, match = self.table.quoted, _STAGED, self._matches()
        missing = (
            f"SELECT count(*) FROM {s} AS s WHERE NOT EXISTS (SELECT 1 FROM {t} AS t WHERE {match})"
        )
        other = f"SELECT count(*) FROM {t} AS t JOIN {s} AS s ON {match} WHERE {self._differs()}"
        beyond = (
            f"SELECT count(*) FROM {t} AS t WHERE NOT EXISTS (SELECT 1 FROM {s} AS s WHERE {match})"
        )
        if not self.whole:
            beyond = "SELECT 0::bigint"
        sql = f"SELECT ({missing}) AS inserted, ({other}) AS updated, ({beyond}) AS deleted"
        return {name: int(count) for name, count in self.work.run(sql)[0].items()}

    def run(self) -> list[tuple[str, Effect]]:
        """Delete, update and insert, and return what each did; the rows are locked by it."""
        made = [("UPDATE", self._update()), ("INSERT", self._insert())]
        return [("DELETE", self._delete()), *made] if self.whole else made

    def _delete(self) -> Effect:
        rows = self.work.run(
            f"DELETE FROM {self.table.quoted} AS t WHERE NOT EXISTS "
            f"(SELECT 1 FROM {_STAGED} AS s WHERE {self._matches()}) RETURNING {texts('t', self.shape)}"
        )
        return Effect(len(rows), by_key(rows, self.key), {})

    def _update(self) -> Effect:
        names = ", ".join(f"t.{quoted(one)}::text AS {quoted(one)}" for one in self.key)
        found = self.work.run(
            f"SELECT {names} FROM {self.table.quoted} AS t JOIN {_STAGED} AS s ON {self._matches()} "
            f"WHERE {self._differs()} FOR UPDATE OF t"
        )
        keys = [tuple(row[name] for name in self.key) for row in found]
        if not keys:
            return Effect(0)
        before = select(self.work, self.table, self.shape, self.key, keys)
        sets = ", ".join(
            f"{quoted(column.name)} = s.{quoted(column.name)}::{column.type}"
            for column in self.kept
            if column.name not in self.key
        )
        rows = self.work.run(
            f"UPDATE {self.table.quoted} AS t SET {sets} FROM {_STAGED} AS s "
            f"WHERE {self._matches()} AND {self._differs()} RETURNING {texts('t', self.shape)}"
        )
        after = by_key(rows, self.key)
        return Effect(len(rows), {name: before[name] for name in after}, after)

    def _insert(self) -> Effect:
        into = ", ".join(quoted(column.name) for column in self.kept)
        picked = ", ".join(f"s.{quoted(column.name)}::{column.type}" for column in self.kept)
        rows = self.work.run(
            f"INSERT INTO {self.table.quoted} AS i ({into}) OVERRIDING SYSTEM VALUE SELECT {picked} "
            f"FROM {_STAGED} AS s WHERE NOT EXISTS "
            f"(SELECT 1 FROM {self.table.quoted} AS t WHERE {self._matches()}) "
            f"RETURNING {texts('i', self.shape)}"
        )
        return Effect(len(rows), {}, by_key(rows, self.key))

    def image(self, made: Sequence[tuple[str, Effect]]) -> JsonObject:
        """Return the before-image of all three."""
        parts = [
            image_of(kind, self.table, self.key, effect) for kind, effect in made if effect.rows
        ]
        return {"parts": parts}


def stage(
    work: Work, file: BinaryIO, table: Table, shape: list[Column], key: list[str], *, whole: bool
) -> Restoring:
    """Load a backup beside its table, a few lines at a time.

    Raises:
        ActionFailed: (data) it is no backup, or not one of this table; (permanent) it lacks the key.
    """
    names = _header(file)
    known = {column.name: column for column in shape}
    foreign = [name for name in names if name not in known]
    if foreign:
        raise _bad(f"its column {foreign[0]!r} is none of {table}")
    lacking = [name for name in key if name not in names]
    if lacking:
        raise _bad(f"it lacks the key column {lacking[0]!r}")
    columns = ", ".join(f"{quoted(name)} text" for name in names)
    work.control(f"CREATE TEMPORARY TABLE stanch_staged ({columns}) ON COMMIT DROP")
    for lines in _pages(file):
        work.run(
            f"INSERT INTO {_STAGED} SELECT r.* FROM unnest($1::text[]) AS l(line) "
            f"CROSS JOIN LATERAL json_populate_record(NULL::{_STAGED}, l.line::json) AS r",
            [lines],
        )
    keys = ", ".join(map(quoted, key))
    twice = work.run(f"SELECT {keys} FROM {_STAGED} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1")
    if twice:
        raise _bad(f"it has two rows of the key {dict(twice[0])}")
    kept = [known[name] for name in names if not known[name].generated]
    return Restoring(work, table, shape, key, kept, whole)


def _header(file: BinaryIO) -> list[str]:
    try:
        head = json.loads(file.readline(_LONGEST))
        version, names = head[FORMAT], head["columns"]
    except (ValueError, KeyError, TypeError):
        raise _bad("its first line is not that of a backup") from None
    if version != 1 or not isinstance(names, list) or not names:
        raise _bad(f"its form {version!r} is not known here")
    return [str(name) for name in names]


def _pages(file: BinaryIO) -> Iterator[list[str]]:
    page: list[str] = []
    while line := file.readline(_LONGEST + 1):
        if len(line) > _LONGEST:
            raise _bad(f"it has a line over {_LONGEST} bytes")
        page.append(line.decode())
        if len(page) == _AT_ONCE:
            yield page
            page = []
    if page:
        yield page


def _bad(what: str) -> ActionFailed:
    return ActionFailed(
        Category.DATA, f"the backup cannot be restored: {what}", effect_possible=False
    )
