"""kubernetes.exec: one command in a container, by argument list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import Field

from actions.kubernetes import byhand, changing
from actions.kubernetes.changing import Object
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.ownership import others_changes
from actions.kubernetes.params import OfKind, grant
from engine.contract import (
    ActionFailed,
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
    Unknown,
    World,
)
from engine.contract.fields import Bytes, Seconds
from engine.domain.canonical import JsonObject

_STDOUT, _STDERR, _ERROR = 1, 2, 3
_FIELD = "exit_code"
_LONGEST_STATUS = 64 * 1024  # bytes of the server's word on how it ended
_SHOWN = 300  # characters of what a failed command said
_UNSEEN = "what the command changes cannot be known before it runs, and is not undone"


class ExecParams(OfKind):
    """Parameters of running a command."""

    known: ClassVar[str] = "Pod"
    name: str = Field(
        description="The pod's name", examples=["etl-worker-7d9f-x2x9z"], min_length=1
    )
    container: str | None = Field(
        None, description="Which container; may be missing where there is one", examples=["worker"]
    )
    command: list[str] = Field(
        description="Program and arguments; no shell reads them",
        examples=[["redis-cli", "LLEN", "celery"]],
        min_length=1,
    )
    within: Seconds = Field(
        60.0, gt=0, le=3600, description="Longest it may take", examples=["30s"]
    )
    limit: Bytes = Field(
        64 * 1024,
        gt=0,
        le=2**20,
        description="Most bytes kept of each of its two outputs; the rest is read and dropped",
        examples=["16Ki"],
    )
    expect: list[int] = Field(
        [0], description="Exit codes that are success", examples=[[0, 3]], min_length=1
    )


@dataclass
class Outputs:
    """What a command says, at most `limit` bytes of each output."""

    limit: int
    kept: dict[int, bytearray] = field(default_factory=dict)
    truncated: bool = False

    def take(self, channel: int, data: bytes) -> None:
        into = self.kept.setdefault(channel, bytearray())
        most = _LONGEST_STATUS if channel == _ERROR else self.limit
        room = max(0, most - len(into))
        self.truncated |= len(data) > room
        into += data[:room]

    def text(self, channel: int) -> str:
        return bytes(self.kept.get(channel, b"")).decode(errors="replace")

    def exit_code(self) -> int:
        """Return the exit code.

        Raises:
            ActionFailed: the command was not started, or its end was not told.
        """
        try:
            status = json.loads(self.text(_ERROR))
        except ValueError:
            what = "the connection ended before the command's end was told: it may go on"
            raise ActionFailed(Category.TRANSIENT, what) from None
        if status.get("status") == "Success":
            return 0
        for cause in (status.get("details") or {}).get("causes") or []:
            if cause.get("reason") == "ExitCode" and str(cause.get("message", "")).isdigit():
                return int(cause["message"])
        what = f"the command was not started: {str(status.get('message'))[:_SHOWN]}"
        raise ActionFailed(Category.PERMANENT, what)


class KubernetesExec(Change[ExecParams]):
    """Runs one command in a container, if the connection's `allow.commands` has it.

    Nothing protects it from happening twice, so it is never repeated by itself: after a crash a person
    decides. Output: `exit_code`, `stdout`, `stderr`, `truncated`.
    """

    name = "kubernetes.exec"
    manual = byhand.execute
    summary = "Run a command in a container"
    Params = ExecParams
    protection = Protection.UNPROTECTED
    risk = "high"

    def targets(self, params: ExecParams) -> Sequence[Target]:
        return (params.target,)

    def grants(self, params: ExecParams) -> Sequence[Grant]:
        # Servers up to 1.34 ask for `get` of a WebSocket, later ones for `create`.
        return (
            grant(params, "Pod", ["get"]),
            grant(params, "Pod", ["get", "create"], subresource="exec"),
        )

    def plan(self, params: ExecParams, world: World) -> Planned:
        about = params.object
        client = changing.client_of(world, about.connection)
        client.may_run(params.command)
        live = client.get(about.resource(client), about.namespace, about.name)
        container = _running(params, live)
        return Planned(
            action=self.name,
            target=about.target,
            before={_FIELD: None},
            after={_FIELD: Unknown("known once it has run")},
            counts={"requests": 1},
            request={
                "object": about.as_json(),
                "container": container,
                "command": params.command,
                "within": params.within,
                "limit": params.limit,
                "expect": params.expect,
                "uid": live["metadata"]["uid"],
            },
            summary=f"run {json.dumps(params.command)} in {about.target.path}, container {container}",
            reversible=False,
            why_irreversible=_UNSEEN,
            notes=(_UNSEEN,),
            precondition={"uid": live["metadata"]["uid"]},
            fresh_changes=others_changes(live),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        del key  # a command takes none
        request, about = planned.request, Object.of(planned)
        client: KubernetesClient = changing.client_of(world, about.connection)
        live = client.get(about.resource(client), about.namespace, about.name)
        if live["metadata"]["uid"] != request["uid"]:
            what = f"{about.target} is another pod of that name since the plan; plan again"
            raise ActionFailed(Category.DATA, what, effect_possible=False)
        outputs = Outputs(request["limit"])
        pod = (about.namespace, about.name)
        within = float(request["within"])
        command = request["command"]
        if not client.run(pod, request["container"], command, outputs.take, timeout=within):
            what = f"{about.target}: {command[0]} took longer than {within:g} s; it may go on there"
            raise ActionFailed(Category.TRANSIENT, what)
        code = outputs.exit_code()
        if code not in request["expect"]:
            said = (outputs.text(_STDERR) or outputs.text(_STDOUT)).strip()[-_SHOWN:]
            category = Category.RESOURCE if code == 137 else Category.PERMANENT
            what = f"{about.target}: {command[0]} ended with exit code {code}: {said}"
            raise ActionFailed(category, what)
        return Receipt(after={_FIELD: code}, counts=planned.counts, output=_output(code, outputs))

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        del planned, world, key
        if receipt is not None:
            return Applied(receipt)
        return CannotTell("a command leaves no mark: look whether it ran before it is run again")


def _running(params: ExecParams, live: JsonObject) -> str:
    """Return the container's name, once it is certain that it runs."""
    states = {
        each["name"]: each.get("state") or {}
        for each in (live.get("status") or {}).get("containerStatuses") or []
    }
    names = [each["name"] for each in live["spec"]["containers"]]
    listed = ", ".join(names)
    if params.container is None and len(names) > 1:
        why = f"give container: there is more than one: {listed}"
    elif params.container not in (None, *names):
        why = f"no container {params.container!r}; there are: {listed}"
    else:
        container = params.container or names[0]
        if "running" in states.get(container, {}):
            return container
        why = f"container {container} does not run now"
    raise ActionFailed(Category.PERMANENT, f"{params.target}: {why}", effect_possible=False)


def _output(code: int, outputs: Outputs) -> JsonObject:
    return {
        "exit_code": code,
        "stdout": outputs.text(_STDOUT),
        "stderr": outputs.text(_STDERR),
        "truncated": outputs.truncated,
    }
