"""The manual as data: chapters of steps, each with what to do, what to wait for, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.contract.byhand import ByHand, Hand
from engine.contract.registry import Registry
from engine.domain.canonical import JsonObject
from engine.domain.clock import spell
from engine.domain.plan import Effect
from engine.edges.runbook.filling import Known, known_of
from engine.language.comparisons import format_comparison
from engine.language.program import (
    ActionNode,
    AnyNode,
    CallNode,
    EndNode,
    GateNode,
    GroupNode,
    ManualNode,
    Node,
    ParallelNode,
    Program,
    Query,
    RestoreNode,
    SwitchNode,
    WaitNode,
)

_ON_FAILURE = {
    "stop": "If it fails: stop here and go to the chapter for a failure.",
    "continue": "If it fails: note it and go on.",
    "undo": "If it fails: take back what was changed so far, newest first, then the chapter for a failure.",
    "escalate": "If it fails: call the next person, and leave everything as it is.",
}


class Manual:
    """Writes manuals. `kinds`: connection names to their kinds; `settings`: to their settings."""

    def __init__(
        self, registry: Registry, kinds: Mapping[str, str], settings: Mapping[str, Any]
    ) -> None:
        self._registry = registry
        self._kinds = kinds
        self._hand = ByHand(settings)

    def manual(self, program: Program, given: Mapping[str, Any]) -> JsonObject:
        """Return the whole manual; inputs that are not given stand by their names."""
        known = known_of(program.inputs, program.vars, given)
        chapters = [_chapter("Steps", "", self._steps(program.steps, known))]
        if program.rescue:
            why = "Only after a failure, once what was to be undone is undone."
            chapters.append(_chapter("After a failure", why, self._steps(program.rescue, known)))
        if program.finally_:
            why = "Always, at the very end, whatever happened."
            chapters.append(_chapter("At the end", why, self._steps(program.finally_, known)))
        return {
            "playbook": program.playbook,
            "summary": program.summary,
            "revision": program.revision,
            "inputs": self._inputs(program, known),
            "budget": program.budget,
            "timeout": spell(program.timeout) if isinstance(program.timeout, float | int) else None,
            "chapters": chapters,
        }

    def _inputs(self, program: Program, known: Known) -> list[JsonObject]:
        properties = program.inputs.get("properties") or {}
        required = set(program.inputs.get("required") or ())
        return [
            {
                "name": name,
                "value": known.inputs.get(name),
                "required": name in required,
                "description": field.get("description", "") if isinstance(field, Mapping) else "",
            }
            for name, field in properties.items()
        ]

    def _steps(self, nodes: Sequence[AnyNode], known: Known) -> list[JsonObject]:
        return [self._step(node, known) for node in nodes]

    def _step(self, node: AnyNode, known: Known) -> JsonObject:
        step: JsonObject = {
            "id": node.id,
            "title": node.title,
            "kind": node.kind,
            "when": _condition(node.when, known),
            "each": self._each(node, known),
            "text": [],
            "do": [],
            "verify": None,
            "undo": [],
            "steps": [],
            "on_failure": _ON_FAILURE[node.on_failure],
        }
        if node.timeout is not None:
            step["text"].append(f"It may take {self._time(node.timeout, known)} at most.")
        match node:
            case ActionNode():
                self._action(step, node, known)
            case WaitNode():
                self._wait(step, node, known)
            case GateNode():
                step["text"].append(_gate(node, known))
            case ManualNode():
                step["text"].append(known.text(node.text))
                step["text"].append(f"Done by: {node.role}.")
            case RestoreNode():
                names = ", ".join(node.restore) or "all steps"
                step["text"].append(
                    f"Put back what these steps changed, newest first, as each says under “Way back”: {names}."
                )
            case EndNode():
                step["text"].append(f"End here: {node.end}. {known.text(node.reason)}".strip())
            case SwitchNode():
                self._switch(step, node, known)
            case GroupNode():
                step["steps"] = [_chapter("", "", self._steps(node.steps, known))]
            case ParallelNode():
                step["text"].append("These may go side by side:")
                step["steps"] = [_chapter("", "", self._steps(node.steps, known))]
            case CallNode():
                self._call(step, node, known)
        return step

    def _each(self, node: Node, known: Known) -> str | None:
        if node.foreach is None:
            return None
        key = f", known by {known.text(node.foreach.key)}" if node.foreach.key else ""
        return f"Once for each of {known.text(node.foreach.items)}{key}."

    # ------------------------------------------------------------ kinds

    def _action(self, step: JsonObject, node: ActionNode, known: Known) -> None:
        action = self._registry.action(node.action)
        given = known.fill(node.with_)
        step["action"] = node.action
        step["text"].append(f"{action.summary}.")
        try:
            hand = action.manual(given, self._hand)
        except Exception as error:  # noqa: BLE001  a plugin's fault must not cost the rest of the manual
            hand = Hand([f"# its plugin cannot say how: {type(error).__name__}"])
        step["do"] = list(hand.do)
        if not hand.do:
            step["text"].append(f"No command is known for {node.action}; its parameters: {given}")
        if action.effect is Effect.CHANGE:
            step["undo"] = list(hand.undo)
            if not hand.undo:
                step["text"].append("It cannot be taken back.")
            elif node.undo == "never":
                step["text"].append("It is not taken back after a failure.")
        if node.verify is not None:
            judged = format_comparison(node.verify.becomes)
            within = self._time(node.verify.within, known)
            step["verify"] = {
                "text": f"Then see whether it helped: it must become {judged} within {within}; ask:",
                "do": self._query(node.verify.query, known),
            }

    def _query(self, query: Query, known: Known) -> list[str]:
        kind = self._kinds.get(query.connection, "")
        given = {
            "connection": query.connection,
            "query": query.query,
            "params": known.fill(query.params),
        }
        action = self._registry.actions.get(f"{kind}.query")
        if action is None:
            return [f"# ask {query.connection}: {' '.join(query.query.split())}"]
        return list(action.manual(given, self._hand).do)

    def _wait(self, step: JsonObject, node: WaitNode, known: Known) -> None:
        every = self._time(node.every, known)
        if node.query is not None:
            if node.becomes is not None:
                within = self._time(node.within, known)
                judged = format_comparison(node.becomes)
                said = f"Wait until it is {judged}, at most {within}; ask every {every}:"
            else:
                assert node.stays is not None
                lasts = self._time(node.for_, known)
                said = (
                    f"It must stay {format_comparison(node.stays)} for {lasts}; ask every {every}:"
                )
            step["text"].append(said)
            step["do"] = self._query(node.query, known)
        elif node.read_action is not None:
            action = self._registry.action(node.read_action)
            until = known.text(f"{{{{ {node.until} }}}}")
            within = self._time(node.within, known)
            step["text"].append(f"Look every {every} until {until}, at most {within}:")
            step["do"] = list(action.manual(known.fill(node.read_with), self._hand).do)
        elif node.until_time is not None:
            step["text"].append(f"Wait until {known.text(node.until_time)}.")
        else:
            step["text"].append(f"Wait {self._time(node.for_, known)}.")

    def _switch(self, step: JsonObject, node: SwitchNode, known: Known) -> None:
        step["text"].append(f"It depends on {known.text(node.switch)}:")
        step["steps"] = [
            _chapter(f"Where it is {case.value}", "", self._steps(case.steps, known))
            for case in node.cases
        ]
        if node.default:
            step["steps"].append(_chapter("Otherwise", "", self._steps(node.default, known)))

    def _call(self, step: JsonObject, node: CallNode, known: Known) -> None:
        program = node.program
        inner = known_of(program.inputs, program.vars, known.fill(node.with_))
        step["steps"] = [_chapter("", program.summary, self._steps(program.steps, inner))]
        for title, nodes in (("After a failure", program.rescue), ("At the end", program.finally_)):
            if nodes:
                step["steps"].append(
                    _chapter(f"{title} of this part", "", self._steps(nodes, inner))
                )

    def _time(self, value: float | str | None, known: Known) -> str:
        if value is None:
            return "as long as it takes"
        filled = known.fill(value)
        return spell(float(filled)) if isinstance(filled, int | float) else str(filled)


def _condition(when: str | None, known: Known) -> str | None:
    """The condition as it is written; None where the inputs settle it as true already."""
    if when is None:
        return None
    holds = known.fill(f"{{{{ {when} }}}}")
    if holds is True:
        return None
    return f"{when} (it does not hold with these inputs)" if holds is False else when


def _gate(node: GateNode, known: Known) -> str:
    people = "one person" if node.approvals == 1 else f"{node.approvals} people"
    within = known.text(node.within) if isinstance(node.within, str) else spell(node.within)
    late = "stop" if node.on_timeout == "abort" else "call the next person"
    no = "stop" if node.on_reject == "stop" else "go on without it"
    return (
        f"Ask {people} with the role {node.role}, not yourself, and show what comes next. "
        f"No answer within {within}: {late}. A no: {no}."
    )


def _chapter(title: str, text: str, steps: list[JsonObject]) -> JsonObject:
    return {"title": title, "text": text, "steps": steps}
