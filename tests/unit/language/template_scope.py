"""What the templates of these tests see."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from engine.domain.plan import Unknown
from engine.language.scope import StepView

PODS = [{"name": "a", "phase": "Running"}, {"name": "b", "phase": "Failed"}]
ITEMS = [
    {"key": "a", "item": 1, "state": "succeeded", "output": {"x": 1}, "error": None},
    {"key": "b", "item": 2, "state": "failed", "output": None, "error": "boom"},
    {"key": "c", "item": 3, "state": "succeeded", "output": {"x": 3}, "error": None},
]
SCOPE: Mapping[str, Any] = {
    "inputs": {"namespace": "starforge", "n": 3, "limit": "512Mi", "ratio": 0.1, "yes": True},
    "steps": {
        "pods": StepView("pods", "succeeded", {"items": PODS, "count": 2}),
        "two-words": StepView("two-words", "succeeded", 7),
        "skip": StepView("recover.skip", "skipped"),
        "bad": StepView("bad", "failed", {"half": 1}),
        "lost": StepView("lost", "unknown"),
        "back": StepView("back", "undone", {"x": 1}),
        "scale": StepView("scale", "succeeded", {"after": {"n": Unknown("later")}}, changed=True),
        "later": StepView("later", "unknown", Unknown()),
        "each": StepView("each", "succeeded", ITEMS),
        "plain": {"x": 5},
    },
    "trigger": {"kind": "alert", "labels": {"a-b": "c"}, "annotations": {}, "value": None},
    "item": {"id": 9},
    "unsure": Unknown("not yet"),
    "at": datetime(2026, 1, 2, tzinfo=UTC),
    "secret": lambda name: f"hunter2-{name}",
}
