"""Backtests: the live deciding over a past out of files, the store or Prometheus; two rule sets compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from engine.domain.alert import Delivery
from engine.domain.canonical import JsonObject
from engine.domain.clock import ManualClock, format_time
from engine.domain.errors import ActionFailed, Category, InvalidInput
from engine.edges.backtest.prometheus import PrometheusPast, alert_rules, filled
from engine.edges.backtest.question import Backtest, Question
from engine.edges.backtest.webhooks import read_webhooks
from engine.edges.cli.main import run
from engine.edges.cli.render.backtest import backtest as rendered
from engine.edges.cli.render.style import plain
from engine.edges.config import load_config
from engine.edges.drawing.timeline import timeline_svg
from engine.edges.wiring import Application, build
from engine.incidents.backtest.past import came
from engine.language.program import Query

DAY = datetime(2026, 11, 1, tzinfo=UTC)

RULES = """rules:
  - name: spike
    matchers: ['alertname="Spike"']
    run_per: [namespace]
    throttle: {every: 2h, by: [namespace]}
    concurrency: {group: "{{ alert.labels.namespace }}", when_busy: skip}
    mode: approve
    playbook: one
  - name: nightly
    schedule: {cron: "0 2 * * *"}
    playbook: one
"""
PLAYBOOK = """playbook: one
budget: {rows: 7}
steps:
  - id: mark
    action: http.request
    with: {connection: api, method: POST, path: /v1/marks, body: {}}
  - id: sure
    gate: {role: sre, approvals: 2}
  - id: maybe
    when: "steps.mark is changed"
    gate: {role: sre}
"""
CONFIG = """connections:
  api: {kind: http, url: "http://127.0.0.1:9"}
  metrics: {kind: prometheus, url: "http://127.0.0.1:9"}
