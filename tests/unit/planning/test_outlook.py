"""What a plan has ahead: budgets, gates, undo, branches; as data, as a tree, as SVG; the same on every machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest

from engine.edges.cli.render.graph import graph as tree
from engine.edges.cli.render.plan import plan as rendered
from engine.edges.cli.render.style import plain
from engine.edges.drawing.flow import flow_svg
from engine.language.program import Program
from engine.planning.graph import graph
from engine.planning.outlook import BudgetLimit, outlook
from engine.planning.progress import RunProgress
from engine.planning.scope import RunFacts
from engine.running.views import public_plan
from tests.harness import Harness
from tests.harness_programs import node, program, setting
from tests.toys import Table

BIG = program(
    {"id": "now", "action": "toy.get", "with": {"name": "x"}},
    setting("up", "x", 2),
    {"id": "ask", "kind": "gate", "role": "sre", "approvals": 2},
    {
        "id": "way",
        "kind": "switch",
        "switch": "{{ steps.up.after.value }}",
        "cases": [{"value": "2", "steps": [node(setting("two", "y", 3))]}],
        "default": [node(setting("other <&>", "y", 4))],
    },
    {
        "id": "side",
        "kind": "parallel",
        "steps": [
            node(setting("left", "a", 1, when="steps.up is changed", bounds={"pods": {"max": 9}})),
            node(setting("right", "b", "{{ steps.up.after.value }}")),
        ],
    },
    rescue=[setting("fix", "x", 1)],
    budget={"pods": 5},
)


@pytest.fixture
def engine(tmp_path: Path) -> Harness:
    return Harness(tmp_path, Table(x=1, y=1, a=0, b=0))


def test_the_outlook_tells_budgets_gates_undo_and_what_is_known_later(engine: Harness) -> None:
    document = engine.planner.preview(BIG, {})
    limits = (BudgetLimit("playbook", "pods", 5), BudgetLimit("global", "pods", 20, 15, 3600.0))
    ahead = outlook(document, limits)
    assert [gate["step"] for gate in ahead["gates"]] == ["plan", "ask"]
    assert ahead["gates"][1]["approvals"] == 2
    assert ahead["undo"]["can"] == [{"step": "up", "automatic": True}]
    own, shared = ahead["budget"]
    assert (own["planned"], own["exceeds"], own["may_exceed"]) == (0, False, True)
    assert shared["left"] == 5
    later = {item["step"]: item for item in ahead["unknown"]}
    assert later["way>two"]["branch"] == "{{ steps.up.after.value }} is '2'"
    assert later["way>other <&>"]["branch"].endswith("is none of the cases")
    assert later["left"]["bounds"] == {"pods": {"min": None, "max": 9.0}}
    assert "steps.up is changed" in later["left"]["why"]


def test_a_budget_that_the_plan_exceeds_is_said_before_the_run(engine: Harness) -> None:
    costly = program(
        {"id": "up", "action": "toy.set", "with": {"name": "x", "value": 2, "pods": 8}},
        budget={"pods": 5},
    )
    document = engine.planner.preview(costly, {})
    shown = public_plan(document.as_json())
    shown["outlook"] = outlook(document, (BudgetLimit("playbook", "pods", 5),))
    assert shown["outlook"]["budget"][0]["exceeds"]
    text = plain(rendered(shown))
    assert "budget pods of this playbook: 8 of 5, at most 8; the run is held there and asks" in text
    assert "gate plan: before the first change" in text


def test_the_graph_shows_branches_states_and_what_happens_after_a_failure(engine: Harness) -> None:
    document = engine.planner.preview(BIG, {})
    found = graph(BIG, document)
    text = plain(tree(found, "toys/test"))
    lines = [line.strip("│├└─ ") for line in text.splitlines()]
    assert lines[0] == "toys/test"
    assert any(line.startswith("~ up  toy.set  x: 1 to 2") for line in lines)
    assert any(line.startswith(("? way>two", "? two")) for line in lines)
    assert "default" in lines
    assert "rescue: after a failure" in lines
    states = {step["id"]: step["state"] for step in found["steps"]}
    assert states == {
        "now": "read",
        "up": "planned",
        "ask": "gate",
        "way": "unknown",
        "side": "container",
    }


def test_the_svg_is_whole_xml_whatever_the_names_hold(engine: Harness) -> None:
    document = engine.planner.preview(BIG, {})
    text = flow_svg(graph(BIG, document), "a <plan> & \x00\x1b more")
    root = ElementTree.fromstring(text)
    words = "".join(root.itertext())
    assert "other <&>" in words
    assert "a <plan> &  more" in words
    boxes = [item for item in root.iter() if item.tag.endswith("rect") and item.get("rx")]
    assert len(boxes) == 10


def test_nothing_in_the_picture_lies_over_anything_else(engine: Harness) -> None:
    """Boxes stand apart; frames hold or stand apart; lines go straight down or across, and to a box or frame."""
    root = ElementTree.fromstring(flow_svg(graph(BIG, engine.planner.preview(BIG, {})), "a plan"))
    rects = [_Rect.of(item) for item in root.iter() if item.tag.endswith("rect") and item.get("x")]
    for one, other in combinations(rects, 2):
        assert one.holds(other) or other.holds(one) or one.apart(other), (one, other)
    assert not any(a.holds(b) for a in rects for b in rects if a.round and a is not b)
    tops = {(rect.x + rect.width / 2, rect.y) for rect in rects}
    for line in (item for item in root.iter() if item.tag.endswith("}line")):
        x1, y1, x2, y2 = (float(line.get(name, "nan")) for name in ("x1", "y1", "x2", "y2"))
        assert x1 == x2 or y1 == y2
        assert not line.get("marker-end") or (x2, y2) in tops


@dataclass(frozen=True)
class _Rect:
    x: float
    y: float
    width: float
    height: float
    round: bool

    @classmethod
    def of(cls, item: ElementTree.Element) -> _Rect:
        x, y, width, height = (float(item.get(n, "nan")) for n in ("x", "y", "width", "height"))
        return cls(x, y, width, height, item.get("rx") is not None)

    def holds(self, other: _Rect) -> bool:
        right, low = self.x + self.width, self.y + self.height
        inside = self.x <= other.x and other.x + other.width <= right
        return inside and self.y <= other.y and other.y + other.height <= low

    def apart(self, other: _Rect) -> bool:
        beside = self.x + self.width < other.x or other.x + other.width < self.x
        return beside or self.y + self.height < other.y or other.y + other.height < self.y


_PRINT = """
import json, sys
from engine.language.program import Program
from tests.harness import Harness
from tests.toys import Table
from pathlib import Path
import tempfile
program = Program.model_validate_json(sys.argv[1])
inputs = json.loads(sys.argv[2])
with tempfile.TemporaryDirectory() as folder:
    engine = Harness(Path(folder), Table(x=1, y=1, a=0, b=0))
    print(engine.planner.preview(program, inputs).fingerprint)
