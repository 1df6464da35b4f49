"""One SQL statement, read with PostgreSQL's own parser before any server sees it.

`%(name)s` placeholders become `$1`, `$2` …; the text that is parsed is, byte for byte, the text that is
sent. Names without a schema mean `public` (and `pg_catalog` for `pg_…`): every transaction sets its
search path so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from engine.contract import Unplannable
from engine.domain.canonical import Json, JsonObject

_PLACEHOLDER = re.compile(r"%(?:%|\((\w+)\)s|.|\Z)", re.DOTALL)
CHANGES = {
    "InsertStmt": "INSERT",
    "UpdateStmt": "UPDATE",
    "DeleteStmt": "DELETE",
    "MergeStmt": "MERGE",
}


@dataclass(frozen=True)
class Table:
    """A relation by schema and name. `str()` is the form of targets and allow-lists: `public.queue_jobs`."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    @classmethod
    def parse(cls, text: str) -> Table:
        schema, _, name = text.rpartition(".")
        return cls(schema or "public", name)


@dataclass(frozen=True)
class Statement:
    """A parsed statement.

    Attributes:
        kind: the parse node, `SelectStmt`, `UpdateStmt` …
        text: SQL with `$n` placeholders, without a trailing semicolon.
        values: the values of `$1`, `$2` …
        node: its parse tree, shared: read only. nodes: the names of all nodes in it.
        written: the table of an INSERT, UPDATE, DELETE or MERGE; `alias` is how the statement calls it.
        reads: every other relation that it names.
        functions: what it calls: (schema or None, name).
        constants: columns that an UPDATE sets to a constant or a parameter, with the value.
        assigned: all columns that an UPDATE sets.
    """

    kind: str
    text: str
    values: tuple[Json, ...]
    node: JsonObject
    nodes: frozenset[str]
    written: Table | None
    alias: str
    reads: frozenset[Table]
    functions: frozenset[tuple[str | None, str]]
    constants: Mapping[str, Json] = field(default_factory=dict)
    assigned: frozenset[str] = frozenset()

    @property
    def tables(self) -> list[Table]:
        """Every relation it names, sorted."""
        named = set(self.reads) | ({self.written} if self.written else set())
        return sorted(named, key=str)


