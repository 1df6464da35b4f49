"""Follows a run: prints its entries as they come, and says why it stops."""

from __future__ import annotations

from typing import Any

from engine.domain.canonical import JsonObject
from engine.edges.cli.session import Session
from engine.edges.problems import FAILED, OK, WAITING

_LOOK = 1.0  # seconds between two looks where nothing wakes us


def follow(
    session: Session,
    backend: Any,
    run_id: str,
    *,
    since: int = 0,
    stale: bool = False,
    wait: bool = False,
) -> int:
    """Follow until the run ends or waits for a person; return the exit code.

    Parameters:
        since: the number of the entry after which to begin.
        stale: the state is that from before the act which is followed: judge it after the next entry
            that the engine itself writes.
        wait: go on while it waits for a person.
    """
    seen, told = since, ""
    with _spinner(session) as status:
        while True:
            answer = backend.entries(run_id, seen)
            for entry in answer["entries"]:
                seen = entry["n"]
                stale = stale and entry["kind"] not in {"run.state", "run.ended", "step.intent"}
                _print(session, status, entry)
            if answer["entries"]:
                continue
            line = answer["run"]
            code = None if stale else _stop(backend, line)
            if code is not None and not (wait and code == WAITING):
                break
            if code == WAITING and told != line["state"]:
                told = line["state"]
                _end(session, status, backend.run(run_id))
            status.update(f"{line['playbook']}: {line['state'].replace('_', ' ')}")
            backend.wait(_LOOK)
    detail = backend.run(run_id)
    if session.as_json:
        session.show(detail, lambda item: item)
    else:
        _end(session, None, detail)
    return code if code is not None else FAILED


def _stop(backend: Any, line: JsonObject) -> int | None:
    """Return the exit code where the run goes no further by itself, else None."""
    state = line["state"]
    if state == "needs_human":
        return WAITING
    if line["over"]:
        return OK if state in {"succeeded", "planned"} else FAILED
    if state == "held":
        return WAITING
    if state in {"awaiting_approval", "waiting"}:
        detail = backend.run(line["id"])
        gates = any(gate["state"] == "open" and gate["missing"] for gate in detail["gates"])
        tasks = any(
            step["kind"] == "manual" and step["state"] in {"running", "waiting"}
            for step in detail["steps"]
        )
        return WAITING if gates or tasks else None
    return None


def _print(session: Session, status: Any, entry: JsonObject) -> None:
    from engine.edges.cli.render.style import clean, clock

    if session.as_json or not entry["text"]:
        return
    status.console.print(f"{clock(entry['at'])}  {clean(entry['text'])}", markup=False)


def _end(session: Session, status: Any, detail: JsonObject) -> None:
    """Print how it stands: the gate with the command that approves it, or the end."""
    if session.as_json:
        return
    from rich.text import Text

    from engine.edges.cli.render import run as render
    from engine.edges.cli.render.outputs import outputs
    from engine.edges.cli.render.style import clean, state_text

    console = status.console if status is not None else session.console()
    opened = [gate for gate in detail["gates"] if gate["state"] == "open"]
    line = Text("\n").append(detail["id"], style="bold").append("  ")
    line.append_text(state_text(detail["state"]))
    if detail["reason"]:
        line.append(f": {clean(detail['reason'])}")
    console.print(line)
    if detail["over"] and detail.get("outputs"):
        console.print(Text())
        console.print(outputs(detail["outputs"]))
    for gate in opened:
        console.print(render.gate(gate))
    if detail["state"] == "needs_human":
        console.print(Text(render.after_needs_human(detail["id"]), style="dim"))
    for step in detail["steps"]:
        if step["kind"] == "manual" and step["state"] in {"running", "waiting"}:
            said = f'stanch done {detail["id"]} {step["address"]} --note "what you did"'
            console.print(Text(f"{clean(step['title'])}\n  when done:  {said}"))


def _spinner(session: Session) -> Any:
    from rich.status import Status

    console = session.console(error=session.as_json)
    return Status("starting", console=console, spinner="dots")
