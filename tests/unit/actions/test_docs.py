"""The page about actions names everything that is installed."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from engine.contract.registry import load_registry
from engine.edges.reference import page

PAGE = Path(__file__).parents[3] / "docs" / "actions.md"


def test_every_action_is_on_the_page_and_no_other() -> None:
    kinds = "|".join({name.partition(".")[0] for name in load_registry().actions})
    named = set(re.findall(rf"`((?:{kinds})\.[a-z_]+)`", PAGE.read_text()))
    assert named == set(load_registry().actions)


def test_the_reference_is_what_the_declarations_say() -> None:
    """`make schemas` writes it anew."""
    assert (PAGE.parent / "reference" / "actions.md").read_text() == page(load_registry())


def test_every_parameter_and_all_inside_it_is_described_and_shown_with_an_example() -> None:
    lacking, shown = [], page(load_registry())
    for name, action in load_registry().actions.items():
        schema = action.Params.model_json_schema()
        section = shown.partition(f"### `{name}`\n")[2].partition("\n### ")[0]
        for model in (schema, *schema.get("$defs", {}).values()):
            for key, field in model.get("properties", {}).items():
                line = next(
                    (one for one in section.split("\n") if one.startswith(f"| `{key}` |")), ""
                )
                whole = field.get("description") and field.get("examples")
                if not whole or not line.rstrip("| ").endswith("`"):
                    lacking.append(f"{name} {key}")
    assert not lacking


def test_the_connections_on_the_page_are_valid() -> None:
    text = re.sub(r"```.*?```", "", PAGE.read_text(), flags=re.DOTALL)
    blocks = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    kinds = load_registry().kinds
    seen = set()
    for block in blocks:
        for settings in yaml.safe_load(block).values():
            kind = settings.pop("kind")
            kinds[kind].Settings.model_validate(settings)
            seen.add(kind)
    assert seen == set(kinds)