def quoted(name: str) -> str:
    """Return `name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def parse(sql: str, params: Mapping[str, Json]) -> Statement:
    """Read one statement.

    Args:
        sql: SQL with `%(name)s` placeholders. Where there are parameters, `%%` is a percent sign.
        params: the value of every name; unused ones are errors.

    Raises:
        Unplannable: it is not one statement that PostgreSQL would parse, or its parameters do not fit.
    """
    text, names = _numbered(sql, params)
    tree = _tree(text)
    for number, name in enumerate(names, start=1):
        if number not in tree.numbers:
            raise Unplannable(f"%({name})s stands inside quotes or a comment; take the quotes off")
    values = tuple(params[name] for name in names)
    assigned, constants = _assignments(tree.kind, tree.node, values)
    return Statement(
        tree.kind,
        tree.text,
        values,
        tree.node,
        tree.nodes,
        tree.written,
        tree.alias,
        tree.reads,
        tree.functions,
        constants,
        assigned,
    )


@dataclass(frozen=True)
class _Tree:
    """What a text says whatever its parameters are."""

    kind: str
    text: str
    node: JsonObject
    nodes: frozenset[str]
    numbers: frozenset[int]
    written: Table | None
    alias: str
    reads: frozenset[Table]
    functions: frozenset[tuple[str | None, str]]


@lru_cache(maxsize=256)  # one step asks several times, and every attempt and plan again
def _tree(text: str) -> _Tree:
    import pgparse

    try:
        found = pgparse.parse(text)
    except pgparse.PGQueryError as error:
        raise Unplannable(f"sql is not valid PostgreSQL: {error}") from None
    if len(found) != 1:
        what = "no statement" if not found else f"{len(found)} statements"
        raise Unplannable(f"sql holds {what}; write exactly one a step")
    raw = text.encode()
    start = found[0].get("stmt_location", 0)
    length = found[0].get("stmt_len", 0)
    text = raw[start : start + length if length else None].decode().strip()
    ((kind, node),) = found[0]["stmt"].items()
    named = list(_named(node))
    written, alias = _written(kind, node)
    reads = frozenset(_relations(node, frozenset())) - {written}
    return _Tree(
        kind,
        text,
        node,
        frozenset([kind, *(name for name, _ in named)]),
        frozenset(int(item["number"]) for name, item in named if name == "ParamRef"),
        written,
        alias,
        frozenset(one for one in reads if one is not None),
        frozenset(_called(item) for name, item in named if name == "FuncCall"),
    )


def _numbered(sql: str, params: Mapping[str, Json]) -> tuple[str, list[str]]:
    """Turn `%(name)s` into `$n`. Text without parameters is left alone, `%` and all."""
    if not params:
        if re.search(r"%\(\w+\)s", sql):
            raise Unplannable("sql has %(name)s placeholders but params is empty")
        return sql, []
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match.group() == "%%":
            return "%"
        name = match.group(1)
        if name is None:
            raise Unplannable("sql has a lone %; with params write %% for a percent sign")
        if name not in params:
            given = ", ".join(sorted(params))
            raise Unplannable(f"params has no value for %({name})s; given: {given}")
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    text = _PLACEHOLDER.sub(number, sql)
    unused = sorted(set(params) - set(names))
    if unused:
        raise Unplannable(f"params.{unused[0]} is not used: sql has no %({unused[0]})s")
    return text, names


def _named(node: Any) -> Iterator[tuple[str, JsonObject]]:
    """Yield every node below `node`, with its name."""
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, dict):
                yield key, value
            yield from _named(value)
    elif isinstance(node, list):
        for item in node:
            yield from _named(item)


def holds(statement: Statement, name: str) -> bool:
    """Tell whether the statement holds a parse node of that name."""
    return name in statement.nodes


def _table(relation: JsonObject) -> Table:
    name = relation["relname"]
    default = "pg_catalog" if name.startswith("pg_") else "public"
    return Table(relation.get("schemaname", default), name)


def _written(kind: str, node: JsonObject) -> tuple[Table | None, str]:
    if kind not in CHANGES:
        return None, ""
    relation = node["relation"]
    alias = relation.get("alias", {}).get("aliasname", relation["relname"])
    return _table(relation), alias


def _relations(node: Any, hidden: frozenset[str]) -> Iterator[Table]:
    """Yield the relations that a tree names. `hidden` are the names of the WITH queries in scope."""
    if isinstance(node, list):
        for item in node:
            yield from _relations(item, hidden)
        return
    if not isinstance(node, dict):
        return
    if "relname" in node and "relpersistence" in node:
        if "schemaname" in node or node["relname"] not in hidden:
            yield _table(node)
        return
    inner = hidden
    clause = node.get("withClause")
    if clause:
        names = [item["CommonTableExpr"]["ctename"] for item in clause["ctes"]]
        for position, item in enumerate(clause["ctes"]):
            # A plain WITH query does not see itself: there its own name is the real table's.
            seen = names if clause.get("recursive") else names[:position]
            yield from _relations(item["CommonTableExpr"]["ctequery"], hidden | set(seen))
        inner = hidden | set(names)
    for key, value in node.items():
        if key == "relation":  # what is written is never a WITH query
            yield from _relations(value, frozenset())
        elif key != "withClause":
            yield from _relations(value, inner)


def _called(call: JsonObject) -> tuple[str | None, str]:
    names = [part["String"]["sval"] for part in call["funcname"]]
    return (names[-2] if len(names) > 1 else None), names[-1]


def _assignments(
    kind: str, node: JsonObject, values: tuple[Json, ...]
) -> tuple[frozenset[str], dict[str, Json]]:
    if kind != "UpdateStmt":
        return frozenset(), {}
    constants: dict[str, Json] = {}
    assigned = set()
    for target in node.get("targetList", []):
        item = target["ResTarget"]
        assigned.add(item["name"])
        known, value = _constant(item.get("val", {}), values)
        if known and "indirection" not in item:
            constants[item["name"]] = value
    return frozenset(assigned), constants


def _constant(node: JsonObject, values: tuple[Json, ...]) -> tuple[bool, Json]:
    """Return whether the expression is a constant, and which."""
    if "TypeCast" in node:
        return _constant(node["TypeCast"]["arg"], values)
    if "ParamRef" in node:
        return True, values[int(node["ParamRef"]["number"]) - 1]
    constant = node.get("A_Const")
    if constant is None:
        return False, None
    if constant.get("isnull"):
        return True, None
    if "sval" in constant:
        return True, constant["sval"].get("sval", "")
    if "ival" in constant:
        return True, int(constant["ival"].get("ival", 0))
    if "boolval" in constant:
        return True, bool(constant["boolval"].get("boolval", False))
    if "fval" in constant:
        return True, constant["fval"]["fval"]
    return False, None
