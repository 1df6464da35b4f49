"""The JSON Schemas that Stanch ships in `schemas/`, and `python -m engine.edges.schemas`, which writes them,
the reference of the actions, made from the same declarations, the page of the runbooks' coverage, and the tables
of a new SQLite journal."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from engine.contract.registry import Registry, load_registry
from engine.domain.canonical import JsonObject
from engine.edges.config import ConfigFile
from engine.edges.settings.connections import CLASSES
from engine.language import schema as language
from engine.language.schema import DIALECT, add_model, definitions_of

NAMES = (*language.NAMES, "config")


def schema(name: str, registry: Registry | None = None) -> JsonObject:
    """Return the JSON Schema of `playbook`, `rules`, `conditions`, `rehearsal` or `config` files.

    Args:
        registry: completes actions' parameters and connections' settings; None leaves them open.

    Raises:
        KeyError: there is no such kind of file.
    """
    if name == "rehearsal":
        return _with_worlds(language.schema(name, registry))
    if name != "config":
        return language.schema(name, registry)
    definitions = definitions_of([ConfigFile])
    top = definitions.pop("ConfigFile")
    connection: JsonObject = {
        "type": "object",
        "required": ["kind"],
        "properties": {
            "kind": {"type": "string", "description": "Kind of the connection"},
            "data_class": {
                "enum": list(CLASSES),
                "default": CLASSES[0],
                "description": "Whose data it holds; values of personal data are masked in Slack and "
                "postmortems",
            },
        },
    }
    if registry is not None:
        connection["properties"]["kind"]["enum"] = sorted(registry.kinds)
        connection["allOf"] = []
        for kind, declared in registry.kinds.items():
            add_model(definitions, f"{kind}.connection", declared.Settings, templates=False)
            settings = definitions[f"{kind}.connection"]
            own = {"kind": {"const": kind}, "data_class": True}
            settings["properties"] = {**settings.get("properties", {}), **own}
            connection["allOf"].append(
                {
                    "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                    "then": {"$ref": f"#/$defs/{kind}.connection"},
                }
            )
    definitions["ConnectionSettings"] = connection
    return {"$schema": DIALECT, **top, "title": "Stanch configuration", "$defs": definitions}


def _with_worlds(found: JsonObject) -> JsonObject:
    """Complete a rehearsal's `world:` by what the shipped worlds take; plugins' own stay open."""
    from engine.edges.rehearsal.answers import AnswersForm
    from worlds.rehearsal.kinds import WORLDS

    definitions = found["$defs"]
    add_model(definitions, "answers.world", AnswersForm, templates=False)
    entries: list[JsonObject] = [{"$ref": "#/$defs/answers.world"}]
    for kind, offer in WORLDS.items():
        add_model(definitions, f"{kind}.world", offer.model(), templates=False)
        entry: JsonObject = {"$ref": f"#/$defs/{kind}.world"}
        entries.append({"type": "array", "items": entry} if offer.many else entry)
        if offer.behaving is not None:
            add_model(definitions, f"{kind}.behaving", offer.behaving.model(), templates=False)
            entries.append({"$ref": f"#/$defs/{kind}.behaving"})
    found["properties"]["world"]["additionalProperties"] = {"anyOf": [*entries, {}]}
    return found


def written(name: str, registry: Registry) -> str:
    """Return a schema as it stands in its file."""
    return json.dumps(schema(name, registry), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write_schemas(folder: Path, registry: Registry) -> list[Path]:
    """Write every schema into `folder` as NAME.json; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in NAMES:
        path = folder / f"{name}.json"
        path.write_text(written(name, registry), encoding="utf-8")
        paths.append(path)
    return paths


if __name__ == "__main__":
    from engine.edges import coverage, reference
    from engine.journal.migrate import NEW, tables_of_migrations

    shipped = load_registry()
    write_schemas(Path(sys.argv[1] if len(sys.argv) > 1 else "schemas"), shipped)
    reference.write(shipped, Path())
    coverage.write(Path())
    NEW.write_text(tables_of_migrations(), encoding="utf-8")
