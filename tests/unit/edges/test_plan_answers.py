"""A plan on the terminal shows what its reads answered and what a restore puts back."""

from __future__ import annotations

from typing import Any

import pytest

from engine.edges.cli.render.plan import plan
from engine.edges.cli.render.style import plain


def shown(**step: Any) -> str:
    line = {"address": "a", "kind": "action", "title": "a", "action": None, "reason": None, **step}
    document = {"playbook": "etl/x", "steps": [line], "fingerprint": "f" * 64, "budget": {}}
    return plain(plan({**document, "unplannable": [], "gates": []}))


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ({"value": 0.458, "vector": [{}], "empty": False}, "= 0.458\n"),
        ({"value": None, "vector": [], "empty": True}, "= no value\n"),
        ({"rows": [{"kind": "DB", "n": 4}], "row": {}, "count": 1}, "= 1 rows: kind=DB, n=4\n"),
        ({"rows": [], "row": None, "count": 0}, "= no rows\n"),
        (
            {"rows": [{"n": n} for n in range(5)], "count": 5},
            "= 5 rows: n=0; n=1; n=2; …\n",
        ),
    ],
)
def test_a_read_shows_its_answer(output: Any, text: str) -> None:
    assert text in shown(state="read", detail={"output": output})


def test_an_answer_cannot_move_the_cursor() -> None:
    output = {"rows": [{"m": "\x1b[2Jgone"}], "count": 1}
    assert "\x1b" not in shown(state="read", detail={"output": output})


def test_a_restore_shows_the_way_back() -> None:
    text = shown(
        state="restore",
        detail={
            "changes": [
                {
                    "step": "reduce",
                    "target": "cluster:starforge/Deployment/etl-worker",
                    "before": {"spec.replicas": 1},
                    "after": {"spec.replicas": 6},
                    "counts": {"pods": 5},
                },
                {
                    "step": "told",
                    "target": "x:y",
                    "before": {},
                    "after": {},
                    "why": "no key is declared",
                },
            ]
        },
    )
    assert "reduce  cluster:starforge/Deployment/etl-worker  5 pods" in text
    assert "spec.replicas: 1 → 6" in text
    assert "cannot be put back: no key is declared" in text