roles: {sre: [alice]}
budgets: {rows: {limit: 10, within: 1h}}
"""


def payload(minute: int, status: str, namespace: str, began: int | None = None) -> JsonObject:
    started = DAY + timedelta(minutes=minute if began is None else began)
    return {
        "version": "4",
        "groupLabels": {"alertname": "Spike"},
        "alerts": [
            {
                "status": status,
                "labels": {"alertname": "Spike", "namespace": namespace},
                "annotations": {},
                "startsAt": format_time(started),
                "endsAt": format_time(DAY + timedelta(minutes=minute)),
            }
        ],
    }


PAST = [
    payload(0, "firing", "a"),
    payload(5, "resolved", "a", 0),
    payload(15, "firing", "a"),  # throttled: within two hours
    payload(20, "resolved", "a", 15),
    payload(30, "firing", "b"),
    payload(40, "resolved", "b", 30),
    payload(180, "firing", "a"),
    payload(200, "resolved", "a", 180),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STANCH_CONFIG", raising=False)
    for name, text in (
        ("rules/r.yaml", RULES),
        ("playbooks/one.yaml", PLAYBOOK),
        ("stanch.yaml", CONFIG),
        ("past.jsonl", "\n".join(map(json.dumps, PAST))),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def app(here: Path) -> Iterator[Application]:
    made: Application = build(load_config(), clock=ManualClock(DAY + timedelta(days=2)))
    yield made
    made.stop()


def test_runs_skips_gates_and_budgets_of_a_past(app: Application, here: Path) -> None:
    found = Backtest(app).answer(Question(webhooks=here / "past.jsonl"))
    spike, nightly = found["rules"]
    assert (spike["runs"], spike["reasons"]) == (3, {"throttled": 1})
    assert (nightly["runs"], nightly["first"]) == (1, "2026-11-01T02:00:00Z")
    assert found["alerts"] == 8
    people = found["people"]
    assert people["gates_a_day"] * found["days"] == pytest.approx(4 * 2)
    assert people["gates_a_day_at_most"] * found["days"] == pytest.approx(4 * 3)
    assert people["approvals_a_day"] * found["days"] == pytest.approx(4 * 3)
    (rows,) = found["budgets"]
    assert (rows["peak"], rows["limit"], rows["exceeds"]) == (14, 10, True)
    assert found["assumed"]["durations"]["one"] == {
        "seconds": 600.0,
        "why": "assumed: there is no past run of it",
    }
    assert not (here / "var").exists(), "a backtest makes no store"


def test_windows_that_runs_would_have_met_are_counted(here: Path) -> None:
    windows = [
        {"name": "night", "schedule": {"cron": "30 1 * * *"}, "for": "1h"},
        {"name": "other", "schedule": {"cron": "30 1 * * *"}, "for": "1h", "playbooks": ["no/*"]},
        {
            "name": "day",
            "does": "approve",
            "from": "2026-11-01T00:00:00Z",
            "until": "2026-11-02T00:00:00Z",
        },
    ]
    (here / "stanch.yaml").write_text(f"{CONFIG}brakes: {{windows: {json.dumps(windows)}}}\n")
    (here / "rules/r.yaml").write_text(RULES.replace("mode: approve", "mode: auto", 1))
    made: Application = build(load_config(), clock=ManualClock(DAY + timedelta(days=2)))
    found = Backtest(made).answer(Question(webhooks=here / "past.jsonl"))
    made.stop()
    night, other, day = found["windows"]
    assert (night["does"], night["runs"], night["longest"]) == ("hold", 1, 30 * 60)
    assert other["runs"] == 0
    automatic = sum(rule["runs"] for rule in found["rules"] if rule["rule"] == "spike")
    assert day["runs"] >= automatic == 3
    assert day["longest"] == 0
    text = plain(rendered(found))
    assert "the window night would have held 1 run, for up to 30m" in text
    assert "in the window day people would have been asked" in text


def test_how_long_runs_last_decides_what_is_busy(app: Application, here: Path) -> None:
    (here / "rules" / "r.yaml").write_text(RULES.replace("throttle", "# throttle"))
    app.reload()
    short = Backtest(app).answer(Question(webhooks=here / "past.jsonl", lasts=60.0))
    assert short["rules"][0]["reasons"] == {}
    long = Backtest(app).answer(Question(webhooks=here / "past.jsonl", lasts=1200.0))
    assert long["rules"][0]["reasons"] == {"open_episode": 1}
    assert long["at_once"]["most"] == 1
    assert long["assumed"]["durations"]["one"]["why"] == "as you said"


def test_a_cooldown_begins_when_a_run_would_have_ended(app: Application, here: Path) -> None:
    (here / "playbooks" / "one.yaml").write_text(PLAYBOOK + "cooldown: 4h\n")
    app.reload()
    found = Backtest(app).answer(Question(webhooks=here / "past.jsonl"))
    assert found["rules"][0]["runs"] == 1
    assert found["rules"][0]["reasons"] == {"cooldown": 3}


def test_two_rule_sets_are_compared_alert_by_alert(app: Application, here: Path) -> None:
    changed = here / "changed.yaml"
    changed.write_text(RULES.replace("every: 2h", "every: 4h"))
    found = Backtest(app).answer(
        Question(rules=[changed], against=[here / "rules" / "r.yaml"], webhooks=here / "past.jsonl")
    )
    against = found["against"]
    assert against["runs"] == {"now": 3, "against": 4}
    assert (against["only_now"], against["only_against"]) == (0, 1)
    (one,) = against["first"]
    assert (one["against"], one["now"], one["rule"]) == ("run: matched", "skip: throttled", "spike")
    assert one["alert"] == "Spike (namespace=a)"
    text = plain(rendered(found), width=160)
    assert "3 runs, 4 with the other rules; 0 new, 1 no more" in text
    assert "budget rows: peak 14 of 10 within 1h" in text


def test_the_timeline_is_whole_xml_with_a_mark_for_each_run(app: Application, here: Path) -> None:
    found = Backtest(app).answer(Question(webhooks=here / "past.jsonl"))
    root = ElementTree.fromstring(timeline_svg(found))
    titles = [item.text or "" for item in root.iter() if item.tag.endswith("title")]
    words = [item.text for item in root.iter() if item.tag.endswith("}text")]
    assert {"spike", "runs", "dry run"} <= set(words)
    assert sum(" to " in title and title.endswith(" approve") for title in titles) == 4
    assert sum("skip: throttled" in title for title in titles) == 1


def test_the_past_of_the_store(here: Path) -> None:
    (first, *_), _ = read_webhooks(here / "past.jsonl")
    app = build(load_config())  # the store's time is the machine's
    try:
        alert = replace(first.alert, starts_at=app.clock.now())
        app.store.write(lambda tx: tx.alerts.accept(Delivery("r", "", {}, "", (alert,))))
        found = Backtest(app).answer(Question(store=True, since=3600.0))
    finally:
        app.stop()
    assert (found["alerts"], found["rules"][0]["runs"]) == (1, 1)


# ---------------------------------------------------------------- Prometheus


Points = list[tuple[int, float | None]]


class Asked:
    """Stands where a connection's range action is asked; keeps the questions."""

    def __init__(
        self, series: Mapping[str, list[tuple[JsonObject, list[tuple[int, float | None]]]]]
    ) -> None:
        self.series = series
        self.pieces: list[tuple[str, float]] = []

    def __call__(
        self,
        connection: str,
        query: str,
        params: Mapping[str, Any],
        since: float,
        until: str,
        step: float,
    ) -> JsonObject:
        self.pieces.append((query, since))
        if query not in self.series:
            raise ActionFailed(Category.PERMANENT, f"no such query {query}")
        end = datetime.fromisoformat(until)
        items = []
        for labels, points in self.series[query]:
            shown = [
                [format_time(DAY + timedelta(minutes=minute)), value]
                for minute, value in points
                if end - timedelta(seconds=since) <= DAY + timedelta(minutes=minute) <= end
            ]
            items.append({"labels": labels, "points": shown})
        return {"series": items, "empty": not items}


