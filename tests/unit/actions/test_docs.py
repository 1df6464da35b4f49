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
