"""From checked forms to what the engine runs: `Program` and `Rule`. Only sound files come here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from engine.language.diagnostics import Report
from engine.language.forms import Form
from engine.language.known import Known
from engine.language.parameters import merged
from engine.language.program import (
    ActionNode,
    AnyNode,
    Bound,
    Breaker,
    CallNode,
    Case,
    EndNode,
    Foreach,
    GateNode,
    GroupNode,
    ManualNode,
    ParallelNode,
    Program,
    Query,
    RestoreNode,
    Retry,
    SwitchNode,
    Verify,
    WaitNode,
)
from engine.language.reading import Block, Playbook, Step
from engine.language.rulereading import ReadCondition, ReadRule, RuleFile
from engine.language.rules import (
    Concurrency,
    Condition,
    Count,
    Priority,
    QueryTrigger,
    Rule,
    Throttle,
)
from engine.language.schedulereading import read_schedule
from engine.language.stepforms import (
    ActionStep,
    CallStep,
    EndStep,
    GateStep,
    ManualStep,
    QueryForm,
    RestoreStep,
    StepForm,
    SwitchStep,
    WaitBecomes,
    WaitFor,
    WaitRead,
    WaitStays,
    WaitStep,
    WaitUntilTime,
)

MAINTENANCE = 1  # the priority of what a schedule starts (DESIGN 5)


class Builder:
    """Makes programs of playbooks that call one another; each playbook once."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.made: dict[str, Program] = {}
        self.texts: dict[str, frozenset[tuple[str, str]]] = {}

    def program(self, playbook: Playbook) -> Program:
        """Return the program of a playbook without mistakes, sub-playbooks inlined.

        The revision is the SHA-256 of its own text and of every text it inlines, each with its name.
        """
        known = self.made.get(playbook.name)
        if known is not None:
            return known
        form = playbook.form
        assert form is not None
        defaults = {system: dict(fields) for system, fields in form.defaults.items()}
        body = _Body(self, defaults)
        steps, rescue, finally_ = (body.block(block) for block in playbook.blocks)
        self.texts[playbook.name] = frozenset(body.texts) | {
            (playbook.name, playbook.node.source.text)
        }
        program = Program(
            playbook=form.playbook,
            summary=form.summary,
            inputs=form.inputs,
            vars=form.vars,
            timeout=form.timeout,
            budget=form.budget,
            breaker=Breaker(**form.breaker.model_dump()) if form.breaker is not None else None,
            cooldown=form.cooldown,
            concurrency=form.concurrency,
            steps=steps,
            rescue=rescue,
            finally_=finally_,
            outputs=form.outputs,
            postmortem_due=form.postmortem.due if form.postmortem is not None else None,
            author=form.author,
            revision=_digest(self.texts[playbook.name]),
        )
        self.made[playbook.name] = program
        return program


def _digest(texts: frozenset[tuple[str, str]]) -> str:
    found = hashlib.sha256()
    for name, text in sorted(texts):
        for part in (name, text):
            data = part.encode()
            found.update(str(len(data)).encode() + b":" + data)
    return found.hexdigest()