def past(asked: Asked, days: int = 1) -> PrometheusPast:
    return PrometheusPast(asked, DAY, DAY + timedelta(days=days), 60.0, "metrics")


def test_stretches_of_alerts_become_deliveries() -> None:
    labels = {"__name__": "ALERTS", "alertstate": "firing", "alertname": "Spike", "ns": "a"}
    points: Points = [(minute, 1.0) for minute in (*range(10, 20), *range(100, 103))]
    found = past(Asked({'ALERTS{alertstate="firing"}': [(labels, points)]})).fired()
    assert [(one.since, one.until) for one in found] == [
        (DAY + timedelta(minutes=10), DAY + timedelta(minutes=20)),
        (DAY + timedelta(minutes=100), DAY + timedelta(minutes=103)),
    ]
    events = came(found, ["alertname"])
    assert [event.alert.status.value for event in events] == ["firing", "resolved"] * 2
    assert events[0].alert.labels == {"alertname": "Spike", "ns": "a"}
    assert events[0].group_labels == {"alertname": "Spike"}


def test_what_still_fires_at_the_end_has_no_end() -> None:
    points: Points = [(minute, 1.0) for minute in range(1430, 1441)]
    found = past(Asked({'ALERTS{alertstate="firing"}': [({"alertname": "S"}, points)]})).fired()
    assert [one.until for one in found] == [None]


def test_a_month_is_asked_in_pieces_that_prometheus_takes() -> None:
    asked = Asked({"up": [({}, [(minute, 1.0) for minute in range(0, 43_200, 60)])]})
    series = past(asked, days=30).series(Query(connection="metrics", query="up"))
    assert len(asked.pieces) == 5
    assert all(since / 60.0 <= 11_000 for _, since in asked.pieces)
    assert len(series.times) == 720
    assert series.at((DAY + timedelta(minutes=61)).timestamp()) == 1.0
    assert series.at((DAY + timedelta(minutes=65)).timestamp()) is None


def test_alert_rules_are_evaluated_with_their_for_and_labels(here: Path) -> None:
    file = here / "alerts.yaml"
    file.write_text(
        """groups:
- name: g
  rules:
  - {record: a:b, expr: up}
  - alert: Down
    expr: up == 0
    for: 5m
    labels: {severity: page, who: "{{ $labels.job }}/{{ $value }}"}
    annotations: {summary: "{{ $labels.job }} is down"}
"""
    )
    asked = Asked({"up == 0": [({"job": "x"}, [(m, 0.0) for m in (1, 2, *range(10, 20))])]})
    (one,) = past(asked).would_fire([file])
    assert one.since == DAY + timedelta(minutes=15)
    assert one.labels == {"job": "x", "severity": "page", "alertname": "Down", "who": "x/?"}
    assert one.annotations == {"summary": "x is down"}
    assert filled("{{ $labels.gone }}-{{ range }}", {}) == "-?"


