"""The page about every action's parameters, made from their declarations: `docs/reference/actions.md`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.contract.action import Action
from engine.contract.registry import Registry

PAGE = Path("docs/reference/actions.md")
_HEAD = (
    "# Actions: reference\n\n"
    "Made from the declarations by `make schemas`; do not edit. What each action promises, and the window that "
    "remains, stands in [actions.md](../actions.md). Rights are those for the examples shown; `stanch grants` "
    "prints those of your playbooks.\n"
)


def page(registry: Registry) -> str:
    """Return the page, in Markdown."""
    parts = [_HEAD]
    system = ""
    for name, action in registry.actions.items():
        if name.partition(".")[0] != system:
            system = name.partition(".")[0]
            parts.append(f"## {system}\n")
        parts.append(_section(action))
    return "\n".join(parts)


def _section(action: Action[Any]) -> str:
    protection = getattr(action, "protection", None)
    facts = [f"effect **{action.effect.value}**", f"risk {action.risk}"]
    facts += [f"protection *{protection.value}*"] if protection else []
    facts += [f"version {action.version}"]
    schema = action.Params.model_json_schema()
    lines = [f"### `{action.name}`\n", f"{action.summary}. {'; '.join(facts)}.\n"]
    lines += _fields("parameter", schema)
    for inner, model in schema.get("$defs", {}).items():
        if "properties" in model:
            lines += ["", f"`{inner}`:", "", *_fields("field", model)]
    rights = list(dict.fromkeys(_rights(action)))
    if rights:
        lines += ["", "Rights: " + "; ".join(rights) + "."]
    return "\n".join(lines) + "\n"


def _fields(word: str, schema: Mapping[str, Any]) -> list[str]:
    """Return the table of a model's fields, `word` being what each is called."""
    lines = [f"| {word} | type | default | what it is | example |", "|---|---|---|---|---|"]
    wanted = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        default = "required" if name in wanted else _code(field.get("default"))
        examples = field.get("examples") or []
        example = _code(examples[0]) if examples else ""
        about = _cell(str(field.get("description", "")))
        lines.append(f"| `{name}` | {_cell(type_text(field))} | {default} | {about} | {example} |")
    return lines


def _rights(action: Action[Any]) -> Iterator[str]:
    """Yield the rights that the documented examples need; nothing where they do not go together."""
    fields = action.Params.model_fields
    given = {
        name: field.examples[0]
        for name, field in fields.items()
        if field.is_required() and field.examples
    }
    try:
        grants = action.grants(action.Params.model_validate(given))
    except Exception:  # noqa: BLE001  a plugin's code; the page goes without
        return
    for grant in grants:
        detail = " ".join(f"{key}={_flat(value)}" for key, value in grant.detail.items() if value)
        yield f"{grant.kind} `{detail}`"


def type_text(field: Mapping[str, Any]) -> str:
    """Return a parameter's type in words, from its JSON Schema."""
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    parts = field.get("anyOf") or field.get("oneOf")
    if parts:
        return " or ".join(dict.fromkeys(type_text(part) for part in parts))
    if "enum" in field or "const" in field:
        return " | ".join(map(str, field.get("enum", [field.get("const")])))
    kind = field.get("type", "any")
    if kind == "array" and "items" in field:
        return f"list of {type_text(field['items'])}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _flat(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return f"`{_cell(text)}`" if value is not None else "none"


def write(registry: Registry, root: Path) -> Path:
    """Write the page below `root` and return its path."""
    path = root / PAGE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(registry), encoding="utf-8")
    return path
