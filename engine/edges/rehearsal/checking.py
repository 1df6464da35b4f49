"""`stanch check` of a rehearsal's worlds: each entry by the model of its connection's kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from engine.language.diagnostics import Diagnostic, Report, described
from engine.language.explain import report_errors

if TYPE_CHECKING:
    from engine.language.yamlnodes import Node
    from worlds.rehearsal.specs import Spec


def check_world(name: str, kind: str, node: Node) -> list[Diagnostic]:
    """Return what is wrong with an entry of `world:`; entries that a plugin reads are left to it."""
    from engine.edges.rehearsal.answers import AnswersForm, is_answers
    from worlds.rehearsal.kinds import offer_of

    report = Report()
    offer = offer_of(kind, node.value)
    what = f"the {kind} world {name!r}"
    if is_answers(node.value):
        _check(AnswersForm, node, report, what)
    elif offer is not None and offer.many:
        if not isinstance(node.value, list):
            report.error(
                node,
                f"{what} is a list of answers",
                found=described(node.value),
                expected="a list",
                hint="begin each with '- '",
            )
        for item in node.elements():
            _check(offer.model(), item, report, what)
    elif offer is not None:
        _check(offer.model(), node, report, what)
    return report.diagnostics


def _check(model: type[BaseModel], node: Node, report: Report, what: str) -> None:
    if not isinstance(node.value, dict):
        report.error(
            node,
            f"{what}: this must be a mapping",
            found=described(node.value),
            expected="a mapping",
        )
        return
    try:
        model.model_validate(node.value)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        report_errors(model, node, errors, report, what=what)


def holds_target(kind: str, entry: object, target: str) -> bool | None:
    """Tell whether a world's entry has a target at its beginning; None: it cannot be told."""
    from engine.edges.rehearsal.answers import AnswersForm, is_answers
    from worlds.rehearsal.kinds import offer_of

    offer = offer_of(kind, entry)
    try:
        if is_answers(entry):
            return AnswersForm.model_validate(entry).holds(target)
        if offer is None:
            return None  # a plugin's own
        if offer.many:
            return False  # answers to calls and queries hold no targets
        spec: Spec = offer.reader().validate_python(entry)
    except ValidationError:
        return None  # reported where it stands
    return spec.holds(target)