"""


def test_fingerprints_agree_across_processes_hash_seeds_and_the_order_of_dictionaries() -> None:
    given = {"b": {"z": 1, "a": [1, {"q": 1, "c": 2}]}, "a": "x"}
    turned = {"a": "x", "b": {"a": [1, {"c": 2, "q": 1}], "z": 1}}
    plan = program(setting("one", "x", "{{ inputs.b }}"), setting("two", "y", "{{ steps.one }}"))
    found = set()
    for seed, inputs in (("0", given), ("1", turned)):
        done = subprocess.run(
            [sys.executable, "-c", _PRINT, plan.frozen_text, json.dumps(inputs)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        found.add(done.stdout.strip())
    assert len(found) == 1
    assert len(found.pop()) == 64


def test_a_fingerprint_does_not_depend_on_how_params_are_ordered(engine: Harness) -> None:
    def plan(value: object) -> Program:
        steps = [setting("up", "x", value), setting("later", "y", "{{ steps.up.after.value }}")]
        return program(*steps).model_copy(update={"revision": "r"})

    def fingerprint(of: Program) -> str:
        document, _ = engine.planner.plan(
            of,
            {},
            RunFacts(trigger={}, run={}),
            RunProgress(),
            mode="approve",
            revision="r",
        )
        return document.fingerprint

    one, two = plan({"a": 1, "b": {"c": 1, "d": 2}}), plan({"b": {"d": 2, "c": 1}, "a": 1})
    assert fingerprint(one) == fingerprint(two)
    assert fingerprint(one) != fingerprint(plan({"a": 1, "b": {"c": 1, "d": 3}}))
