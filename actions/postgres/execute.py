"""postgres.execute: one INSERT, UPDATE, DELETE or MERGE, rehearsed before it is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from actions.postgres import byhand, catalogue, changing, tokens, undoing
from actions.postgres.client import PostgresClient, Work
from actions.postgres.parsing import CHANGES, Statement, Table, parse
from actions.postgres.query import SQL
from actions.postgres.refusals import refuse_change
from actions.postgres.tokentable import TOKENS
from engine.contract import (
    ActionFailed,
    ActionParams,
    Applied,
    Category,
    Change,
    Confirmation,
    Grant,
    NotApplied,
    NotYet,
    Planned,
    Protection,
    Receipt,
    Target,
    Unplannable,
    World,
)
from engine.contract.fields import Seconds
from engine.domain.canonical import Json, JsonObject

_UNDONE_BY = {"InsertStmt": "DELETE", "DeleteStmt": "INSERT"}
_SAMPLE = 5  # rows shown to people
_KEYS_SHOWN = 100  # keys in the output


class ExecuteParams(ActionParams):
    """Parameters of a change."""

    connection: str = Field(description="A postgres connection", examples=["starforge"])
    sql: str = Field(
        description="One INSERT, UPDATE, DELETE or MERGE; values stand in it as %(name)s and are bound "
        "from params. Tables without a schema are those of public",
        examples=["UPDATE public.queue_jobs SET state = 'paused' WHERE kind = %(kind)s"],
        min_length=1,
        json_schema_extra=SQL,
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Values of the %(name)s placeholders; objects are sent as jsonb",
        examples=[{"kind": "backfill"}],
    )
    table: str | None = Field(
        None,
        description="The table that sql writes, where you want that checked",
        examples=["public.queue_jobs"],
    )
    key: list[str] = Field(
        default_factory=list,
        description="Columns that name one row of the table; with them the step can be undone",
        examples=[["id"]],
    )
    max_rows: int = Field(
        10_000, gt=0, le=1_000_000, description="Most rows it may touch", examples=[500]
    )
    lock_timeout: Seconds | None = Field(
        None,
        description="Longest wait for a lock; the connection's own where missing",
        examples=["2s"],
    )
    statement_timeout: Seconds | None = Field(
        None, description="Longest run; the connection's own where missing", examples=["30s"]
    )


class PostgresExecute(Change[ExecuteParams]):
    """One statement that changes rows.

    The plan runs it in a transaction that is rolled back. Apply runs it together with a row in the token
    table, in one transaction. With `key`, the rows before are kept and `undo` restores them.
    """

    name = "postgres.execute"
    manual = byhand.execute
    summary = "Change rows with one INSERT, UPDATE, DELETE or MERGE"
    Params = ExecuteParams
    protection = Protection.TOKEN
    risk = "high"

    def targets(self, params: ExecuteParams) -> Sequence[Target]:
        try:
            tables = _statement(params.sql, params.params).tables
        except Unplannable:
            return ()  # `plan` refuses it with the reason, before any connection is opened
        return tuple(Target(params.connection, str(table)) for table in tables)

    def locks(self, params: ExecuteParams) -> Sequence[Target]:
        written = _statement(params.sql, params.params).written
        return (Target(params.connection, str(written)),)

    def grants(self, params: ExecuteParams) -> Sequence[Grant]:
        statement = _statement(params.sql, params.params)
        rights = [(CHANGES[statement.kind], str(statement.written))]
        if statement.kind == "MergeStmt":
            rights = [(verb, str(statement.written)) for verb in ("INSERT", "UPDATE", "DELETE")]
        elif params.key:
            # UPDATE is what locking the rows asks for; the third takes the change back.
            needed = ("UPDATE", _UNDONE_BY.get(statement.kind, "UPDATE"))
            rights += [(verb, str(statement.written)) for verb in needed]
        rights += [("SELECT", str(table)) for table in statement.tables]
        rights += [("SELECT", TOKENS), ("INSERT", TOKENS)]
        return tuple(
            Grant(params.connection, "sql", {"privilege": privilege, "on": on})
            for privilege, on in dict.fromkeys(rights)
        )

    def plan(self, params: ExecuteParams, world: World) -> Planned:
        statement = _statement(params.sql, params.params)
        assert statement.written is not None
        _check_table(params.table, statement.written)
        client = world.client(params.connection, PostgresClient)
        with client.rehearsing(params.statement_timeout, params.lock_timeout) as work:
            ready = tokens.readiness(work, client)
            catalogue.refuse_unknown_functions(work, statement, client.settings)
            replay(work, world, params.connection)
            held = {item.table for item in catalogue.touched(work) if item.writes}
            shape = catalogue.columns(work, statement.written)
            if params.key:
                _check_columns(params.key, shape, statement.written)
                catalogue.check_key(work, statement.written, params.key)
            fired = catalogue.triggers(work, statement.written)
            effect = changing.run_sampled(work, statement, shape, params.key, _SAMPLE)
            work.control("SET CONSTRAINTS ALL IMMEDIATE")
            seen = catalogue.touched(work)
            catalogue.refuse_beyond_allowed(work, client.settings, seen, statement.written)
            carried = catalogue.cascades(work, statement)
            others = catalogue.uncommitted(work, statement.written)
        _hold_to(params.max_rows, effect.rows)
        if not fired and not statement.functions:
            # Nothing but the statement itself writes: other tables are what earlier steps wrote.
            seen = [item for item in seen if item.table not in held]
        why = _why_irreversible(statement, params.key, carried, seen)
        notes = ["rehearsed in a transaction that was rolled back: it took row locks and wrote WAL"]
        if statement.functions & {(None, "nextval")} or statement.kind == "InsertStmt":
            notes.append("sequence values taken by the rehearsal are not given back")
        notes += (
            [f"fires {', '.join(fired)}; what they write elsewhere is not undone"] if fired else []
        )
        notes += [ready] if ready else []
        return Planned(
            action=self.name,
            target=Target(params.connection, str(statement.written)),
            before={},
            after=dict(statement.constants) if effect.rows else {},
            counts={"rows": effect.rows},
            request={
                "sql": params.sql,
                "params": params.params,
                "key": params.key if why is None else [],
                "max_rows": params.max_rows,
                "lock_timeout": params.lock_timeout,
                "statement_timeout": params.statement_timeout,
            },
            summary=f"{CHANGES[statement.kind]} {statement.written}: {_rows(effect.rows)}",
            reversible=why is None,
            why_irreversible=why,
            sample=tuple(changing.sample(params.key, effect, _SAMPLE)),
            notes=tuple(notes),
            fresh_changes=others,
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        return self.apply_noted(planned, world, key, {})

    def apply_noted(self, planned: Planned, world: World, key: str, notes: JsonObject) -> Receipt:
        """Apply it once a key, and keep `notes` in the token's output, for who looks at it later."""
        request = planned.request
        statement = _statement(request["sql"], request["params"])
        client = world.client(planned.target.connection, PostgresClient)
        tokens.prepare(client)
        with client.writing(request["statement_timeout"], request["lock_timeout"]) as work:
            tokens.hold(work, key)
            done = tokens.find(work, client, key)
            if done is not None:
                return _receipt(done)
            catalogue.refuse_unknown_functions(work, statement, client.settings)
            token = _change(work, statement, planned, list(request["key"]))
            token.receipt["output"].update(notes)
            work.control("SET CONSTRAINTS ALL IMMEDIATE")
            seen = catalogue.touched(work)
            catalogue.refuse_beyond_allowed(work, client.settings, seen, statement.written)
            tokens.keep(work, client, key, token)
        return _receipt(token)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        del receipt  # the token holds it, crash or no crash
        client = world.client(planned.target.connection, PostgresClient)
        with client.reading(role="write") as work:
            # The lock first: then whoever held it has committed or gone, and the next look sees which.
            if tokens.in_flight(work, key):
                return NotYet(0.5)
            done = tokens.find(work, client, key)
        return NotApplied() if done is None else Applied(_receipt(done))

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        if not isinstance(receipt.before_image, dict):
            what = f"{planned.target}: no before-image was kept, so nothing can be restored"
            raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
        request = planned.request
        client = world.client(planned.target.connection, PostgresClient)
        with client.writing(request["statement_timeout"], request["lock_timeout"]) as work:
            tokens.hold(work, key)
            done = tokens.find(work, client, key)
            if done is not None:
                return _receipt(done)
            rows = undoing.restore(work, receipt.before_image, overriding=world.overriding)
            work.control("SET CONSTRAINTS ALL IMMEDIATE")
            table = Table.parse(planned.target.path)
            seen = catalogue.touched(work)
            catalogue.refuse_beyond_allowed(work, client.settings, seen, table)
            token = tokens.Token(
                Receipt(counts={"rows": rows}, output={"rows": rows}).as_json(), None
            )
            tokens.keep(work, client, key, token)
        return _receipt(token)

    def conflicts(self, planned: Planned, receipt: Receipt, world: World) -> Sequence[str]:
        image = receipt.before_image
        if not isinstance(image, dict):
            return ()
        # Newer changes go back first: what they restore is not what others changed.
        newer = [one.request.get("before_image") for one in world.earlier]
        restored = [one for one in newer if isinstance(one, dict) and undoing.is_image(one)]
        client = world.client(planned.target.connection, PostgresClient)
        with client.reading(planned.request["statement_timeout"], role="write") as work:
            return undoing.conflicts(work, image, restored)