def test_conditions_and_query_triggers_see_metrics_as_they_were(
    app: Application, here: Path
) -> None:
    (here / "rules" / "r.yaml").write_text(
        """rules:
  - name: by-metric
    query: {connection: metrics, query: backlog, is: "> 5", every: 1m, for: 2m}
    playbook: one
  - name: spike
    matchers: ['alertname="Spike"']
    condition:
      query: {connection: metrics, query: 'load{ns="$ns"}', params: {ns: "{{ trigger.labels.namespace }}"}}
      is: "> 1"
    playbook: one
  - name: silent
    matchers: ['alertname="Spike"']
    condition: {query: {connection: metrics, query: nobody_knows}, is: "> 1"}
    playbook: one
"""
    )
    app.reload()
    backtest = Backtest(app)
    question = Question(webhooks=here / "past.jsonl")
    ground = backtest._ground(question)
    asked = Asked(
        {
            "backlog": [({}, [(m, 9.0 if 60 <= m < 70 else 1.0) for m in range(200)])],
            'load{ns="$ns"}': [({}, [(m, 2.0 if m < 20 else 0.0) for m in range(200)])],
        }
    )
    ground.metrics = PrometheusPast(asked, ground.since, ground.until, 60.0, "metrics")
    played = backtest._play(question, ground, app.project)
    runs = [(run.rule, run.at - DAY) for run in played.runs]
    assert ("by-metric", timedelta(minutes=62)) in runs
    assert [rule for rule, _ in runs].count("by-metric") == 1
    assert ("spike", timedelta(minutes=0)) in runs
    refused = [one for one in played.decisions if one.rule == "spike" and one.code == "condition"]
    assert refused
    assert "nobody_knows" in played.unanswered


# ---------------------------------------------------------------- bad input


def test_bad_questions_say_what_is_missing(app: Application, here: Path) -> None:
    backtest = Backtest(app)
    with pytest.raises(InvalidInput, match="say where the past is"):
        backtest.answer(Question())
    with pytest.raises(InvalidInput, match="say where the past is"):
        backtest.answer(Question(store=True, webhooks=here / "past.jsonl"))
    with pytest.raises(InvalidInput, match="no such file or folder of rules"):
        backtest.answer(Question(rules=[here / "nope.yaml"], webhooks=here / "past.jsonl"))
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        backtest.answer(Question(webhooks=here / "nope.jsonl"))
    empty = here / "empty.jsonl"
    empty.write_text("\n")
    with pytest.raises(InvalidInput, match="is empty"):
        backtest.answer(Question(webhooks=empty))
    for text, said in (
        ("groups: 5", "has no list of groups"),
        ("groups: []", "holds no alert rule"),
        ("groups: [{rules: [{alert: A}]}]", "A has no expr"),
        ("groups: [{rules: [{alert: A, expr: up, for: soon}]}]", "alert rule A, for:"),
        ("a: [", "is not YAML"),
    ):
        file = here / "bad.yaml"
        file.write_text(text)
        with pytest.raises(InvalidInput, match=said):
            alert_rules(file)


def test_lines_that_cannot_be_read_are_told_and_the_others_count(here: Path) -> None:
    file = here / "mixed.jsonl"
    stamped = {"received_at": "2026-11-01T05:00:00Z", "body": PAST[0]}
    bad = {"version": "4", "alerts": [{"status": "odd", "labels": {"a": "b"}}]}
    lines = ["{", json.dumps(stamped), json.dumps({"version": "3", "alerts": []}), json.dumps(bad)]
    file.write_text("\n".join(lines))
    found, troubles = read_webhooks(file)
    assert [format_time(one.at) for one in found] == ["2026-11-01T05:00:00Z"]
    assert len(troubles) == 3
    assert "mixed.jsonl:1: this line is not JSON" in troubles[0]
    file.write_text("{\n{")
    with pytest.raises(InvalidInput, match="no alert could be read"):
        read_webhooks(file)


def test_the_command_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = here / "t.svg"
    assert run(["backtest", "--webhooks", "past.jsonl", "--svg", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "1 throttled" in out
    assert "a run of one lasts 10m (assumed" in out
    assert picture.read_text().startswith("<svg")
    assert run(["backtest", "--webhooks", "past.jsonl", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == 4
    for arguments, said in (
        (["backtest"], "say where the past is"),
        (["backtest", "--store", "--since", "soon"], "--since 'soon'"),
        (["backtest", "--store", "--step", "0s"], "longer than nothing"),
        (["backtest", "--store", "--alerts", "a.yaml"], "give --prometheus alone"),
        (["backtest", "--prometheus", "nope"], "no connection 'nope'"),
    ):
        assert run(arguments) in {1, 2}
        assert said in capsys.readouterr().err
