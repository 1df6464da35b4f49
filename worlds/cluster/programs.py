"""What runs in a pod by `exec`: programs that tests and rehearsals put there, and a few that always are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.domain.canonical import JsonObject
from worlds.cluster.kinds import by_kind
from worlds.cluster.messages import Request, Response
from worlds.cluster.status import bad_request, not_found

if TYPE_CHECKING:
    from worlds.cluster.cluster import Cluster

STDOUT, STDERR, ERROR = 1, 2, 3
_CHUNK = 32 * 1024


@dataclass(frozen=True)
class Ran:
    """How a program ended, and how long it took."""

    exit_code: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    seconds: float = 0.0


Program = Callable[[JsonObject, list[str]], Ran]


class Programs:
    """Programs by name, the same in all containers. `ran` are the commands of all calls.

    A program is called with the pod and the whole command.
    """

    def __init__(self) -> None:
        self.ran: list[tuple[str, tuple[str, ...]]] = []
        self._programs: dict[str, Program] = {
            "true": lambda _pod, _command: Ran(),
            "false": lambda _pod, _command: Ran(1),
            "echo": lambda _pod, command: Ran(stdout=(" ".join(command[1:]) + "\n").encode()),
            "sleep": lambda _pod, command: Ran(seconds=float(command[1])),
        }

    def add(self, name: str, program: Program) -> None:
        self._programs[name] = program

    def run(self, pod: JsonObject, command: list[str]) -> Ran | None:
        """Run a command, or return None where there is no such program."""
        program = self._programs.get(command[0])
        if program is None:
            return None
        self.ran.append((pod["metadata"]["name"], tuple(command)))
        return program(pod, command)


def run_in_pod(cluster: Cluster, namespace: str, name: str, request: Request) -> Response:
    """Answer an exec.

    Raises:
        ApiError: 404 for a missing pod; 400 where the container is not valid or there is no command.
    """
    pod = cluster.store.get(by_kind("Pod"), namespace, name)
    if pod is None:
        raise not_found(by_kind("Pod"), name)
    names = [container["name"] for container in pod["spec"]["containers"]]
    container = request.query.get("container") or names[0]
    if container not in names:
        raise bad_request(f"container {container} is not valid for pod {name}")
    if pod["status"].get("phase") in ("Succeeded", "Failed"):
        phase = pod["status"]["phase"]
        raise bad_request(
            f"cannot exec into a container in a completed pod; current phase is {phase}"
        )
    if not request.command:
        raise bad_request("you must specify at least one command for the container")
    ran = cluster.programs.run(pod, list(request.command))
    if ran is None:
        words = json.dumps(request.command[0])
        text = f"exec failed: unable to start container process: exec: {words}: "
        status = _status("InternalError", f"{text}executable file not found in $PATH: unknown", [])
        return Response(101, frames=((ERROR, status),))
    frames = [
        (channel, data[at : at + _CHUNK])
        for channel, data in ((STDOUT, ran.stdout), (STDERR, ran.stderr))
        for at in range(0, len(data), _CHUNK)
    ]
    return Response(101, frames=(*frames, (ERROR, _end(ran.exit_code))), seconds=ran.seconds)


def _end(code: int) -> bytes:
    if code == 0:
        return json.dumps({"metadata": {}, "status": "Success"}).encode()
    text = f"command terminated with non-zero exit code: exit status {code}"
    return _status("NonZeroExitCode", text, [{"reason": "ExitCode", "message": str(code)}])


def _status(reason: str, message: str, causes: list[JsonObject]) -> bytes:
    body: JsonObject = {"metadata": {}, "status": "Failure", "message": message, "reason": reason}
    if causes:
        body["details"] = {"causes": causes}
    return json.dumps(body).encode()
