"""Makes postmortems: reads the journal, takes in what people wrote, prints, draws, remembers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import format_time, parse_time
from engine.domain.entry import Entry
from engine.domain.people import Actor
from engine.incidents.lifecycle import held
from engine.incidents.postmortem import charts, due, facts, sections
from engine.incidents.postmortem.charts import SeriesPort
from engine.incidents.postmortem.facts import Known
from engine.incidents.postmortem.sections import Merged
from engine.incidents.postmortem.writing import Printer
from engine.journal.casefiles import PostmortemRow
from engine.journal.codec import loads
from engine.journal.store import Store, Tx

_LOG = logging.getLogger("stanch.postmortem")
_AROUND = timedelta(minutes=15)  # shown before the first alert and after the end

# Writes a line into the decisions log, once a key.
Decide = Callable[[Mapping[str, str], str], str]


@dataclass(frozen=True)
class Request:
    """Which document is wanted.

    Attributes:
        format: md or html. template: postmortem, batch-report, or a team's own.
        given: the document as people left it; what they changed is taken in.
        publish: it is done: reminders end, and the decisions log gets its line.
        draw: whether charts are wanted.
    """

    format: str = "md"
    template: str = "postmortem"
    given: str | None = None
    publish: bool = False
    draw: bool = True


@dataclass(frozen=True)
class Book:
    """The postmortems of one store.

    Attributes:
        redact: takes secrets out of everything that is printed.
        masked: connections whose data is personal: values of their fields are not shown.
        decide: writes the decisions log; None: there is none.
    """

    store: Store
    printer: Printer
    redact: Callable[[Json], Json]
    series: SeriesPort | None = None
    masked: frozenset[str] = frozenset()
    decide: Decide | None = None
    programs: dict[str, Json] = field(default_factory=dict)

    def make(self, incident_id: str, actor: Actor, request: Request) -> JsonObject:
        """Return `{incident, text, charts, conflicts, changed, version, state, due_at, decision}`.

        `charts` are SVG texts by file name. Where blocks conflict, `text` holds both and nothing of them
        was stored.

        Raises:
            NotFound: no such incident or template. InvalidInput: the document given cannot be read, or a
                template has a mistake; nothing was stored.
        """
        known = self.store.read(lambda tx: facts.read(tx, incident_id, self.masked))
        now = self.store.read(lambda tx: tx.now())
        told = self.redact(facts.facts_of(known, now))
        row, merged = self._merged(known, actor, request)
        decision = _decision(told, merged, actor)
        told["decision"] = _log_line(decision, told["at"])
        drawn = self._drawn(known, told, now) if request.draw else {}
        texts = self.redact(sections.shown(merged))
        shown = drawn if request.format == "html" else {name: name for name in drawn}
        titles = {name.removesuffix(".svg"): shown[name] for name in drawn}
        text = self.printer.render(
            request.template, request.format, told, texts, merged.version, titles
        )
        if request.publish and self.decide is not None and not merged.conflicts:
            self.decide(decision, f"postmortem-{incident_id}")
        return {
            "incident": incident_id,
            "text": text,
            "charts": drawn,
            "conflicts": sorted(merged.conflicts),
            "changed": sorted(merged.changed),
            "version": merged.version,
            "state": row.state if row else "none",
            "due_at": format_time(row.due_at) if row and row.due_at else None,
            "decision": told["decision"],
        }

    # ------------------------------------------------------------ what people wrote

    def _merged(
        self, known: Known, actor: Actor, request: Request
    ) -> tuple[PostmortemRow | None, Merged]:
        incident_id = known.incident.id
        if request.given is None and not request.publish:
            row = self.store.read(lambda tx: tx.postmortems.get(incident_id))
            return row, Merged(row.sections if row else {}, row.version if row else 0)
        written = None
        if request.given is not None:
            written = sections.parse(request.given, incident_id)

        def work(tx: Tx) -> tuple[PostmortemRow, Merged]:
            held(tx, incident_id)
            row = tx.postmortems.get(incident_id) or _fresh(tx, incident_id)
            merged = Merged(row.sections, row.version)
            if written is not None:
                merged = sections.merge(row.sections, row.version, written, actor.name)
            if merged.changed:
                changes = {"sections": merged.sections, "version": merged.version}
                row = due.put(tx, row, **changes, by=actor.name, at=tx.now())
                body = {"by": actor.name, "via": actor.via, "version": merged.version}
                body["sections"] = list(merged.changed)
                tx.journal.append(incident_id, [Entry("postmortem.written", body)])
            if request.publish and not merged.conflicts and row.state != "published":
                row = due.published(tx, row, actor)
                body = {"by": actor.name, "via": actor.via, "version": merged.version}
                tx.journal.append(incident_id, [Entry("postmortem.published", body)])
            return row, merged

        return self.store.write(work)

    # ------------------------------------------------------------ charts

    def _drawn(self, known: Known, told: JsonObject, now: datetime) -> dict[str, str]:
        found = charts.captured(known)
        if self.series is not None and len(found) < charts.MOST:
            start = known.incident.opened_at
            if told["times"]["began"]:
                start = min(start, parse_time(told["times"]["began"]))
            end = min(now, (known.incident.resolved_at or now) + _AROUND)
            programs = self._programs(known)
            found += charts.asked_again(known, programs, self.series, start - _AROUND, end)
        marks = charts.marks_of(told)
        drawn: dict[str, str] = {}
        for n, chart in enumerate(found[: charts.MOST], 1):
            title = str(self.redact(chart.title))
            safe = charts.Chart(title, chart.times, chart.series)
            try:
                drawn[f"chart-{n}.svg"] = charts.draw(safe, marks)
            except (ValueError, TypeError, ArithmeticError) as error:
                _LOG.warning("a chart of %s could not be drawn: %s", known.incident.id, error)
        return drawn

    def _programs(self, known: Known) -> dict[str, Json]:
        wanted = {run.program for run in known.runs}

        def read(tx: Tx) -> dict[str, Json]:
            texts = {digest: tx.blobs.program(digest) for digest in wanted}
            return {digest: loads(text) for digest, text in texts.items() if text}

        return self.store.read(read)


def _fresh(tx: Tx, incident_id: str) -> PostmortemRow:
    return PostmortemRow(incident_id, "due", None, None, 0, 0, {}, "", tx.now())


def _decision(told: JsonObject, merged: Merged, actor: Actor) -> dict[str, str]:
    """The decisions log's fields, in the format of the batch runbook."""
    cause = str((merged.sections.get("root_cause") or {}).get("text") or "")
    found: Sequence[Any] = told["classes"] or told["failures"]
    if not cause and found:
        cause = str(found[0].get("class") or found[0].get("category"))
    incident = told["incident"]
    return {
        "OPERATOR": actor.name,
        "ACTION": "postmortem",
        "INCIDENT": str(incident["id"]),
        "SEVERITY": str(incident["severity"]),
        "CAUSE": " ".join(cause.split())[:200] or "not told",
        "RECOVERED_IN": str(told["times"]["spans"]["recover"]),
    }


def _log_line(decision: Mapping[str, str], at: str) -> str:
    pairs = [f"{name}={value.replace('|', '/')}" for name, value in decision.items()]
    return " | ".join([at, *pairs])
