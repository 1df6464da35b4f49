"""`exec` as the API answers it: a program is run, its outputs and its end come in frames."""

from __future__ import annotations

import json

from engine.domain.canonical import JsonObject
from worlds.cluster.kinds import by_kind
from worlds.cluster.messages import Request, Response
from worlds.cluster.parts import Parts
from worlds.cluster.status import bad_request, not_found

STDOUT, STDERR, ERROR = 1, 2, 3
_CHUNK = 32 * 1024


def run_in_pod(cluster: Parts, namespace: str, name: str, request: Request) -> Response:
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
