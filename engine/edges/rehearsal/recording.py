"""`stanch record`: a plan's reads from the real world, written down as a rehearsal that plays them again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.contract.action import Action, Change, Read
from engine.contract.registry import Registry
from engine.contract.world import World
from engine.domain.canonical import Json, JsonObject, canonical_json
from engine.domain.clock import format_time
from engine.domain.errors import ActionFailed, NotFound
from engine.domain.plan import Planned, to_json
from engine.edges.wiring import Application
from engine.planning.document import PlanDocument
from engine.planning.planner import Planner

MASK = "masked"


class Recorder:
    """What the actions of one plan returned, by connection, in the order of the calls."""

    def __init__(self) -> None:
        self.answers: dict[str, list[JsonObject]] = {}

    def add(self, action: str, params: Any, answer: JsonObject) -> None:
        """Keep an answer; the same call with the same answer is kept once."""
        given = params.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        connection = str(getattr(params, "connection", ""))
        given.pop("connection", None)
        entry = {"action": action, "with": given, **answer}
        kept = self.answers.setdefault(connection, [])
        if entry not in kept:
            kept.append(entry)


class RecordingRegistry(Registry):
    """A registry whose actions are the real ones, and whose answers are kept."""

    def __init__(self, real: Registry, recorder: Recorder) -> None:
        super().__init__()
        self._kinds = real.kinds
        self._actions = {
            name: _recording(action, recorder) for name, action in real.actions.items()
        }


class _RecordedRead:
    """A read as it is, kept."""

    def __init__(self, real: Read[Any], recorder: Recorder) -> None:
        self._real = real
        self._recorder = recorder

    def __call__(self, params: Any, world: World) -> Json:
        try:
            output = self._real.read(params, world)
        except ActionFailed as error:
            failing = {"category": error.category.value, "message": str(error)}
            self._recorder.add(self._real.name, params, {"fail": failing})
            raise
        self._recorder.add(self._real.name, params, {"output": output})
        return output


class _RecordedPlan:
    """A change's plan as it is, kept."""

    def __init__(self, real: Change[Any], recorder: Recorder) -> None:
        self._real = real
        self._recorder = recorder

    def __call__(self, params: Any, world: World) -> Planned:
        planned = self._real.plan(params, world)
        form: JsonObject = {
            "target": planned.target.path,
            "before": to_json(planned.before),
            "after": to_json(planned.after),
            "counts": dict(planned.counts),
            "summary": planned.summary,
            "reversible": planned.reversible,
        }
        self._recorder.add(self._real.name, params, {"planned": form})
        return planned


def _recording(action: Action[Any], recorder: Recorder) -> Action[Any]:
    """Return the action itself with what it returns kept: a copy, since one instance serves everybody."""
    import copy

    recorded: Any = copy.copy(action)
    if isinstance(action, Read):
        recorded.read = _RecordedRead(action, recorder)
    elif isinstance(action, Change):
        recorded.plan = _RecordedPlan(action, recorder)
    return recorded  # type: ignore[no-any-return]


def record(
    app: Application, playbook: str, inputs: Mapping[str, Any], masks: Sequence[str] = ()
) -> tuple[JsonObject, PlanDocument]:
    """Plan a playbook against the real world and return a rehearsal of that plan.

    Args:
        masks: fields whose values are not written down, wherever they stand in what was read.

    Raises:
        NotFound: no such playbook. InvalidInput: the inputs do not fit it.
    """
    recorder = Recorder()
    programs = app.playbooks()
    if playbook not in programs:
        raise NotFound(f"there is no playbook {playbook!r}", near=tuple(sorted(programs))[:5])
    registry = RecordingRegistry(app.registry, recorder)
    began = app.clock.now()
    document = Planner(registry, app.world, app.clock.now).preview(programs[playbook], inputs)
    hidden = _values_of(recorder.answers, frozenset(masks))
    world: JsonObject = {
        name: _entry(app.world.names.get(name, ""), answers, frozenset(masks), hidden)
        for name, answers in recorder.answers.items()
    }
    steps = {step.address: "succeeded" for step in document.steps if step.state == "read"}
    rehearsal: JsonObject = {
        "rehearsal": f"{playbook} as it would have been planned at {format_time(began)[:19]}Z",
        "playbook": playbook,
        "inputs": dict(inputs),
        "mode": "dry_run",
        "clock": format_time(began.replace(microsecond=0)),
        "world": app.world.redact(world),
        "expect": {"run": "planned", "steps": steps, "changes": []},
    }
    return rehearsal, document


def _entry(
    kind: str, answers: Sequence[JsonObject], masks: frozenset[str], hidden: set[str]
) -> Json:
    """Return the entry of `world:`: queries as queries, all else as what the actions returned."""
    queries = [one for one in answers if one["action"] == "prometheus.query" and "output" in one]
    if kind == "prometheus" and len(queries) == len(answers):
        return [_metric(one) for one in queries]
    return {"answers": [_masked_answer(one, masks, hidden) for one in answers]}


def _metric(answer: JsonObject) -> JsonObject:
    from engine.domain.promql import bind

    given, output = answer["with"], answer["output"]
    query = bind(given["query"], given.get("params", {}))
    vector = [
        {"labels": one["labels"], "value": one["value"]}
        for one in output["vector"]
        if one["value"] is not None
    ]
    bare = len(vector) == 1 and not vector[0]["labels"]
    value = None if not vector else vector[0]["value"] if bare else vector
    return {"query": re.sub(r"\s+", " ", query).strip(), "value": value}


def _masked_answer(answer: JsonObject, masks: frozenset[str], hidden: set[str]) -> JsonObject:
    """Mask an answer's fields; parameters in which a masked value stands are left out."""
    kept = {
        name: value
        for name, value in answer["with"].items()
        if not any(text in canonical_json(value) for text in hidden)
    }
    result = {**answer, "with": kept}
    for key in ("output", "planned"):
        if key in result:
            result[key] = _masked(result[key], masks)
    return result


def _is_named(name: str, masks: frozenset[str]) -> bool:
    """Tell whether a field, or the last part of its path, is to be masked."""
    return name in masks or name.rpartition(".")[2] in masks


def _masked(value: Json, masks: frozenset[str]) -> Json:
    if isinstance(value, dict):
        return {
            name: MASK if _is_named(name, masks) and item is not None else _masked(item, masks)
            for name, item in value.items()
        }
    return [_masked(item, masks) for item in value] if isinstance(value, list) else value


def _values_of(answers: Json, masks: frozenset[str]) -> set[str]:
    """Return the texts that stand in masked fields."""
    found: set[str] = set()
    if isinstance(answers, dict):
        for name, item in answers.items():
            if _is_named(name, masks) and isinstance(item, str | int | float) and str(item):
                found.add(str(item))
            found |= _values_of(item, masks)
    elif isinstance(answers, list):
        for item in answers:
            found |= _values_of(item, masks)
    return found


def written(rehearsal: JsonObject) -> str:
    """Return a recorded rehearsal as it stands in its file."""
    import yaml

    text = yaml.safe_dump(rehearsal, sort_keys=False, allow_unicode=True, width=110)
    return (
        "# Recorded from the real world by stanch record. It plays the plan again (mode: dry_run); to play the\n"
        "# run, take mode out and add what the world answers after the first change.\n" + text
    )
