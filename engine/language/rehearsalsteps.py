"""The steps that a rehearsal names, found by their addresses, also in the playbooks that steps call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engine.language.diagnostics import Report, clipped, listed, suggestion
from engine.language.known import Known
from engine.language.reading import Playbook, Step
from engine.language.stepforms import CallStep
from engine.language.yamlnodes import Node

OWN_GATES = ("plan", "budget", "breaker")  # the engine's, which no step stands for
_KEY = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True)
class Addresses:
    """Finds steps by address. `playbook` None: it could not be read, and nothing is found."""

    playbook: Playbook | None
    known: Known

    def find(self, address: str) -> Step | None:
        """Return the step that an address names, or None."""
        return self.path(address)[-1]

    def path(self, address: str) -> tuple[Step | None, ...]:
        """Return the step of each part of an address; the last is None where there is none."""
        found: list[Step | None] = []
        playbook = self.playbook
        for part in parts_of(address):
            step = playbook.steps.get(part) if playbook is not None else None
            found.append(step)
            if step is None:
                break
            if isinstance(step.form, CallStep):
                playbook = self.known.playbooks.get(step.form.playbook)
        return tuple(found)

    def named(self, address: str, node: Node, report: Report) -> Step | None:
        """Return the step that an address names; report where there is none."""
        if self.playbook is None:
            return None
        playbook: Playbook = self.playbook
        parts = parts_of(address)
        step: Step | None = None
        for index, part in enumerate(parts):
            step = playbook.steps.get(part)
            if step is None:
                before = ".".join(parts[:index])
                report.error(
                    node,
                    f"there is no step {clipped(part)} in the playbook {playbook.name!r}",
                    expected=listed(playbook.steps),
                    hint=_nearest(part, before, playbook, self.known),
                )
                return None
            if isinstance(step.form, CallStep) and index + 1 < len(parts):
                called = self.known.playbooks.get(step.form.playbook)
                if called is None:
                    return None  # reported at the playbook
                playbook = called
        return step


def parts_of(address: str) -> list[str]:
    """Return the ids of an address, without the keys of items."""
    return _KEY.sub("", address).split(".")


def _nearest(part: str, before: str, playbook: Playbook, known: Known) -> str | None:
    """Return the step that was meant: of this playbook, or of one that it calls."""
    if (near := suggestion(part, playbook.steps)) is not None:
        return near
    for step in playbook.walk():
        called = (
            known.playbooks.get(step.form.playbook) if isinstance(step.form, CallStep) else None
        )
        if called is not None and part in called.steps:
            prefix = f"{before}." if before else ""
            return f"it stands in the playbook that {step.id} calls: write {prefix}{step.id}.{part}"
    return None


def _waited(entry: Node) -> Iterator[tuple[str, Node]]:
    """Yield the steps that an entry of a world waits for."""
    for item in [*entry.elements(), *(node for _, node in entry.entries())]:
        after = item.get("after")
        step = after.get("step") if after is not None else None
        if step is not None and isinstance(step.value, str):
            yield step.value, step
        elif item.items is not None:
            yield from _waited(item)


def addresses_in(root: Node) -> Iterator[tuple[str, Node]]:
    """Yield every place at which a rehearsal names a step, but for people, gates and the order."""
    expect = root.at("expect")
    for key in ("steps", "attempts"):
        node = expect.get(key)
        for address in node.keys if node is not None else ():
            assert node is not None
            yield address, node.key(address)
    if (shown := expect.get("shown")) is not None:
        yield from _waited(shown)
    faults = root.get("faults")
    for fault in faults.elements() if faults is not None else ():
        if isinstance((step := fault.at("step")).value, str):
            yield step.value, step
    world = root.get("world")
    for _, entry in world.entries() if world is not None else ():
        yield from _waited(entry)
