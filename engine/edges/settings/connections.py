"""`connections:` the systems outside: what the engine reads of them itself, and what their kinds check."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.contract.registry import Registry
from engine.contract.world import OWN
from engine.language.diagnostics import Report, clipped, described, listed, suggestion
from engine.language.explain import report_errors
from engine.language.yamlnodes import Node

DataClass = Literal["internal", "personal"]
CLASSES: tuple[DataClass, ...] = get_args(DataClass)


class Connection(BaseModel):
    """A connection: its kind, whose data it holds, and the settings that the kind has checked."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    kind: str
    settings: BaseModel
    data_class: DataClass = "internal"


def written_kinds(node: Node | None) -> dict[str, str]:
    """Return each connection's kind as it is written, whether or not its settings have mistakes of their own."""
    if node is None or not isinstance(node.value, dict):
        return {}
    return {
        name: str(item.value.get("kind"))
        for name, item in node.entries()
        if isinstance(item.value, dict)
    }


def read_connection(name: str, node: Node, registry: Registry, report: Report) -> Connection | None:
    """Read one connection; report what is wrong with it."""
    if not isinstance(node.value, dict):
        report.error(
            node,
            f"the connection {name!r} must be a mapping",
            found=described(node.value) if not isinstance(node.value, str) else "a text",
            expected="kind and the kind's settings",
        )
        return None
    kind = node.value.get("kind")
    why = registry.why_missing(kind) if isinstance(kind, str) else None
    if isinstance(kind, str) and kind not in registry.kinds and why is not None:
        message = f"the connection kind {kind} is missing, since its plugin could not be loaded"
        report.error(node.get("kind") or node, message, found=why, hint="mend the plugin")
        return None
    if not isinstance(kind, str) or kind not in registry.kinds:
        report.error(
            node.get("kind") or node,
            f"there is no connection kind {clipped(kind)}"
            if isinstance(kind, str)
            else f"the connection {name!r} has no kind",
            expected=listed(registry.kinds),
            hint=suggestion(kind, registry.kinds) if isinstance(kind, str) else "add kind:",
        )
        return None
    data_class = _data_class(node, report)
    model = registry.kinds[kind].Settings
    settings = {key: value for key, value in node.value.items() if key not in OWN}
    try:
        checked = model.model_validate(settings)
        return Connection(kind=kind, settings=checked, data_class=data_class)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    what = f"the {kind} connection {name!r}"
    report_errors(model, node, errors, report, what=what)
    return None


def _data_class(node: Node, report: Report) -> DataClass:
    place = node.get("data_class")
    if place is None:
        return CLASSES[0]
    for known in CLASSES:
        if place.value == known:
            return known
    report.error(
        place,
        "data_class says whose data a connection holds",
        found=clipped(place.value) if isinstance(place.value, str) else described(place.value),
        expected=listed(CLASSES),
        hint=suggestion(place.value, CLASSES) if isinstance(place.value, str) else "write personal",
    )
    return "personal"
