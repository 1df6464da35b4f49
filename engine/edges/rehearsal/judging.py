"""Holds what a rehearsal showed against what it expects. Pure: every difference with its place and reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engine.domain.canonical import JsonObject
from engine.edges.rehearsal.differences import judge_changes
from engine.edges.rehearsal.seen import RunSeen, Seen
from engine.edges.rehearsal.shown import judge_look
from engine.language.comparisons import holds
from engine.language.durations import format_duration
from engine.language.rehearsalforms import ExpectForm, RehearsalFile
from engine.language.yamlnodes import Node


@dataclass(frozen=True)
class Miss:
    """One expectation that does not hold.

    Attributes:
        place: `file:line` of the expectation.
        what: what it speaks of. expected, seen: for people, one line each.
        key: under which key of `expect:` it stands; empty where under none.
    """

    place: str
    what: str
    expected: str
    seen: str
    key: str = ""

    def as_json(self) -> JsonObject:
        return {
            "place": self.place,
            "what": self.what,
            "expected": self.expected,
            "seen": self.seen,
        }


Add = Callable[[tuple[str | int, ...], str, str, str], None]


def judge(root: Node, form: RehearsalFile, seen: Seen) -> list[Miss]:
    """Return everything that is not as expected, in the order of the file."""
    found: list[tuple[int, Miss]] = []

    def add(path: tuple[str | int, ...], what: str, expected: str, got: str) -> None:
        node = root.at(*path)
        if path and isinstance(path[-1], str):
            parent = root.at(*path[:-1])
            node = parent.keys.get(path[-1], node)
        place = f"{node.source.name}:{node.line}"
        key = str(path[1]) if path[:1] == ("expect",) else ""
        found.append((node.line, Miss(place, what, expected, got, key)))

    if seen.stopped:
        add(("longest",), "the rehearsal", "it comes to rest", seen.stopped)
    _run(form.expect, len(form.again), seen, add)
    if seen.run is not None:
        _steps(form.expect, seen.run, add)
        _gates(form.expect, seen.run, add)
    _order(form.expect, seen, add)
    _messages(form.expect, seen, add)
    _decisions(form.expect, seen, add)
    if form.expect.changes is not None:
        for index, what, expected, got in judge_changes(form.expect.changes, seen.changes):
            path = ("expect", "changes") if index is None else ("expect", "changes", index)
            add(path, what, expected, got)
    for look in seen.looks:
        for below, what, expected, got in judge_look(look, seen.started):
            add(("expect", "shown", look.index, *below), what, expected, got)
    _loose_ends(form, seen, add)
    return [miss for _, miss in sorted(found, key=lambda one: one[0])]


def _run(expect: ExpectForm, starts_again: int, seen: Seen, add: Add) -> None:
    run = seen.run
    started = 0 if expect.run == "none" else 1 + starts_again
    wanted = expect.runs if expect.runs is not None else started
    if len(seen.runs) != wanted:
        ids = ", ".join(f"{one.row.playbook} ({one.row.state.value})" for one in seen.runs)
        why = "; ".join(f"{one.verdict}: {one.reason}" for one in seen.decisions[:3])
        path: tuple[str | int, ...] = ("expect", "runs" if expect.runs is not None else "run")
        add(path, "runs", str(wanted), f"{len(seen.runs)}: {ids or why or 'none'}")
    if run is None:
        return
    state = run.row.state.value
    if expect.run is not None and expect.run not in ("none", state):
        add(("expect", "run"), "the run", expect.run, f"{state}: {run.row.reason}")
    if expect.reason and expect.reason.lower() not in run.row.reason.lower():
        add(("expect", "reason"), "the run's reason", f"with {expect.reason!r}", run.row.reason)
    for name, value in expect.outputs.items():
        got = (run.outputs or {}).get(name)
        if got != value:
            add(("expect", "outputs", name), f"the output {name}", repr(value), repr(got))
    if expect.took is not None:
        ended = run.row.ended_at or run.entries[-1].at
        took = (ended - run.row.created_at).total_seconds()
        if not holds(expect.took, took):
            shown = f"{expect.took.op} {format_duration(expect.took.value)}"
            add(("expect", "took"), "the run took", shown, format_duration(took))
    if expect.incident is not None:
        states = [incident.state.value for incident in seen.incidents]
        if expect.incident not in states:
            add(
                ("expect", "incident"),
                "the incident",
                expect.incident,
                ", ".join(states) or "there is none",
            )


def _steps(expect: ExpectForm, run: RunSeen, add: Add) -> None:
    for address, wanted in expect.steps.items():
        words = run.state_of(address)
        if wanted not in words:
            state = run.step(address)
            message = f": {state.message}" if state is not None and state.message else ""
            shown = " ".join(sorted(words, reverse=True)) + message
            add(("expect", "steps", address), f"step {address}", wanted, shown)
    for address, number in expect.attempts.items():
        got = run.attempts(address)
        if got != number:
            add(("expect", "attempts", address), f"attempts of {address}", str(number), str(got))


def _gates(expect: ExpectForm, run: RunSeen, add: Add) -> None:
    for address, wanted in expect.gates.items():
        gate = run.progress.gates.get(address)
        got = gate.state if gate is not None else "it never opened"
        if got != wanted:
            add(("expect", "gates", address), f"gate {address}", wanted, got)


def _order(expect: ExpectForm, seen: Seen, add: Add) -> None:
    position = 0
    names = [event.name for event in seen.events]
    for index, wanted in enumerate(expect.order):
        try:
            position = names.index(wanted, position) + 1
        except ValueError:
            before = expect.order[index - 1] if index else None
            if wanted not in names or before is None:
                got = "it never happened"
            else:
                got = f"it happened, but not after {before}"
            after = f"after {before}" if before else "to happen"
            add(("expect", "order", index), f"the order: {wanted}", after, got)
            return


def _messages(expect: ExpectForm, seen: Seen, add: Add) -> None:
    for index, form in enumerate(expect.messages):
        hits = [
            message
            for message in seen.messages
            if form.contains.lower() in message.text.lower()
            and (form.to is None or form.to == message.to)
        ]
        fine = len(hits) == form.times if form.times is not None else bool(hits)
        if fine:
            continue
        wanted = "at least once" if form.times is None else f"{form.times} times"
        told = "; ".join(f"{one.to}: {_short(one.text)}" for one in seen.messages[:5])
        got = f"{len(hits)} times; told was: {told or 'nothing'}"
        add(("expect", "messages", index), f"a message with {form.contains!r}", wanted, got)


def _decisions(expect: ExpectForm, seen: Seen, add: Add) -> None:
    for index, form in enumerate(expect.decisions):
        hits = [
            row
            for row in seen.decisions
            if row.verdict == form.verdict
            and (form.rule is None or row.rule == form.rule)
            and form.reason.lower() in row.reason.lower()
        ]
        if len(hits) == form.times if form.times is not None else bool(hits):
            continue
        wanted = "at least once" if form.times is None else f"{form.times} times"
        got = "; ".join(f"{row.rule}: {row.verdict}: {row.reason}" for row in seen.decisions[:5])
        add(
            ("expect", "decisions", index),
            f"the decision {form.verdict}" + (f" with {form.reason!r}" if form.reason else ""),
            wanted,
            got or "nothing was decided",
        )


def _loose_ends(form: RehearsalFile, seen: Seen, add: Add) -> None:
    for index in seen.unfired:
        fault = form.faults[index]
        kind = "crash" if fault.crash else "fail" if fault.fail else "slow"
        what = f"the fault {kind} of {fault.step}, attempt {fault.attempt}"
        add(("faults", index), what, "it happens", "it never did")
    for person in seen.people:
        who = f"{person.form.who} ({person.form.does})"
        if person.wrong is not None:
            add(("people", person.index), who, "as the rehearsal says", person.wrong)
        elif person.acted is None:
            got = "the moment never came" if person.since is None else "the rehearsal ended before"
            add(("people", person.index), who, "they act", got)
    for what in seen.unanswered:
        hint = "the world answers; add it, or let stanch record write it"
        add(("world", what.partition(":")[0]), f"a call: {what}", hint, "there is no answer")
    for what in seen.unasked:
        name = what.partition(":")[0]
        add(("world", name), f"an answer: {what}", "it is asked for, or optional: true", "never")


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:99] + "…"


def timeline(seen: Seen, most: int = 60) -> Iterator[str]:
    """Yield what happened, a line each, with the time since the beginning."""
    if len(seen.events) > most:
        yield f"… {len(seen.events) - most} earlier events are left out"
    for event in seen.events[-most:]:
        passed = (event.at - seen.started).total_seconds()
        yield f"+{format_duration(max(0.0, passed)):<8} {event.name}  {_short(event.detail)}".rstrip()