class _Body:
    def __init__(self, builder: Builder, defaults: Mapping[str, Mapping[str, Any]]) -> None:
        self.builder = builder
        self.known = builder.known
        self.defaults = defaults
        self.texts: set[tuple[str, str]] = set()

    def block(self, block: Block) -> tuple[AnyNode, ...]:
        return tuple(self.node(step) for step in block.steps)

    def node(self, step: Step) -> AnyNode:
        form = step.form
        assert form is not None
        common = self._common(step, form)
        match form:
            case ActionStep():
                return self._action(form, common)
            case CallStep():
                target = self.known.playbooks[form.playbook]
                program = self.builder.program(target)
                self.texts |= self.builder.texts[target.name]
                return CallNode(**common, with_=form.with_, program=program)
            case SwitchStep():
                cases = [one for one in step.blocks if not _is_default(step, one)]
                default = [one for one in step.blocks if _is_default(step, one)]
                return SwitchNode(
                    **common,
                    switch=form.switch,
                    cases=tuple(Case(value=one.name, steps=self.block(one)) for one in cases),
                    default=self.block(default[0]) if default else (),
                )
            case WaitStep():
                assert step.wait is not None
                return WaitNode(**common, **self._wait(step.wait))
            case GateStep():
                return GateNode(**common, **form.gate.model_dump())
            case ManualStep():
                return ManualNode(**common, text=form.manual, role=form.role, within=form.within)
            case RestoreStep():
                return RestoreNode(**common, restore=form.restore)
            case EndStep():
                return EndNode(**common, end=form.end, reason=form.reason)
        model = GroupNode if step.kind == "group" else ParallelNode
        return model(**common, steps=self.block(step.blocks[0]))

    def _common(self, step: Step, form: StepForm) -> dict[str, Any]:
        retry = form.retry
        foreach = step.foreach
        return {
            "id": form.id,
            "name": form.name,
            "when": form.when,
            "timeout": form.timeout,
            "retry": Retry(**retry.model_dump()) if retry is not None else None,
            "on_failure": form.on_failure,
            "foreach": None
            if foreach is None
            else Foreach(
                items=foreach.in_,
                key=foreach.key,
                concurrency=foreach.concurrency,
                tolerate=foreach.tolerate,
                once=foreach.once,
            ),
            "source": f"{step.node.source.name}:{step.node.line}",
        }

    def _action(self, form: ActionStep, common: dict[str, Any]) -> ActionNode:
        verify = form.verify
        return ActionNode(
            **common,
            action=form.action,
            with_=self._merged(form.action, form.with_),
            bounds={name: Bound(**bound.model_dump()) for name, bound in form.bounds.items()},
            verify=None
            if verify is None
            else Verify(
                query=self._query(verify.query),
                becomes=verify.becomes,
                within=verify.within,
                every=verify.every,
            ),
            undo=form.undo,
        )

    def _merged(self, action: str, given: Mapping[str, Any]) -> dict[str, Any]:
        defaults = self.defaults.get(action.partition(".")[0], {})
        return merged(self.known.actions[action], given, defaults)

    def _query(self, form: QueryForm) -> Query:
        connection = form.connection
        if connection is None:
            found = (self.defaults.get(kind, {}) for kind in sorted(self.known.query_kinds()))
            connection = next(one["connection"] for one in found if "connection" in one)
        return Query(connection=connection, query=form.query, params=form.params)

    def _wait(self, form: Form) -> dict[str, Any]:
        match form:
            case WaitFor():
                return {"for_": form.for_}
            case WaitUntilTime():
                return {"until_time": form.until}
            case WaitBecomes():
                return {
                    "query": self._query(form.query),
                    "becomes": form.becomes,
                    "within": form.within,
                    "every": form.every,
                }
            case WaitStays():
                return {
                    "query": self._query(form.query),
                    "stays": form.stays,
                    "for_": form.for_,
                    "every": form.every,
                }
            case WaitRead():
                return {
                    "read_action": form.read.action,
                    "read_with": self._merged(form.read.action, form.read.with_),
                    "until": form.until,
                    "within": form.within,
                    "every": form.every,
                }
        raise AssertionError(f"no form of wait: {form!r}")


def _is_default(step: Step, block: Block) -> bool:
    return block is step.blocks[-1] and "default" in step.node.keys


# ---- rules ----------------------------------------------------------------------------------------


def build_condition(read: ReadCondition) -> Condition:
    """Return a condition without mistakes as the engine uses it."""
    form = read.form
    assert form is not None
    parts = tuple(build_condition(part) for part in read.parts)
    query = form.query
    return Condition.model_validate(
        {
            "any": parts if read.kind == "any" else None,
            "all": parts if read.kind == "all" else None,
            "none": parts if read.kind == "none" else None,
            "labels": form.labels,
            "query": Query(
                connection=query.connection or "", query=query.query, params=query.params
            )
            if query is not None
            else None,
            "is": form.is_,
            "expr": form.expr,
            # Only where the author says it: an error inside bubbles up to the test that does.
            **({"on_error": form.on_error} if "on_error" in form.model_fields_set else {}),
        }
    )


def build_rules(file: RuleFile, known: Known) -> list[Rule]:
    """Return the rules of a file without mistakes, in its order."""
    return [_rule(rule, known) for rule in file.rules]


def _rule(read: ReadRule, known: Known) -> Rule:
    form = read.form
    assert form is not None
    node = read.node
    condition = read.condition
    named = read.condition_name
    if named is not None:
        condition = known.conditions[named.value]
    schedule = node.get("schedule")
    query = form.query
    return Rule(
        name=form.name,
        file=node.source.name,
        source=f"{node.source.name}:{node.line}",
        matchers=form.matchers,
        schedule=read_schedule(schedule, Report()) if schedule is not None else None,
        query=None
        if query is None
        else QueryTrigger.model_validate(
            {
                "query": Query(connection=query.connection, query=query.query, params=query.params),
                "is": query.is_,
                "every": query.every,
                "for": query.for_,
            }
        ),
        manual=bool(form.manual),
        condition=build_condition(condition) if condition is not None else None,
        condition_name=named.value if named is not None else None,
        firing_for=form.firing_for or 0.0,
        count=Count(**form.count.model_dump()) if form.count is not None else None,
        run_per=form.run_per,
        throttle=Throttle(**form.throttle.model_dump()) if form.throttle is not None else None,
        cooldown=form.cooldown or 0.0,
        priority=Priority.model_validate(
            {
                "cases": tuple(read.priority),
                "default": MAINTENANCE if read.trigger == "schedule" else Priority().default,
            }
        ),
        mode=form.mode,
        concurrency=Concurrency(**form.concurrency.model_dump())
        if form.concurrency is not None
        else None,
        playbook=form.playbook,
        inputs=form.inputs,
        on_resolved=form.on_resolved or "note",
        continue_=form.continue_,
    )
