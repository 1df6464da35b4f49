"""Checks what templates name: the names in scope at their place, steps that can have run, known keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from engine.language.diagnostics import Report, clipped, listed, suggestion
from engine.language.judge import Use
from engine.language.problems import BadText
from engine.language.templates import References, expression_references, is_constant, references
from engine.language.templatescan import is_template
from engine.language.yamlnodes import Node

RUN_NAMES = frozenset({"inputs", "steps", "vars", "trigger", "alert", "incident", "run"})
RULE_NAMES = frozenset({"trigger", "alert"})
_FIELDS: dict[str, frozenset[str]] = {
    "trigger": frozenset({"kind", "labels", "annotations", "at", "value"}),
    "alert": frozenset(
        {
            "fingerprint",
            "status",
            "labels",
            "annotations",
            "starts_at",
            "ends_at",
            "generator_url",
        }
    ),
    "run": frozenset({"id", "started_at", "priority", "mode"}),
    "failure": frozenset({"step", "category", "message"}),
}
_ONLY = {
    "item": "item exists only in a step with foreach, and in what that step holds",
    "key": "key exists only in a step with foreach, and in what that step holds",
    "failure": "failure exists only in rescue and finally",
    "result": "result exists only in the until of a wait that reads",
    "secret": "secret('name') is allowed only in a step's with",
    "steps": "a rule starts a run; its steps do not exist yet",
    "inputs": "inputs belong to a playbook",
    "vars": "vars belong to a playbook",
    "incident": "the incident does not exist yet",
    "run": "the run does not exist yet",
    "labels": "write trigger.labels",
    "annotations": "write trigger.annotations",
    "env": "write secret('name') in a step's with; the configuration says where the secret is",
}

StepCheck = Callable[[Use], tuple[str, str | None] | None]


@dataclass(frozen=True)
class Names:
    """The names that a template sees at one place.

    Attributes:
        fields: known second parts by name: the inputs, the vars; None where any may be.
        step: judges a use of `steps.ID`: None where it is right, else message and hint.
        secrets: names for secret('…'); None where they are not checked.
        absent: why a name is not known here, by name.
    """

    roots: frozenset[str]
    fields: Mapping[str, Collection[str] | None] = field(default_factory=dict)
    step: StepCheck | None = None
    secrets: Collection[str] | None = None
    absent: Mapping[str, str] = field(default_factory=dict)

    def plus(self, *names: str) -> Names:
        """Return these and more names."""
        return replace(self, roots=self.roots | set(names))

    def without(self, *names: str) -> Names:
        """Return these without some names."""
        return replace(self, roots=self.roots - set(names))


def check_tree(node: Node | None, names: Names, report: Report) -> None:
    """Check every template inside a value."""
    if node is None:
        return
    for text in texts(node):
        check_text(text, names, report)
    for key in _keys(node):
        if is_template(key.value):
            hint = "keys are plain text; put the template into a value"
            report.error(key, "a key cannot be a template", hint=hint)


def check_text(node: Node, names: Names, report: Report) -> None:
    """Check the templates of one text."""
    try:
        found = references(node.value)
    except BadText as error:
        report.error(node, error.message, hint=error.hint, offset=error.offset)
        return
    _check_uses(node, found, names, report)


def check_expression(node: Node | None, names: Names, report: Report, *, what: str) -> None:
    """Check an expression that stands bare or in {{ }}, such as `when`."""
    if node is None or not isinstance(node.value, str) or not node.value.strip():
        return  # its form has said what is wrong
    try:
        found = expression_references(node.value)
        if is_constant(node.value):
            report.error(
                node,
                f"{what}: this is a constant",
                found=clipped(node.value),
                expected=f"a condition over {listed(names.roots, 20)}",
                hint=_constant_hint(node.value, what),
            )
    except BadText as error:
        report.error(node, f"{what}: {error.message}", hint=error.hint, offset=error.offset)
        return
    _check_uses(node, found, names, report)


def _constant_hint(text: str, what: str) -> str:
    bare = text.strip().strip("{}").strip().lower()
    if what.startswith("P") and bare in ("true", "false"):
        return f"write {what}: {bare}, without quotes"
    if bare in ("true", "yes", "on", "1"):
        return "it always holds: leave it out"
    if bare in ("false", "no", "off", "0", "none", "null"):
        return "it never holds: remove the step"
    if bare[:1] in ("'", '"'):
        return "names are not quoted: inputs.class == 'oom'"
    return "it always gives the same: compare something that can change"


def _check_uses(node: Node, found: References, names: Names, report: Report) -> None:
    for use in found.uses:
        problem = _problem(use, names)
        if problem is not None:
            report.error(node, problem[0], hint=problem[1], offset=use.offset)
    if names.secrets is not None and "secret" in names.roots:
        for secret in sorted(found.secrets - set(names.secrets)):
            report.error(
                node,
                f"there is no secret {clipped(secret)} in the configuration",
                expected=listed(names.secrets),
                hint=suggestion(secret, names.secrets) or "add it under secrets:",
            )


def _problem(use: Use, names: Names) -> tuple[str, str | None] | None:
    root = use.path[0]
    if root not in names.roots:
        why = names.absent.get(root) or _ONLY.get(root)
        if why is not None:
            return f"{root!r} is not known here", why
        near = suggestion(root, names.roots)
        return f"there is no name {root!r}", near or f"known here: {listed(names.roots, 20)}"
    if root == "steps" and names.step is not None:
        return names.step(use)
    known = names.fields.get(root, _FIELDS.get(root))
    if known is not None and len(use.path) > 1 and use.path[1] not in known:
        return _no_part(root, use.path[1], known)
    return None


def _no_part(root: str, part: str, known: Collection[str]) -> tuple[str, str | None]:
    what = {"inputs": "input", "vars": "var"}.get(root)
    message = f"there is no {what} {part!r}" if what else f"{root} has no {part!r}"
    near = suggestion(part, known)
    if near is None and what == "input":
        near = "declare it under inputs: properties:"
    if near is None and what == "var":
        near = "declare it under vars:"
    return message, near or f"known: {listed(known)}"


def texts(node: Node) -> Iterator[Node]:
    """Yield every text inside a value that holds a template."""
    if isinstance(node.value, str):
        if is_template(node.value):
            yield node
    elif isinstance(node.items, dict):
        for item in node.items.values():
            yield from texts(item)
    else:
        for item in node.elements():
            yield from texts(item)


def _keys(node: Node) -> Iterator[Node]:
    if isinstance(node.items, dict):
        for name, item in node.items.items():
            yield node.keys[name]
            yield from _keys(item)
    else:
        for item in node.elements():
            yield from _keys(item)