def replay(work: Work, world: World, connection: str) -> None:
    """Run the statements that the run will have made before, in a transaction that is rolled back."""
    for earlier in world.earlier:
        request = earlier.request
        if "sql" in request and earlier.target.connection == connection:
            changing.run_plain(work, _statement(request["sql"], request["params"]))


def _statement(sql: str, params: JsonObject) -> Statement:
    statement = parse(sql, params)
    refuse_change(statement)
    return statement


def _change(work: Work, statement: Statement, planned: Planned, key: list[str]) -> tokens.Token:
    """Make the change in this transaction; return what its token keeps."""
    image: Json = None
    output: JsonObject = {}
    if key:
        assert statement.written is not None
        shape = catalogue.columns(work, statement.written)
        effect = changing.run_kept(work, statement, shape, key)
        image = changing.image(statement, key, effect)
        names = sorted(effect.before.keys() | effect.after.keys(), key=str)
        output["keys"] = [dict(zip(key, name, strict=True)) for name in names[:_KEYS_SHOWN]]
        rows = effect.rows
    else:
        rows = changing.run_plain(work, statement)
    _hold_to(int(planned.request["max_rows"]), rows)
    output["rows"] = rows
    receipt = Receipt(after=dict(planned.after), counts={"rows": rows}, output=output)
    return tokens.Token(receipt.as_json(), image)


