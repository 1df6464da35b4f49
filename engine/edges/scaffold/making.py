"""Writes new projects and files. Nothing that is there already is touched."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.contract.registry import Registry
from engine.domain.errors import InvalidInput
from engine.edges.scaffold import texts
from engine.language.program import ManualNode, Program

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*\Z")


def project_files() -> dict[str, str]:
    """The files of a new project with one pack, by path."""
    return {
        "stanch.yaml": texts.CONFIG,
        "rules/web/errors.yaml": texts.RULES,
        "playbooks/web/more-replicas.yaml": texts.PLAYBOOK,
        "playbooks/web/more-replicas.rehearsal.yaml": texts.REHEARSAL,
        "README.md": texts.README,
        ".gitignore": texts.GITIGNORE,
    }


def make_project(folder: Path, registry: Registry) -> list[Path]:
    """Write a new project and its schemas; return the files.

    Raises:
        InvalidInput: one of its files is there already (all are named; nothing was written), or the folder
            cannot be written.
    """
    from engine.edges.schemas import write_schemas

    files = project_files()
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise InvalidInput(
            f"{folder} has these files already: {', '.join(there)}; nothing was written. Choose another folder"
        )
    try:
        made = [write_new(folder / name, text) for name, text in files.items()]
        return [*made, *write_schemas(folder / "schemas", registry)]
    except OSError as error:
        raise InvalidInput(f"{folder} cannot be written: {error.strerror}") from error


def write_new(path: Path, text: str) -> Path:
    """Write a file that is not there yet.

    Raises:
        InvalidInput: it is there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InvalidInput(f"{path} is there already; it was left alone") from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error
    return path


def checked_name(name: str) -> str:
    """Return the name.

    Raises:
        InvalidInput: it is none of small letters, digits, - and _, with / between pack and name.
    """
    if not _NAME.match(name):
        raise InvalidInput(
            f"{name!r} is no name: write small letters, digits, - and _, such as web/restart"
        )
    return name


def new_playbook(name: str, folder: Path, schemas: Path, role: str) -> Path:
    """Write a playbook that `check` accepts, with comments that say what else there is."""
    path = folder / f"{checked_name(name)}.yaml"
    marks = {"NAME": name, "ROLE": role, "SCHEMAS": _way(schemas, path)}
    return write_new(path, filled(texts.NEW_PLAYBOOK, marks))


def new_rule(name: str, folder: Path, schemas: Path, program: Program) -> Path:
    """Write a rule that starts `program`; its inputs come from the alert's labels."""
    path = folder / f"{checked_name(name)}.yaml"
    rule = name.replace("/", "-")
    needed = list(program.inputs.get("required") or ())
    inputs = ", ".join(f'{one}: "{{{{ alert.labels.{one} }}}}"' for one in needed)
    marks = {
        "NAME": rule,
        "ALERT": "".join(word.capitalize() for word in re.split(r"[^a-z0-9]+", rule)),
        "PER": ", ".join(needed) or "alertname",
        "PLAYBOOK": program.playbook,
        "INPUTS": f"{{{inputs}}}",
        "SCHEMAS": _way(schemas, path),
    }
    return write_new(path, filled(texts.NEW_RULE, marks))


def new_rehearsal(program: Program, folder: Path, schemas: Path) -> Path:
    """Write the frame of a rehearsal beside a playbook, with inputs of the right types."""
    path = folder / f"{program.playbook}.rehearsal.yaml"
    properties = program.inputs.get("properties") or {}
    needed = {
        name: _example(properties.get(name) or {}) for name in program.inputs.get("required") or ()
    }
    tasks = [node for node in program.steps if isinstance(node, ManualNode)]
    people = ", ".join(
        f"{{step: {node.id}, who: alice, roles: [{node.role}], does: done, note: done, after: 5m}}"
        for node in tasks
    )
    marks = {
        "PLAYBOOK": program.playbook,
        "INPUTS": json.dumps(needed),
        "PEOPLE": f"[{people}]",
        "SCHEMAS": _way(schemas, path),
    }
    return write_new(path, filled(texts.NEW_REHEARSAL, marks))


def _example(schema: Mapping[str, Any]) -> Any:
    for known in ("default", "const"):
        if known in schema:
            return schema[known]
    for known in ("examples", "enum"):
        if schema.get(known):
            return schema[known][0]
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    examples: dict[str, Any] = {
        "integer": least,
        "number": least,
        "boolean": False,
        "array": [],
        "object": {},
    }
    return examples.get(kind, "example")


def filled(text: str, marks: Mapping[str, str]) -> str:
    """Fill `@NAME@` marks in, in one pass: what is filled in is not looked at again."""
    return re.sub(r"@([A-Z]+)@", lambda match: marks[match[1]], text)


def _way(schemas: Path, file: Path) -> str:
    return os.path.relpath(schemas, file.parent).replace(os.sep, "/")
