"""Types of fields that hold one name: of a step, a playbook, a rule, an action."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import PlainValidator

from engine.language.diagnostics import clipped
from engine.language.forms import bad, bad_type, has_template, schema_text

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_PLAYBOOK = re.compile(r"[a-z0-9][a-z0-9_-]*(?:/[a-z0-9][a-z0-9_-]*)*\Z")
_RULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*\Z")
_ACTION = re.compile(r"\S+\Z")  # which names there are, the registry says


def _named(pattern: re.Pattern[str], what: str, rule: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str):
            hint = f'quote it: "{value}"' if isinstance(value, int | float) else None
            bad_type(value, f"{what} of {rule}", hint)
        if has_template(value):
            bad(f"{what} cannot be a template", "names are static so that they can be checked")
        if not pattern.match(value) or len(value) > 100:
            better = _mended(value)
            hint = f"write for example {better}" if pattern.match(better) else None
            bad(f"{clipped(value)} is not {what} of {rule}", hint)
        return value

    return check


def _mended(text: str) -> str:
    return re.sub(r"[^a-z0-9/_]+", "_", text.lower()).strip("_")[:60]


StepId = Annotated[
    str,
    PlainValidator(_named(_NAME, "an id", "small letters, digits and _")),
    schema_text("the step's id, unique in the file", ["scale_down"], _NAME.pattern[:-2] + "$"),
]
Word = Annotated[
    str,
    PlainValidator(_named(_NAME, "a name", "small letters, digits and _")),
    schema_text("a name", ["failure_spike"], _NAME.pattern[:-2] + "$"),
]
PlaybookName = Annotated[
    str,
    PlainValidator(_named(_PLAYBOOK, "a playbook's name", "the form pack/name, in small letters")),
    schema_text("a playbook's name", ["etl/failure-spike"]),
]
RuleName = Annotated[
    str,
    PlainValidator(_named(_RULE, "a rule's name", "letters, digits and - _ . /")),
    schema_text("the rule's name, unique over all files", ["etl-failure-spike"]),
]
ActionName = Annotated[
    str,
    PlainValidator(_named(_ACTION, "an action's name", "the form system.verb")),
    schema_text("an action", ["kubernetes.scale"]),
]
