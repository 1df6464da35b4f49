"""Charts of the queries that an incident turned on, annotated with what was done: SVG, by matplotlib.

Data captured at the time comes first (outputs of steps that hold `times` and `series`, and the samples of
verification queries); what is asked again comes after it, and says so. matplotlib is imported only here.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import parse_time
from engine.domain.entry import StoredEntry
from engine.domain.errors import ActionFailed
from engine.incidents.postmortem.facts import Known
from engine.language.scope import TemplateError
from engine.language.templates import render

MOST = 6
_MARKS = 12  # vertical lines of one chart
_SERIES = 8
_SPARE = 0.2  # of the time shown, before and after


class SeriesPort(Protocol):
    """Asks metrics connections for a query's course."""

    def series(
        self, connection: str, query: str, params: Mapping[str, Any], start: datetime, end: datetime
    ) -> JsonObject:
        """Return `{times, series}`. Raises ActionFailed."""
        ...

    def of_alert(self) -> str | None:
        """The connection that an alert's own query is asked at; None where there are none or several."""
        ...


@dataclass(frozen=True)
class Chart:
    """What is drawn: times (RFC 3339) and, a series, values with None for gaps."""

    title: str
    times: Sequence[str]
    series: Sequence[tuple[str, Sequence[float | None]]]


def captured(known: Known) -> list[Chart]:
    """Return charts of what the journal holds."""
    found: list[Chart] = []
    samples: dict[str, list[StoredEntry]] = {}
    for chain, entries in known.entries.items():
        for entry in entries:
            if entry.kind == "step.outcome" and _is_series(entry.body.get("output")):
                found.append(_of_output(str(entry.body.get("address", "?")), entry.body["output"]))
            if entry.kind == "step.verify" and _is_number(entry.body.get("value")):
                samples.setdefault(f"{chain} {entry.body.get('address', '?')}", []).append(entry)
    for name, entries in samples.items():
        if len(entries) > 1:
            wanted = entries[-1].body.get("wanted")
            title = f"verification of {name.partition(' ')[2]}"
            title += f" (wanted {wanted})" if wanted else ""
            times = [entry.at.isoformat() for entry in entries]
            found.append(Chart(title, times, [("value", [e.body["value"] for e in entries])]))
    return found


def asked_again(
    known: Known, programs: Mapping[str, Json], port: SeriesPort, start: datetime, end: datetime
) -> list[Chart]:
    """Return charts of the queries that alerts and playbooks used, asked now; what cannot be is left out."""
    found: dict[tuple[str, str], Chart] = {}
    for connection, query, params in _queries(known, programs, port):
        if (connection, query) in found or len(found) >= MOST:
            continue
        try:
            output = port.series(connection, query, params, start, end)
        except ActionFailed:
            continue
        if output.get("series"):
            found[connection, query] = _of_output(f"{query} (asked later)", output)
    return list(found.values())


def _queries(
    known: Known, programs: Mapping[str, Json], port: SeriesPort
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    home = port.of_alert()
    for url in {str(known.incident.body.get("generator_url") or "")} - {""}:
        expression = _expression(url)
        if home is not None and expression:
            yield home, expression, {}
    for run in known.runs:
        scope = {"inputs": run.inputs, "trigger": run.trigger, "alert": run.trigger.get("alert")}
        for node in _walk(programs.get(run.program)):
            try:
                connection = str(render(node["connection"], scope))
                params = render(node.get("params") or {}, scope)
            except TemplateError:
                continue  # it hung on something that only the run knew
            yield connection, str(node["query"]), params


def _walk(value: Json) -> Iterator[JsonObject]:
    """Yield everything in a program that is a query with its connection."""
    if isinstance(value, Mapping):
        if isinstance(value.get("query"), str) and isinstance(value.get("connection"), str):
            yield dict(value)
        for item in value.values():
            yield from _walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item)


def _expression(url: str) -> str:
    from urllib.parse import parse_qs, urlsplit

    try:
        return parse_qs(urlsplit(url).query).get("g0.expr", [""])[0]
    except ValueError:
        return ""


def _is_series(output: Json) -> bool:
    return (
        isinstance(output, Mapping)
        and isinstance(output.get("times"), list)
        and isinstance(output.get("series"), list)
        and bool(output["series"])
    )


def _of_output(title: str, output: JsonObject) -> Chart:
    series = [
        (str(one.get("name") or "value"), list(one.get("values") or ()))
        for one in output["series"][:_SERIES]
        if isinstance(one, Mapping)
    ]
    return Chart(title, [str(at) for at in output["times"]], series)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# ---------------------------------------------------------------- drawing


def marks_of(facts: JsonObject) -> list[tuple[str, str]]:
    """Return the moments that are marked: (time, what happened)."""
    marks = [(str(step["at"]), str(step["address"])) for step in facts["actions"]]
    times = facts["times"]
    moments = ("opened", "mitigated", "recovered")
    marks += [(str(times[name]), name) for name in moments if times.get(name)]
    return sorted(marks)[:_MARKS]


def draw(chart: Chart, marks: Sequence[tuple[str, str]]) -> str:
    """Return a chart as SVG text; the same data give the same text."""
    import matplotlib as mpl
    from matplotlib import dates
    from matplotlib.backends import backend_svg
    from matplotlib.figure import Figure

    # Parts of it that have no types.
    date2num: Callable[[datetime], float] = dates.date2num
    library: Any = dates

    with mpl.rc_context({"svg.hashsalt": "stanch", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        axes = figure.add_subplot()
        times = [date2num(parse_time(at)) for at in chart.times]
        for name, values in chart.series:
            numbers = [float("nan") if value is None else float(value) for value in values]
            axes.plot(
                times[: len(numbers)], numbers[: len(times)], label=_plain(name), linewidth=1.4
            )
        if times:
            spare = max((times[-1] - times[0]) * _SPARE, 1e-4)
            for number, (at, _) in enumerate(marks, 1):
                place = date2num(parse_time(at))
                if times[0] - spare <= place <= times[-1] + spare:
                    axes.axvline(place, color="#b00020", linewidth=0.8, linestyle="--")
                    axes.annotate(
                        str(number),
                        (place, 1.0),
                        xycoords=("data", "axes fraction"),
                        textcoords="offset points",
                        xytext=(2, -10),
                        color="#b00020",
                    )
        locator = library.AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(library.ConciseDateFormatter(locator))
        axes.grid(visible=True, linewidth=0.3)
        if len(chart.series) > 1:
            axes.legend(loc="upper left", fontsize=7)
        told = "  ".join(f"{n} {_plain(what)}" for n, (_, what) in enumerate(marks, 1))
        axes.set_xlabel(told[:200], fontsize=7, color="#b00020")
        axes.set_title(_plain(chart.title)[:120], loc="left", fontsize=9)
        out = io.StringIO()
        canvas: Any = backend_svg.FigureCanvasSVG(figure)
        canvas.print_svg(out, metadata={"Date": None, "Creator": "Stanch"})
    text = out.getvalue()
    return text[text.index("<svg") :]  # it stands inside a page, without the XML head


def _plain(text: str) -> str:
    """Text for a label: `$` begins no formula, control characters are gone."""
    kept = "".join(char for char in text if char.isprintable())
    return re.sub(r"\$", r"\\$", kept)
