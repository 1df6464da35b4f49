"""`roles:` and `people:`: who has which role, how far it reaches, and which identities are one person."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from engine.domain.people import Scope
from engine.edges.desk.directory import Directory, Person, Role
from engine.language.diagnostics import Report
from engine.language.forms import Form, bad_type
from engine.language.yamlnodes import Node

_NAMES = {"type": "array", "items": {"type": "string"}}


class RoleForm(Form):
    """Who has a role, and how far it reaches."""

    members: list[str] = Field([], description="Names of people", examples=[["alice", "bob"]])
    groups: list[str] = Field(
        [], description="Chat groups whose members have it", examples=[["S0615G0KT"]]
    )
    packs: list[str] = Field([], description="The packs it reaches; left out: all")
    namespaces: list[str] = Field([], description="The namespaces it reaches; left out: all")

    def role(self) -> Role:
        scope = Scope(frozenset(self.packs), frozenset(self.namespaces))
        return Role(tuple(self.members), tuple(self.groups), scope)


def _role(value: object) -> object:
    if isinstance(value, list):
        return {"members": value}
    if not isinstance(value, dict):
        hint = f"write a list: [{value}]" if isinstance(value, str) else None
        bad_type(value, "a list of names, or members, groups, packs and namespaces", hint)
    return value


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


_Some = Annotated[
    list[str],
    BeforeValidator(_one_or_more),
    WithJsonSchema({"anyOf": [{"type": "string"}, _NAMES]}),
]


class PersonForm(Form):
    """The identities of one person, who counts once whichever of them they use."""

    slack: _Some = Field([], description="Slack user ids", examples=["U024BE7LH"])
    tokens: list[str] = Field([], description="Names of API tokens")
    web: list[str] = Field([], description="Names by which they come to the pages")
    names: list[str] = Field([], description="Logins, and author names in playbooks")
    groups: list[str] = Field([], description="Chat groups that they are in")

    def person(self) -> Person:
        return Person(
            tuple(self.slack),
            tuple(self.tokens),
            tuple(self.web),
            tuple(self.names),
            tuple(self.groups),
        )


Roles = dict[
    str,
    Annotated[
        RoleForm,
        BeforeValidator(_role),
        WithJsonSchema({"anyOf": [_NAMES, RoleForm.model_json_schema()]}),
    ],
]
People = dict[str, PersonForm]


def directory_of(roles: Roles, people: People) -> Directory:
    """Return the directory that the two sections describe."""
    return Directory(
        {name: form.role() for name, form in roles.items()},
        {name: form.person() for name, form in people.items()},
    )


def check_people(root: Node, report: Report) -> None:
    """An identity belongs to one person; a second claim of it is a mistake."""
    people = root.get("people")
    taken: dict[tuple[str, str], str] = {}
    for name, node in people.entries() if people is not None else ():
        for field in ("slack", "tokens", "web", "names"):
            given = node.get(field) if isinstance(node.value, dict) else None
            for place in _texts(given):
                key = (field, str(place.value))
                if key in taken and taken[key] != name:
                    report.error(
                        place,
                        f"{field}: {place.value!r} belongs to {taken[key]} already",
                        hint="one identity is one person: name it once",
                    )
                taken.setdefault(key, name)


def _texts(node: Node | None) -> list[Node]:
    if node is None:
        return []
    if isinstance(node.value, str):
        return [node]
    found = node.elements() if isinstance(node.value, list) else ()
    return [one for one in found if isinstance(one.value, str)]
