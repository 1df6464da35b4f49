"""What a run gave, as people read it."""

from __future__ import annotations

from engine.edges.cli.render.outputs import outputs
from engine.edges.cli.render.style import plain
from engine.running.views import in_order_of

REPORT = {
    "health": "warning",
    "success_rate": 92.50004,
    "steady": True,
    "worst": None,
    "thresholds": {
        "columns": ["metric", "value"],
        "rows": [
            {"action": "x", "metric": "Failed \x1b[31mrecords", "value": "51"},
            {"metric": "Orphans", "value": "0", "action": ""},
        ],
    },
    "issues": ["51 records failed", "one worker is gone"],
    "queue": {"pending": 3, "by_flow": {"surveys": 2}},
    "flows": [{"flow": "surveys", "rate": 1.0}],
    "alerts": [],
    "next": "look again\nat nine",
}

SHOWN = """\
Health        warning
Success rate  92.5
Steady        yes
Worst         -

Thresholds
  METRIC             VALUE
  ──────────────────────────
  Failed [31mrecords 51
  Orphans            0

Issues
  - 51 records failed
  - one worker is gone

Queue
  Pending  3

  By flow
    Surveys  2

Flows
  FLOW    RATE
  ────────────
  surveys 1

Alerts
  none

Next
  look again
  at nine
"""


def test_outputs_read_as_a_report() -> None:
    lines = [" ".join(line.split()) for line in plain(outputs(REPORT)).splitlines()]
    wanted = [" ".join(line.split()) for line in SHOWN.splitlines()]
    dashes = [line.replace("─", "") for line in lines]
    assert [one for one in dashes if one] == [
        one.replace("─", "") for one in wanted if one.replace("─", "")
    ]


def test_a_long_table_says_how_much_is_left_out() -> None:
    text = plain(outputs({"rows": [{"n": n} for n in range(103)]}))
    assert "and 3 more" in text
    assert "102" not in text


def test_outputs_stand_in_the_order_in_which_the_playbook_declares_them() -> None:
    declared = {"z": "{{ 1 }}", "b": {"y": 1, "a": 2}, "absent": 1, "t": "{{ x }}"}
    value = {"a_more": 0, "b": {"a": 2, "y": 1}, "t": {"q": 1, "p": 2}, "z": 1}
    ordered = in_order_of(value, declared)
    assert ordered == value
    assert isinstance(ordered, dict)
    assert list(ordered) == ["z", "b", "t", "a_more"]
    assert list(ordered["b"]) == ["y", "a"]
    assert list(ordered["t"]) == ["q", "p"]