def _receipt(token: tokens.Token) -> Receipt:
    return Receipt.from_json(token.receipt, token.image)


def _check_table(declared: str | None, written: Table) -> None:
    if declared is not None and Table.parse(declared) != written:
        raise Unplannable(f"table is {declared}, but sql writes {written}")


def _check_columns(key: list[str], shape: Sequence[catalogue.Column], table: Table) -> None:
    names = [column.name for column in shape]
    for name in key:
        if name not in names:
            what = f"key: {table} has no column {name!r}; it has {', '.join(names)}"
            raise ActionFailed(Category.PERMANENT, what, effect_possible=False)


def _hold_to(limit: int, rows: int) -> None:
    if rows > limit:
        what = f"the statement touches {rows} rows, over max_rows {limit}; nothing was changed"
        raise ActionFailed(Category.DATA, what, effect_possible=False)


def _why_irreversible(
    statement: Statement,
    key: list[str],
    carried: list[str],
    seen: Sequence[catalogue.Touched],
) -> str | None:
    """Return why the rows before could not be restored, or None."""
    if statement.kind == "MergeStmt":
        return "a MERGE's rows cannot be told apart; write INSERT, UPDATE and DELETE as steps"
    if not key:
        return "no key is declared, so the rows cannot be found again; declare `key`"
    if set(key) & statement.assigned:
        return "it changes the key itself, so the rows cannot be found again"
    conflict = statement.node.get("onConflictClause", {})
    if conflict.get("action") == "ONCONFLICT_UPDATE":
        return "ON CONFLICT DO UPDATE mixes new rows with old ones"
    if carried:
        return f"a foreign key carries it into {', '.join(carried)}, whose rows are not kept"
    others = [str(item.table) for item in seen if item.writes and item.table != statement.written]
    if others:
        return f"triggers or rules also write {', '.join(others)}, whose rows are not kept"
    return None


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
