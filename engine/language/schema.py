"""JSON Schema of the YAML files, for editors: made from the same forms that `check` reads them with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from engine.domain.canonical import JsonObject
from engine.language.fileforms import (
    ConditionForm,
    PlaybookFile,
    PriorityForm,
    RuleForm,
    RulesFile,
)
from engine.language.forms import Form
from engine.language.known import Catalog
from engine.language.mutations import MutationForm, MutationsFile
from engine.language.rehearsalforms import RehearsalFile
from engine.language.stepforms import STEP_KINDS, WAIT_KINDS, ForeachForm

NAMES = ("playbook", "rules", "conditions", "rehearsal", "mutations")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/{model}"
_TEMPLATE = {"type": "string", "pattern": r"\{\{", "description": "a template"}


class _Generator(GenerateJsonSchema):
    """Pydantic's own, without the titles it makes up of field names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


def schema(name: str, catalog: Catalog | None = None) -> JsonObject:
    """Return the JSON Schema of `playbook`, `rules`, `conditions`, `rehearsal` or `mutations` files.

    Args:
        catalog: completes the parameters of each action in playbooks; None leaves them open.

    Raises:
        KeyError: there is no such kind of file.
    """
    if name == "playbook":
        models: list[type[Form]] = [PlaybookFile, *STEP_KINDS.values(), *WAIT_KINDS, ForeachForm]
        found = _whole("PlaybookFile", models, "A Stanch playbook")
        _add_steps(found["$defs"], catalog)
        return found
    if name in ("rules", "conditions"):
        found = _whole(
            "RulesFile", [RulesFile, RuleForm, ConditionForm, PriorityForm], f"Stanch {name}"
        )
        if name == "conditions":
            found["required"] = ["conditions"]
        else:
            found["anyOf"] = [{"required": ["rules"]}, {"required": ["conditions"]}]
        return found
    if name == "rehearsal":
        return _whole("RehearsalFile", [RehearsalFile], "Stanch rehearsals")
    if name == "mutations":
        found = _whole("MutationsFile", [MutationsFile, MutationForm], "Faults to plant")
        found["properties"]["mutations"]["items"] = {"$ref": "#/$defs/MutationForm"}
        return found
    raise KeyError(f"there is no schema {name!r}; there are {', '.join(NAMES)}")


def _whole(root: str, models: list[type[Form]], title: str) -> JsonObject:
    definitions = definitions_of(models)
    top = definitions.pop(root)
    return {"$schema": DIALECT, **top, "title": title, "$defs": definitions}


def definitions_of(models: Iterable[type[BaseModel]]) -> JsonObject:
    """Return the schemas of models, and of those inside them, by name."""
    _, found = models_json_schema(
        [(model, "validation") for model in models],
        by_alias=True,
        ref_template=_REF,
        schema_generator=_Generator,
    )
    definitions: JsonObject = _referred(found["$defs"])
    for one in definitions.values():
        one.pop("title", None)
    return definitions


def _referred(found: Any) -> Any:
    """Turn `x-ref`, which pydantic leaves alone, into `$ref`: forms are read one by one, not nested."""
    if isinstance(found, dict):
        return {"$ref" if key == "x-ref" else key: _referred(one) for key, one in found.items()}
    return [_referred(one) for one in found] if isinstance(found, list) else found


def _add_steps(definitions: JsonObject, catalog: Catalog | None) -> None:
    definitions["Steps"] = {"type": "array", "items": {"$ref": "#/$defs/Step"}}
    definitions["Step"] = {
        "type": "object",
        "required": ["id"],
        "properties": {"id": definitions["ActionStep"]["properties"]["id"]},
        "anyOf": [{"required": [kind]} for kind in STEP_KINDS],
        "allOf": [
            {
                "if": {"required": [kind]},
                "then": {"$ref": f"#/$defs/{form.__name__}"},
            }
            for kind, form in STEP_KINDS.items()
        ],
    }
    definitions["Wait"] = {"anyOf": [{"$ref": f"#/$defs/{form.__name__}"} for form in WAIT_KINDS]}
    if catalog is not None:
        for owner in ("ActionStep", "ReadForm"):
            _complete(definitions, definitions[owner], catalog)


def _complete(definitions: JsonObject, owner: JsonObject, catalog: Catalog) -> None:
    """Tie `with` to the chosen action's parameters."""
    described = [
        {"const": name, "description": action.summary}
        for name, action in sorted(catalog.actions.items())
    ]
    owner["properties"]["action"] = {
        "anyOf": described,
        "description": owner["properties"]["action"].get("description", "The action"),
    }
    owner["allOf"] = [
        {
            "if": {"properties": {"action": {"const": name}}, "required": ["action"]},
            "then": {"properties": {"with": {"$ref": f"#/$defs/{name}"}}},
        }
        for name in sorted(catalog.actions)
    ]
    for name, action in catalog.actions.items():
        add_model(definitions, name, action.Params, templates=True)


def add_model(
    definitions: JsonObject, name: str, model: type[BaseModel], *, templates: bool
) -> None:
    """Add a foreign model's schema as `name`, what it refers to as `name.Model`.

    Args:
        templates: let a template stand for every value; required fields may come from defaults then.
    """
    found = model.model_json_schema(
        by_alias=True, ref_template=f"#/$defs/{name}.{{model}}", schema_generator=_Generator
    )
    inner = found.pop("$defs", {})
    for key, value in inner.items():
        definitions[f"{name}.{key}"] = _templated(value) if templates else value
    if templates:
        found.pop("required", None)
        found = _templated(found)
    found.pop("title", None)
    definitions[name] = found


def _templated(found: Mapping[str, Any]) -> JsonObject:
    """Return a schema in which a template may stand for any value inside."""
    result = dict(found)
    result.pop("title", None)
    if isinstance(result.get("properties"), dict):
        result["properties"] = {name: _or(one) for name, one in result["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), dict):
            result[key] = _or(result[key])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in result:
            result[key] = [_templated(one) for one in result[key]]
    return result


def _or(found: Any) -> Any:
    if not isinstance(found, dict):
        return found
    inner = _templated(found)
    if inner.get("x-language") or (inner.get("type") == "string" and not _narrow(inner)):
        return inner
    about = {key: inner.pop(key) for key in ("description", "examples", "default") if key in inner}
    return {**about, "anyOf": [inner, _TEMPLATE]}


def _narrow(found: JsonObject) -> bool:
    return any(key in found for key in ("enum", "const", "pattern", "format", "maxLength"))
