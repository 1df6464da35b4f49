"""Holds what people were shown against what a rehearsal expects them to be shown. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.edges.rehearsal.looking import Look
from engine.language.comparisons import holds
from engine.language.durations import format_duration
from engine.language.program import Comparison
from engine.language.quantities import format_quantity
from engine.language.shownforms import (
    BatchForm,
    MetricsForm,
    RecentForm,
    Stages,
    TopForm,
    WarmedForm,
)

Path = tuple[str | int, ...]
# Where, what it speaks of, expected, seen.
Wrong = tuple[Path, str, str, str]
_COUNTS = ("total", "done", "failed", "under_way", "waiting")
_STAGE_COUNTS = ("started", "ended", "failed", "retried")
_SHARE = 4  # decimals to which shares are told


def judge_look(look: Look, started: datetime) -> Iterator[Wrong]:
    """Yield what is not as one entry of `shown:` expects; paths begin at the entry."""
    form = look.form
    if look.taken is None:
        when = f"at {format_duration(form.at)}" if form.at is not None else ""
        when = f"once {form.after.step} is done" if form.after is not None else when
        yield (), "what people are shown", when, "the moment never came"
        return
    yield from _batches(form.batches, look.batches, ("batches",))
    if form.top is not None and look.top is not None:
        yield from _top(form.top, look.top, look.batches)
    if form.metrics is not None and look.metrics is not None:
        yield from _metrics(form.metrics, look.metrics, started)
    if form.warmup is not None and look.warmup is not None:
        yield from _warmup(form.warmup, look.warmup)


# ---- batches --------------------------------------------------------------------------------------


def _batches(
    forms: Sequence[BatchForm], lines: Sequence[JsonObject], path: Path
) -> Iterator[Wrong]:
    for index, form in enumerate(forms):
        where = (*path, index)
        line = next(
            (one for one in lines if (one["step"], one["place"]) == (form.step, form.run)), None
        )
        what = f"the batch {form.step}" + (f" of run {form.run}" if form.run > 1 else "")
        if line is None:
            there = ", ".join(f"{one['step']} of run {one['place']}" for one in lines)
            yield where, what, "it is shown", f"shown are: {there or 'none'}"
            continue
        for name in _COUNTS:
            yield from _exact(form, line, name, (*where, name), f"{name} of {what}")
        yield from _share(form.progress, line["progress"], (*where, "progress"), what)
        yield from _span(form.eta, line["eta"], (*where, "eta"), f"the ETA of {what}")
        yield from _errors(form.errors, line["errors"], (*where, "errors"), what)


def _top(form: TopForm, seen: JsonObject, lines: Sequence[JsonObject]) -> Iterator[Wrong]:
    for state, number in form.states.items():
        got = seen["states"].get(state, 0)
        if got != number:
            told = f"{got}; there are {_told(seen['states'])}"
            yield ("top", "states", state), f"runs that are {state}", str(number), told
    if form.batches is not None:
        places = {one["run"]: one["place"] for one in lines}
        shown = [{**one, "place": places[one["run"]]} for one in seen["batches"]]
        yield from _batches(form.batches, shown, ("top", "batches"))
        if len(shown) != len(form.batches):
            there = ", ".join(f"{one['step']} of run {one['place']}" for one in shown)
            yield (
                ("top", "batches"),
                "batches under way",
                str(len(form.batches)),
                f"{len(shown)}: {there or 'none'}",
            )
    if form.recent is not None:
        yield from _recent(form.recent, seen["recent"])


def _recent(form: RecentForm, seen: JsonObject) -> Iterator[Wrong]:
    path = ("top", "recent")
    yield from _exact(form, seen, "ended", (*path, "ended"), "runs that ended within 24 h")
    yield from _share(form.success, seen["success"], (*path, "success"), "success within 24 h")
    reasons = [f"{one['playbook']}: {one['state']}: {one['reason']}" for one in seen["errors"]]
    for index, words in enumerate(form.errors):
        if not any(words.lower() in reason.lower() for reason in reasons):
            told = "; ".join(reasons) or "none"
            yield (*path, "errors", index), "a recent error", f"with {words!r}", told


# ---- measures -------------------------------------------------------------------------------------


def _metrics(form: MetricsForm, seen: JsonObject, started: datetime) -> Iterator[Wrong]:
    path: Path = ("metrics", "stages")
    yield from _stages(form.stages, seen["stages"], path, "")
    for index, interval in enumerate(form.series):
        moment = started + timedelta(seconds=interval.at)
        found = next((one for one in seen["series"] if _within(moment, one, form.every)), None)
        about = f" in the interval of {format_time(moment)}"
        stages = found["stages"] if found is not None else {}
        yield from _stages(interval.stages, stages, ("metrics", "series", index, "stages"), about)


def _within(moment: datetime, interval: JsonObject, every: float) -> bool:
    begin = datetime.fromisoformat(interval["at"])
    return begin <= moment < begin + timedelta(seconds=every)


def _stages(
    forms: Stages, seen: Mapping[str, JsonObject], path: Path, about: str
) -> Iterator[Wrong]:
    for name, form in forms.items():
        stage = seen.get(name) or {**dict.fromkeys(_STAGE_COUNTS, 0), "errors": {}}
        where, what = (*path, name), f"the stage {name}{about}"
        for field in _STAGE_COUNTS:
            yield from _exact(form, stage, field, (*where, field), f"{field} of {what}")
        yield from _errors(form.errors, stage["errors"], (*where, "errors"), what)
        times = stage.get("seconds") or {}
        yield from _span(form.median, times.get("median"), (*where, "median"), f"median of {what}")
        yield from _span(form.longest, times.get("max"), (*where, "longest"), f"longest of {what}")
        yield from _bytes(form.memory, stage.get("peak_memory"), (*where, "memory"), what)


# ---- warm-up --------------------------------------------------------------------------------------


def _warmup(form: WarmedForm, seen: JsonObject) -> Iterator[Wrong]:
    items = seen.get("items", [])
    # A connection is told with what it is opened for: "metrics (reading)".
    names = {str(one["name"]).partition(" ")[0] for one in items}
    for index, name in enumerate(form.fetched):
        if name not in names:
            notes = "; ".join(seen.get("notes", []))
            told = f"{', '.join(sorted(names)) or 'nothing'}{'; ' + notes if notes else ''}"
            yield ("warmup", "fetched", index), "what was fetched", name, told
    for kept, share in form.hits.items():
        use = seen.get("uses", {}).get(kept, {"hits": 0, "misses": 0, "rate": None})
        what = f"of what runs needed ({kept}), {use['hits']} hits and {use['misses']} misses"
        yield from _share(share, use["rate"], ("warmup", "hits", kept), what)
    memory = seen.get("memory", {})
    yield from _bytes(form.memory, memory.get("grown"), ("warmup", "memory"), "warm-up")


# ---- one value ------------------------------------------------------------------------------------


def _exact(form: Any, seen: JsonObject, name: str, path: Path, what: str) -> Iterator[Wrong]:
    wanted = getattr(form, name)
    if wanted is not None and seen[name] != wanted:
        yield path, what, str(wanted), str(seen[name])


def _errors(
    wanted: Mapping[Any, int] | None, seen: Mapping[str, int], path: Path, what: str
) -> Iterator[Wrong]:
    if wanted is not None and dict(wanted) != dict(seen):
        yield path, f"errors of {what}", _told(wanted), _told(seen)


def _share(wanted: Comparison | None, seen: float | None, path: Path, what: str) -> Iterator[Wrong]:
    rounded = None if seen is None else round(seen, _SHARE)
    yield from _compared(wanted, rounded, path, f"the share {what}", lambda value: f"{value:g}")


def _span(wanted: Comparison | None, seen: float | None, path: Path, what: str) -> Iterator[Wrong]:
    yield from _compared(wanted, seen, path, what, format_duration)


def _bytes(wanted: Comparison | None, seen: float | None, path: Path, what: str) -> Iterator[Wrong]:
    yield from _compared(
        wanted, seen, path, f"memory of {what}", lambda value: format_quantity(value, "binary")
    )


def _compared(
    wanted: Comparison | None,
    seen: float | None,
    path: Path,
    what: str,
    told: Callable[[float], str],
) -> Iterator[Wrong]:
    if wanted is not None and not holds(wanted, seen):
        operator = "" if wanted.op == "==" else f"{wanted.op} "
        yield (
            path,
            what,
            f"{operator}{told(wanted.value)}",
            "none" if seen is None else told(seen),
        )


def _told(counts: Mapping[str, int]) -> str:
    pairs: Iterable[str] = (f"{name}: {number}" for name, number in counts.items())
    return ", ".join(pairs) or "none"
