"""postgres.restore: a table brought back to what a backup holds, rehearsed before it is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from actions.artifacts.reference import ArtifactRef, right
from actions.artifacts.store import ArtifactStore
from actions.postgres import byhand, catalogue, changing, tokens
from actions.postgres.client import PostgresClient, Work
from actions.postgres.execute import PostgresExecute, replay
from actions.postgres.parsing import Table, parse
from actions.postgres.staging import Restoring, stage
from actions.postgres.tokentable import TOKENS
from engine.contract import (
    ActionFailed,
    ActionParams,
    Category,
    Change,
    Confirmation,
    Grant,
    Planned,
    Protection,
    Receipt,
    Target,
    World,
)
from engine.contract.fields import Seconds
from engine.domain.canonical import JsonObject

_SAMPLE = 5
_EXECUTE = PostgresExecute()


class RestoreParams(ActionParams):
    """Parameters of a restore."""

    connection: str = Field(description="A postgres connection", examples=["starforge"])
    table: str = Field(
        description="The table, with its schema; public where missing",
        examples=["public.queue_jobs"],
        min_length=1,
    )
    key: list[str] = Field(
        description="Columns that name one row", examples=[["id"]], min_length=1, max_length=16
    )
    artifact: ArtifactRef = Field(
        description="The backup, as postgres.backup gave it",
        examples=[
            {
                "connection": "artifacts",
                "name": "backups/jobs.jsonl",
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "bytes": 1048576,
            }
        ],
    )
    mode: Literal["merge", "replace"] = Field(
        "merge",
        description="merge inserts missing rows and updates differing ones; replace also deletes what the "
        "backup has not",
        examples=["merge"],
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
        None,
        description="Longest run of one statement; the connection's own where missing",
        examples=["60s"],
    )


class PostgresRestore(Change[RestoreParams]):
    """Brings the rows of a table back to what a backup holds, in one transaction with its token.

    The plan does it in a transaction that is rolled back, and says how many rows would be inserted,
    updated and deleted. Undo brings the rows of before the restore back.
    """

    name = "postgres.restore"
    manual = byhand.restore
    summary = "Restore rows of a table from a backup"
    Params = RestoreParams
    protection = Protection.TOKEN
    risk = "high"

    def targets(self, params: RestoreParams) -> Sequence[Target]:
        table = Target(params.connection, str(Table.parse(params.table)))
        return (table, params.artifact.target)

    def locks(self, params: RestoreParams) -> Sequence[Target]:
        return self.targets(params)[:1]

    def grants(self, params: RestoreParams) -> Sequence[Grant]:
        table = str(Table.parse(params.table))
        # DELETE is for rows that the mode or the way back takes away again.
        rights = [(verb, table) for verb in ("SELECT", "INSERT", "UPDATE", "DELETE")]
        rights += [("SELECT", TOKENS), ("INSERT", TOKENS)]
        writes = (
            Grant(params.connection, "sql", {"privilege": privilege, "on": on})
            for privilege, on in rights
        )
        return (*writes, right(params.artifact.target))

    def plan(self, params: RestoreParams, world: World) -> Planned:
        request: JsonObject = params.model_dump(mode="json")
        table = Table.parse(params.table)
        client = world.client(params.connection, PostgresClient)
        with client.rehearsing(params.statement_timeout, params.lock_timeout) as work:
            ready = tokens.readiness(work, client)
            replay(work, world, params.connection)
            held = {item.table for item in catalogue.touched(work) if item.writes}
            fired = catalogue.triggers(work, table)
            found = _staged(work, request, world)
            counts = found.counts()
            _hold_to(params.max_rows, counts)
            made = found.run()
            work.control("SET CONSTRAINTS ALL IMMEDIATE")
            seen = catalogue.touched(work)
            catalogue.refuse_beyond_allowed(work, client.settings, seen, table)
            carried = _carried(work, table) if counts["deleted"] else []
        beyond = [
            one for one in seen if one.writes and one.table != table and one.table not in held
        ]
        why = _why_irreversible(carried, [str(one.table) for one in beyond])
        notes = ["rehearsed in a transaction that was rolled back: it took row locks and wrote WAL"]
        notes += [f"fires {', '.join(fired)}"] if fired else []
        total = sum(counts.values())
        shown = [row for _, effect in made for row in changing.sample(params.key, effect, _SAMPLE)]
        told = ", ".join(f"{count} {word}" for word, count in counts.items())
        return Planned(
            action=self.name,
            target=Target(params.connection, str(table)),
            before={},
            after={"restored_from": params.artifact.sha256, "mode": params.mode} if total else {},
            counts={"rows": total},
            request={**request, "image": why is None},
            summary=f"restore {table} from {params.artifact.name}: {told}",
            reversible=why is None,
            why_irreversible=why,
            sample=tuple(shown[:_SAMPLE]),
            notes=(*notes, *([ready] if ready else [])),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        request = planned.request
        client = world.client(planned.target.connection, PostgresClient)
        tokens.prepare(client)
        with client.writing(request["statement_timeout"], request["lock_timeout"]) as work:
            tokens.hold(work, key)
            done = tokens.find(work, client, key)
            if done is not None:
                return Receipt.from_json(done.receipt, done.image)
            found = _staged(work, request, world)
            _hold_to(request["max_rows"], found.counts())
            made = found.run()
            work.control("SET CONSTRAINTS ALL IMMEDIATE")
            seen = catalogue.touched(work)
            catalogue.refuse_beyond_allowed(work, client.settings, seen, found.table)
            words = {"DELETE": "deleted", "UPDATE": "updated", "INSERT": "inserted"}
            output = {words[kind]: effect.rows for kind, effect in made}
            receipt = Receipt(dict(planned.after), {"rows": sum(output.values())}, None, output)
            _hold_to(request["max_rows"], output)
            image = found.image(made) if request["image"] else None
            tokens.keep(work, client, key, tokens.Token(receipt.as_json(), image))
        return Receipt.from_json(receipt.as_json(), image)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        return _EXECUTE.confirm(planned, receipt, world, key)

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        return _EXECUTE.undo(planned, receipt, world, key)

    def conflicts(self, planned: Planned, receipt: Receipt, world: World) -> Sequence[str]:
        return _EXECUTE.conflicts(planned, receipt, world)


def _staged(work: Work, request: JsonObject, world: World) -> Restoring:
    """Load the backup, held to its digest, beside the table.

    Raises:
        ActionFailed: classified.
    """
    table, key = Table.parse(request["table"]), list(request["key"])
    shape = catalogue.columns(work, table)
    catalogue.check_key(work, table, key)
    reference = ArtifactRef.model_validate(request["artifact"])
    store = world.client(reference.connection, ArtifactStore)
    with store.reading(reference) as file:
        return stage(work, file, table, shape, key, whole=request["mode"] == "replace")


def _carried(work: Work, table: Table) -> list[str]:
    return catalogue.cascades(work, parse(f"DELETE FROM {table.quoted}", {}))


def _why_irreversible(carried: list[str], beyond: list[str]) -> str | None:
    if carried:
        return f"a foreign key carries deletions into {', '.join(carried)}, whose rows are not kept"
    if beyond:
        return f"triggers or rules also write {', '.join(beyond)}, whose rows are not kept"
    return None


def _hold_to(limit: int, counts: JsonObject) -> None:
    total = sum(counts.values())
    if total > limit:
        told = ", ".join(f"{count} {word}" for word, count in counts.items())
        what = (
            f"the restore touches {total} rows ({told}), over max_rows {limit}; nothing was changed"
        )
        raise ActionFailed(Category.DATA, what, effect_possible=False)
