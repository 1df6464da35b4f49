"""From the location of a validation's error to the node it speaks of, and to the type that was wanted there."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from engine.language.yamlnodes import Node

Loc = tuple[str | int, ...]


def follow(root: Node, loc: Loc) -> tuple[Node, Loc]:
    """Return the deepest node on the way of a location, and the parts that remain.

    Parts that name a member of a union have no node and are passed over.
    """
    node = root
    rest: list[str | int] = []
    for index, part in enumerate(loc):
        child = node.get(part)
        if child is not None:
            node = child
            rest = []
        elif part == "[key]" and index:
            return _parent(root, loc[:index]).key(str(loc[index - 1])), ()
        else:
            rest.append(part)
    return node, tuple(part for part in rest if not _is_union_part(part))


def _parent(root: Node, loc: Loc) -> Node:
    return follow(root, loc[:-1])[0]


def _is_union_part(part: str | int) -> bool:
    if isinstance(part, int):
        return False
    return (
        part in ("str", "int", "float", "bool", "none")
        or not part.isidentifier()
        or part[0].isupper()
    )


def field_at(model: type[BaseModel], loc: Loc) -> Any:
    """Return pydantic's description of the field at a location, or None."""
    owner = _type_at(model, loc[:-1])
    if owner is None or not loc:
        return None
    for name, field in owner.model_fields.items():
        if loc[-1] in (name, field.alias):
            return field
    return None


def names_at(model: type[BaseModel], loc: Loc) -> list[str] | None:
    """Return the field names of the mapping at a location, or None where that is no model."""
    owner = _type_at(model, loc)
    if owner is None:
        return None
    return [field.alias or name for name, field in owner.model_fields.items()]


def model_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """Return the model that a location wants, of a union the first that is one."""
    field = field_at(model, loc)
    if field is None:
        return _type_at(model, loc)
    models = [one for one in _members(field.annotation) if _is_model(one)]
    return models[0] if models else None


def _type_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    current: Any = model
    for part in loc:
        if isinstance(part, str) and _is_model(current):
            field = next(
                (one for key, one in current.model_fields.items() if part in (key, one.alias)), None
            )
            if field is not None:
                current = _bare(field.annotation)
                continue
        current = _inside(current, part)
        if current is None:
            return None
    models = [one for one in _members(current) if _is_model(one)]
    return models[0] if len(models) == 1 else None


def _inside(current: Any, part: str | int) -> Any:
    for member in _members(current):
        if _is_model(member):
            if part == member.__name__:
                return member
            for key, field in member.model_fields.items():
                if part in (key, field.alias):
                    return _bare(field.annotation)
        origin, args = get_origin(member), get_args(member)
        if isinstance(part, int) and origin in (list, tuple) and args:
            return _bare(args[0])
        if isinstance(part, str) and origin in (dict, Mapping) and len(args) == 2:
            return _bare(args[1])
    return None


def _members(annotation: Any) -> list[Any]:
    bare = _bare(annotation)
    if get_origin(bare) in (Union, types.UnionType):
        return [_bare(one) for one in get_args(bare)]
    return [bare]


def _bare(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if isinstance(annotation, typing.TypeAliasType if hasattr(typing, "TypeAliasType") else ()):
        return _bare(annotation.__value__)
    return annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
