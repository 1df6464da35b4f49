"""command.run: a local program by argument list."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from actions.command import byhand
from actions.command.connection import Commands
from actions.command.process import Ended
from engine.contract import (
    ActionFailed,
    ActionParams,
    Applied,
    CannotTell,
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


class UndoBy(BaseModel):
    """A run that takes the effect back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    program: str = Field(description="A program of the connection", examples=["queue"])
    arguments: list[str] = Field(
        default_factory=list,
        description="Its arguments, one an item",
        examples=[["resume", "--queue=etl"]],
    )


class RunParams(ActionParams):
    """Parameters of a run."""

    connection: str = Field(description="A command connection", examples=["tools"])
    program: str = Field(description="A program of the connection", examples=["queue"])
    arguments: list[str] = Field(
        default_factory=list,
        description="Its arguments, one an item; no shell reads them",
        examples=[["pause", "--queue=etl"]],
    )
    stdin: str | None = Field(
        None, description="What it reads from its input", examples=["17\n"], max_length=2**20
    )
    expect: list[int] = Field(
        [0], description="Exit codes that are no failure", examples=[[0, 3]], min_length=1
    )
    timeout: Seconds | None = Field(
        None, gt=0, description="Longest run; the program's own at most", examples=["30s"]
    )
    undo: UndoBy | None = Field(
        None,
        description="The run that takes the effect back; without it the step is irreversible",
        examples=[{"program": "queue", "arguments": ["resume", "--queue=etl"]}],
    )


class CommandRun(Change[RunParams]):
    """Runs one program to its end. Its plan is the command itself, which is not run.

    What was run to its end under a key is known on this machine; a run that was broken off is a person's
    to judge, and is never repeated by itself.
    """

    name = "command.run"
    manual = byhand.run
    summary = "Run a local program from the allow-list"
    Params = RunParams
    protection = Protection.UNPROTECTED
    risk = "high"

    def targets(self, params: RunParams) -> Sequence[Target]:
        names = [params.program, *([params.undo.program] if params.undo else [])]
        return tuple(Target(params.connection, name) for name in dict.fromkeys(names))

    def grants(self, params: RunParams) -> Sequence[Grant]:
        return tuple(
            Grant(target.connection, "command", {"program": target.path})
            for target in self.targets(params)
        )

    def plan(self, params: RunParams, world: World) -> Planned:
        commands = world.client(params.connection, Commands)
        program = commands.check(params.program, params.arguments)
        if params.undo:
            commands.check(params.undo.program, params.undo.arguments)
        after: JsonObject = {"program": str(program.path), "arguments": list(params.arguments)}
        if params.stdin is not None:
            after["stdin"] = params.stdin
        return Planned(
            action=self.name,
            target=Target(params.connection, params.program),
            before={},
            after=after,
            counts={"commands": 1},
            request={
                "program": params.program,
                "arguments": list(params.arguments),
                "stdin": params.stdin,
                "expect": list(params.expect),
                "timeout": params.timeout,
                "undo": params.undo.model_dump() if params.undo else None,
            },
            summary=f"run {' '.join([str(program.path), *map(repr, params.arguments)])}",
            reversible=params.undo is not None,
            why_irreversible=None if params.undo else "no undo command is declared; declare `undo`",
            notes=("the command is shown, not run: what it changes is known to the program only",),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        request = planned.request
        output = _once(
            world, planned, key, request["program"], request["arguments"], request["stdin"]
        )
        return _receipt(planned, output)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        if receipt is not None:
            return Applied(receipt)
        record = world.client(planned.target.connection, Commands).records.find(key)
        if record is None:
            # The records are this machine's: the run may have had its owner on another one.
            return CannotTell(f"{planned.summary}: nothing is recorded of it on this machine")
        if record.state == "done":
            return Applied(_receipt(planned, record.value))
        how = f"failed ({record.value['why']})" if record.state == "failed" else "was broken off"
        return CannotTell(
            f"{planned.summary} {how}. Look at what it did, then retry or mark it done"
        )

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        del receipt
        undo = UndoBy(**planned.request["undo"])
        output = _once(world, planned, key, undo.program, undo.arguments, None)
        return Receipt(counts={"commands": 1}, output=output)


def _once(
    world: World,
    planned: Planned,
    key: str,
    program: str,
    arguments: Sequence[str],
    stdin: str | None,
) -> JsonObject:
    """Run it unless the key's run came to its end before, and return its output."""
    commands = world.client(planned.target.connection, Commands)
    record = commands.records.find(key)
    if record is not None and record.state == "done":
        return record.value
    if commands.writable:
        commands.check(program, arguments)
        commands.records.put(key, "begun")
    try:
        ended = commands.run(world, program, arguments, stdin, planned.request["timeout"])
        _hold_to(commands, planned, program, ended)
    except ActionFailed as failure:
        if failure.effect_possible:
            commands.records.put(key, "failed", {"why": str(failure)})
        elif commands.writable:
            commands.records.drop(key)
        raise
    output = _output(commands, ended)
    commands.records.put(key, "done", output)
    return output


def _hold_to(commands: Commands, planned: Planned, program: str, ended: Ended) -> None:
    if ended.code in planned.request["expect"]:
        return
    how = f"ended with code {ended.code}" if ended.code >= 0 else f"died of signal {-ended.code}"
    said = " ".join(commands.text(ended.errors or ended.output).split())[-300:]
    what = f"{program} {how}" + (f": {said}" if said else "")
    raise commands.failure(Category.UNCLASSIFIED, what, ran=True)


def _output(commands: Commands, ended: Ended) -> JsonObject:
    limit = commands.settings.max_output
    return {
        "code": ended.code,
        "stdout": commands.text(ended.output),
        "stderr": commands.text(ended.errors),
        "truncated": max(ended.output_bytes, ended.error_bytes) > limit,
        "seconds": ended.seconds,
    }


def _receipt(planned: Planned, output: JsonObject) -> Receipt:
    return Receipt(dict(planned.after), {"commands": 1}, None, dict(output))
