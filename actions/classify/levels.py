"""classify.levels: how bad measurements are, by their warning and critical thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from actions.classify import byhand
from engine.contract import ActionFailed, ActionParams, Category, Grant, Read, Target, World
from engine.domain.canonical import Json, JsonObject

LEVELS = ("ok", "warning", "critical")  # from good to bad


class Measure(ActionParams):
    """One measurement and its thresholds."""

    metric: str = Field(description="What it is called", examples=["Failed records"], min_length=1)
    value: float | None = Field(
        description="What was measured; null where nothing could be", examples=[132]
    )
    unit: str = Field("", description="Its unit", examples=["ms"])
    worse: Literal["above", "below"] = Field(
        "above", description="On which side of a threshold it is bad", examples=["below"]
    )
    warning: float = Field(description="Beyond it lies a warning", examples=[50])
    critical: float = Field(description="Beyond it, it is critical", examples=[100])
    action: str = Field("", description="What then is to be done", examples=["Run the cleanup"])


class LevelsParams(ActionParams):
    """Parameters of a judgement."""

    measures: dict[str, Measure] = Field(
        description="Measurements by a name for later steps",
        examples=[
            {"failed": {"metric": "Failed records", "value": 132, "warning": 50, "critical": 100}}
        ],
        min_length=1,
        max_length=200,
    )


class ClassifyLevels(Read[LevelsParams]):
    """Holds measurements to their thresholds. A value that lies on a threshold is not beyond it.

    Output: `level` (the worst: ok, warning or critical), `levels` by name, `alerts` (a line each that is not
    ok), `rows` for people (`metric`, `level`, `value`, `warning`, `critical`, `action`), and `unmeasured`, the
    names without a value: their level is `unknown`, and they make the whole neither better nor worse.
    """

    name = "classify.levels"
    manual = byhand.levels
    summary = "Hold measurements to warning and critical thresholds"
    Params = LevelsParams

    def targets(self, params: LevelsParams) -> Sequence[Target]:
        del params
        return ()  # it reckons with what it is given

    def grants(self, params: LevelsParams) -> Sequence[Grant]:
        del params
        return ()

    def read(self, params: LevelsParams, world: World) -> Json:
        del world
        for one in params.measures.values():
            _refuse_disorder(one)
        levels = {name: level_of(one) for name, one in params.measures.items()}
        known = [level for level in levels.values() if level in LEVELS]
        bad = {name: level for name, level in levels.items() if level in LEVELS[1:]}
        return {
            "level": max(known, key=LEVELS.index, default="ok"),
            "levels": dict(levels),
            "alerts": [_alert(params.measures[name], level) for name, level in bad.items()],
            "rows": [_row(one, levels[name]) for name, one in params.measures.items()],
            "unmeasured": [name for name, level in levels.items() if level not in LEVELS],
        }


def level_of(measure: Measure) -> str:
    """Return ok, warning or critical, or `unknown` where nothing was measured."""
    if measure.value is None:
        return "unknown"
    sign = 1 if measure.worse == "above" else -1
    if measure.value * sign > measure.critical * sign:
        return "critical"
    return "warning" if measure.value * sign > measure.warning * sign else "ok"


def _refuse_disorder(measure: Measure) -> None:
    """Refuse thresholds of which critical is reached before warning.

    Raises:
        ActionFailed: (configuration) naming the measurement.
    """
    sign = 1 if measure.worse == "above" else -1
    if measure.critical * sign < measure.warning * sign:
        what = f"{measure.metric}: critical ({_threshold(measure, measure.critical)}) is reached before "
        what += f"warning ({_threshold(measure, measure.warning)}); exchange the two"
        raise ActionFailed(Category.CONFIGURATION, what, effect_possible=False)


def _alert(measure: Measure, level: str) -> str:
    threshold = _threshold(measure, measure.critical if level == "critical" else measure.warning)
    what = f"{level.upper()}: {measure.metric} {_shown(measure, measure.value)} ({threshold})"
    return f"{what}: {measure.action}" if measure.action else what


def _row(measure: Measure, level: str) -> JsonObject:
    return {
        "metric": measure.metric,
        "level": level,
        "value": _shown(measure, measure.value),
        "warning": _threshold(measure, measure.warning),
        "critical": _threshold(measure, measure.critical),
        "action": measure.action if level in LEVELS[1:] else "",
    }


def _threshold(measure: Measure, value: float) -> str:
    return f"{'>' if measure.worse == 'above' else '<'} {_shown(measure, value)}"


def _shown(measure: Measure, value: float | None) -> str:
    if value is None:
        return "not measured"
    number = f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{number} {measure.unit}".strip()
