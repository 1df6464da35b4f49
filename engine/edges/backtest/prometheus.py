"""The past out of Prometheus: which alerts fired, what alert rules would have said, what queries gave."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.domain.errors import InvalidInput
from engine.incidents.backtest.past import Series, Stretch
from engine.language.durations import parse_duration
from engine.language.program import Query

POINTS = 10_000  # of one question; Prometheus refuses more than 11,000
_HIDDEN = frozenset({"__name__", "alertstate"})
_LABEL = re.compile(r"\{\{\s*\$labels\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_ANY_TEMPLATE = re.compile(r"\{\{.*?\}\}")

Ask = Callable[[str, str, Mapping[str, Any], float, str, float], JsonObject]
"""(connection, query, params, since in seconds, until, step) to `{series: [{labels, points}]}`."""


@dataclass
class PrometheusPast:
    """Asks a stretch of time in pieces that Prometheus takes. Implements `past.Metrics`.

    Attributes:
        connection: asked for alerts; None: metrics only. Queries name their own.
        only: ask every query of this connection, whatever it names (`--prometheus URL`).
    """

    ask: Ask
    since: datetime
    until: datetime
    step: float
    connection: str
    only: bool = False
    notes: list[str] = field(default_factory=list)

    # ------------------------------------------------------------ metrics

    def series(self, query: Query) -> Series:
        """Return the first value of a query over time. Raises ActionFailed."""
        name = self.connection if self.only else query.connection
        points: dict[float, float | None] = {}
        for item in self._pieces(name, query.query, query.params):
            for at, value in item["points"]:
                points.setdefault(_seconds(at), value)
        times = sorted(points)
        return Series(times, [points[at] for at in times], self.step)

    def _pieces(
        self, connection: str, query: str, params: Mapping[str, Any]
    ) -> Iterable[JsonObject]:
        length = timedelta(seconds=self.step * POINTS)
        begin = self.since
        while begin < self.until:
            end = min(begin + length, self.until)
            seconds = (end - begin).total_seconds()
            answer = self.ask(connection, query, params, seconds, format_time(end), self.step)
            yield from answer["series"]
            begin = end + timedelta(seconds=self.step)

    # ------------------------------------------------------------ alerts

    def fired(self) -> list[Stretch]:
        """Return when which alerts fired, out of `ALERTS`. Raises ActionFailed."""
        found = self._samples('ALERTS{alertstate="firing"}')
        return self._stretches(found, {}, 0.0)

    def would_fire(self, files: Sequence[Path]) -> list[Stretch]:
        """Return when the alert rules of these files would have fired. Raises ActionFailed, InvalidInput."""
        found: list[Stretch] = []
        for rule in (rule for path in files for rule in alert_rules(path)):
            samples = self._samples(rule.expr)
            found += self._stretches(samples, rule.labels, rule.for_, rule.annotations)
        return found

    def _samples(self, query: str) -> dict[tuple[tuple[str, str], ...], list[float]]:
        """Return the times at which each labelled series had a value."""
        found: dict[tuple[tuple[str, str], ...], list[float]] = {}
        for item in self._pieces(self.connection, query, {}):
            labels = tuple(sorted((k, v) for k, v in item["labels"].items() if k not in _HIDDEN))
            times = [_seconds(at) for at, value in item["points"] if value is not None]
            found.setdefault(labels, []).extend(times)
        return found

    def _stretches(
        self,
        samples: Mapping[tuple[tuple[str, str], ...], Sequence[float]],
        added: Mapping[str, str],
        held: float,
        annotations: Mapping[str, str] | None = None,
    ) -> list[Stretch]:
        found: list[Stretch] = []
        last = self.until.timestamp()
        for labels, times in samples.items():
            own = dict(labels)
            own |= {name: filled(text, own) for name, text in added.items()}
            said = {name: filled(text, own) for name, text in (annotations or {}).items()}
            for begin, end in _runs(sorted(times), self.step):
                if end - begin < held:
                    continue
                over = None if end + 2 * self.step > last else _moment(end + self.step)
                found.append(Stretch(own, _moment(begin + held), over, said))
        return found


def _runs(times: Sequence[float], step: float) -> list[tuple[float, float]]:
    """Join samples that lie no further apart than a step (and a half, for jitter)."""
    found: list[tuple[float, float]] = []
    for at in times:
        if found and at - found[-1][1] <= 1.5 * step:
            found[-1] = (found[-1][0], at)
        else:
            found.append((at, at))
    return found


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# ---------------------------------------------------------------- alert rule files


@dataclass(frozen=True)
class AlertRule:
    """One alert rule of a Prometheus rule file."""

    name: str
    expr: str
    for_: float
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def alert_rules(path: Path) -> list[AlertRule]:
    """Read the alert rules of a Prometheus rule file; recording rules are left out.

    Raises:
        InvalidInput: it cannot be read, or is no such file.
    """
    import yaml

    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{path} is not YAML: {error}") from None
    groups = body.get("groups") if isinstance(body, dict) else None
    if not isinstance(groups, list):
        raise InvalidInput(f"{path} is no Prometheus rule file: it has no list of groups")
    found = []
    for group in groups:
        items = (group.get("rules") or ()) if isinstance(group, dict) else ()
        found += [
            _alert_rule(path, item) for item in items if isinstance(item, dict) and "alert" in item
        ]
    if not found:
        raise InvalidInput(f"{path} holds no alert rule")
    return found


def _alert_rule(path: Path, item: Mapping[str, Any]) -> AlertRule:
    name, expr = str(item["alert"]), item.get("expr")
    if not isinstance(expr, str | int | float):
        raise InvalidInput(f"{path}: the alert rule {name} has no expr")
    try:
        held = parse_duration(str(item.get("for") or "0s"))
    except InvalidInput as error:
        raise InvalidInput(f"{path}: the alert rule {name}, for: {error}") from None
    labels = {str(key): str(value) for key, value in (item.get("labels") or {}).items()}
    said = {str(key): str(value) for key, value in (item.get("annotations") or {}).items()}
    return AlertRule(name, str(expr), held, {**labels, "alertname": name}, said)


def filled(text: str, labels: Mapping[str, str]) -> str:
    """Fill `{{ $labels.NAME }}` in; other templates of an alert rule become `?`: their value is not known."""
    known = _LABEL.sub(lambda match: labels.get(match[1], ""), text)
    return _ANY_TEMPLATE.sub("?", known)
