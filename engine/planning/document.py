"""The plan document: what a run will do, step by step, as data; and its fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from engine.domain.canonical import Json, JsonObject, digest
from engine.domain.plan import Planned, to_json

_UNSHOWN = frozenset({"action", "request", "precondition"})


@dataclass(frozen=True)
class PlanStep:
    """One line of a plan.

    Attributes:
        state: `read` (done, its output frozen), `later` (a read that runs again), `planned`,
            `notify`, `unknown` (known after apply), `skipped`, `gate`, `wait`, `manual`, `restore`,
            `end`, `failed`, `unplannable`, `container`.
        params: resolved parameters; part of the fingerprint, secrets by reference only.
        conditional: in a rescue: it happens only after a failure.
        text: the frozen text of an unknown step, so that the fingerprint covers it.
    """

    address: str
    kind: str
    title: str
    state: str
    action: str | None = None
    version: int | None = None
    when: str | None = None
    reason: str = ""
    planned: Planned | None = None
    params: Json = None
    bounds: JsonObject = field(default_factory=dict)
    detail: JsonObject = field(default_factory=dict)
    conditional: bool = False
    text: str = ""

    @property
    def is_change(self) -> bool:
        if self.state in {"unknown", "restore"}:
            return bool(self.detail.get("changes"))
        return self.planned is not None

    @property
    def is_read(self) -> bool:
        return self.state in {"read", "later"}

    def covered(self) -> JsonObject:
        """What the fingerprint covers of this step (LANGUAGE "Plans"): not counts, reads or samples."""
        covered: JsonObject = {
            "address": self.address,
            "kind": self.kind,
            "state": "run" if self.state in {"read", "later"} else self.state,
            "action": self.action,
            "version": self.version,
            "bounds": self.bounds,
            "conditional": self.conditional,
            "text": self.text,
        }
        if self.planned is not None:
            covered["params"] = to_json(self.params)
            covered["target"] = self.planned.target.as_json()
            covered["before"] = to_json(self.planned.before)
            covered["after"] = to_json(self.planned.after)
        if self.state in {"gate", "notify", "restore"}:
            covered["detail"] = to_json(self.detail)
        return covered

    def as_json(self) -> JsonObject:
        view: JsonObject = {
            "address": self.address,
            "kind": self.kind,
            "title": self.title,
            "state": self.state,
            "action": self.action,
            "when": self.when,
            "reason": self.reason,
            "bounds": self.bounds,
            "conditional": self.conditional,
            "detail": to_json(self.detail),
            "params": to_json(self.params),
            "version": self.version,
            "text": self.text,
        }
        if self.planned is not None:
            planned = self.planned.as_json()
            view |= {name: planned[name] for name in planned if name not in _UNSHOWN}
            view["target"] = str(self.planned.target)
            view["plan"] = planned
        return view

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PlanStep:
        names = ("address", "kind", "title", "state", "action", "when", "reason", "bounds")
        more = ("conditional", "detail", "params", "version", "text")
        plan = value.get("plan")
        return cls(
            planned=Planned.from_json(plan) if plan else None,
            **{name: value[name] for name in names + more},
        )


@dataclass(frozen=True)
class PlanDocument:
    """A whole plan."""

    playbook: str
    revision: str
    author: str
    inputs: JsonObject
    mode: str
    steps: tuple[PlanStep, ...]

    @cached_property
    def fingerprint(self) -> str:
        """Digest of what an approval covers; the same on every machine and for every dictionary order."""
        return digest(
            {
                "playbook": self.playbook,
                "revision": self.revision,
                "inputs": self.inputs,
                # A read that is done leaves the plan of what remains; its answer shows in the changes.
                "steps": [step.covered() for step in self.steps if not step.is_read],
            }
        )

    @property
    def changes(self) -> tuple[PlanStep, ...]:
        return tuple(step for step in self.steps if step.is_change)

    @property
    def asks(self) -> bool:
        """Whether something may change in the normal course, so that `mode: approve` opens a gate."""
        return any(not step.conditional for step in self.changes)

    @property
    def unplannable(self) -> tuple[PlanStep, ...]:
        return tuple(step for step in self.steps if step.state == "unplannable")

    @property
    def failed(self) -> PlanStep | None:
        """The first change that cannot even be planned."""
        return next((step for step in self.steps if step.state in {"unplannable", "failed"}), None)

    def budget(self) -> dict[str, int]:
        """What the known changes will cost, by unit; later changes of one target count again."""
        total: dict[str, int] = {}
        for step in self.steps:
            if step.planned is not None and not step.conditional:
                for unit, count in step.planned.counts.items():
                    total[unit] = total.get(unit, 0) + count
        return total

    def step(self, address: str) -> PlanStep | None:
        return next((step for step in self.steps if step.address == address), None)

    def as_json(self) -> JsonObject:
        return {
            "playbook": self.playbook,
            "revision": self.revision,
            "author": self.author,
            "fingerprint": self.fingerprint,
            "inputs": self.inputs,
            "mode": self.mode,
            "steps": [step.as_json() for step in self.steps],
            "budget": self.budget(),
            "gates": [step.as_json() for step in self.steps if step.state == "gate"],
            "unplannable": [step.address for step in self.unplannable],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PlanDocument:
        return cls(
            playbook=value["playbook"],
            revision=value["revision"],
            author=value["author"],
            inputs=value["inputs"],
            mode=value["mode"],
            steps=tuple(PlanStep.from_json(step) for step in value["steps"]),
        )
