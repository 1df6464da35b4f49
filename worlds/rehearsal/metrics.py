"""Prometheus in a rehearsal: scripted answers to queries, over time and after steps."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, model_validator

from engine.domain.canonical import JsonObject
from engine.domain.rehearsed import Message, NetChange, Scene, Unanswered
from worlds.rehearsal.specs import After, Failing, Slot, Span, Spec, choose

if TYPE_CHECKING:
    import requests

URL = "http://metrics.rehearsal.invalid"


class Series(Spec):
    """One series of a vector."""

    labels: dict[str, str] = Field({}, description="Its labels")
    value: float = Field(description="Its value")


class Fail(Spec):
    """The query fails."""

    fail: Failing = Field(description="How")


Answer = float | None | list[Series] | Fail


class Metric(Spec):
    """What one query answers: exactly one of value, answers and series.

    `value` is constant, `answers` are given one a call (the last one stays), `series` holds values by the
    time since the beginning. null is an empty vector.
    """

    query: str | None = Field(
        None, description="The query as it is sent, parameters bound; spaces do not matter"
    )
    matching: str | None = Field(
        None, description="A regular expression that is found in the query, instead of its text"
    )
    value: Answer = Field(None, description="A constant answer", examples=[0.2])
    answers: list[Answer] | None = Field(
        None, description="Answers, one a call; the last one stays", examples=[[1, 0]]
    )
    series: dict[Span, Answer] | None = Field(
        None,
        description="Answers by the time since the beginning",
        examples=[{"0s": 0.2, "10m": 0.004}],
    )
    after: After | None = Field(None, description="Holds only after a step")
    optional: bool = Field(False, description="It need not be asked for")

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.query is None) == (self.matching is None):
            raise ValueError("give query or matching, one of them")
        given = self.model_fields_set & {"value", "answers", "series"}
        if len(given) != 1:
            raise ValueError("give value, answers or series, one of them")
        if self.answers == [] or self.series == {}:
            raise ValueError("give at least one answer")
        if self.matching is not None:
            try:
                re.compile(self.matching)
            except re.error as error:
                raise ValueError(f"matching is no regular expression: {error}") from None
        return self

    def fits(self, query: str) -> bool:
        if self.query is not None:
            return _plain(self.query) == _plain(query)
        return re.search(self.matching or "", query) is not None


def _plain(query: str) -> str:
    return re.sub(r"\s+", "", query)


class MetricsWorld:
    """Answers the query API. What is not scripted fails, naming the query."""

    def __init__(self, spec: Sequence[Metric], scene: Scene) -> None:
        self._slots = [Slot(entry) for entry in spec]
        self._scene = scene
        self._start = scene.clock.now()
        self._unanswered: list[str] = []

    def settings(self) -> Mapping[str, Any]:
        return {"url": URL}

    def transport(self, *, writable: bool) -> Any:
        del writable
        return _adapter(self)

    def changes(self) -> Sequence[NetChange]:
        return ()

    def messages(self) -> Sequence[Message]:
        return ()

    def unanswered(self) -> Sequence[str]:
        return self._unanswered

    def unasked(self) -> Sequence[str]:
        found = []
        for slot in self._slots:
            entry, asked = slot.entry, slot.used
            what = entry.query or f"matching {entry.matching}"
            if entry.optional:
                continue
            if not asked:
                found.append(f"query {what!r}")
            elif entry.answers is not None and asked < len(entry.answers):
                found.append(f"answer {asked + 1} of {len(entry.answers)} to query {what!r}")
        return found

    def close(self) -> None:
        """Nothing is open."""

    # ------------------------------------------------------------ answers

    def answer(self, path: str, given: Mapping[str, str]) -> JsonObject:
        """Return `data` of an API answer. Raises ActionFailed where it is scripted, or not scripted at all."""
        query = given.get("query", "")
        if path.endswith("/query_range"):
            return {"resultType": "matrix", "result": self._range(query, given)}
        if path.endswith("/buildinfo"):
            return {"version": "rehearsal"}
        now = self._scene.clock.now()
        at = float(given["time"]) if "time" in given else now.timestamp()
        moment = datetime.fromtimestamp(at, UTC) if "time" in given else now
        result = [
            {"metric": labels, "value": [at, _text(value)]}
            for labels, value in self._samples(query, moment, count=True)
        ]
        return {"resultType": "vector", "result": result}

    def _range(self, query: str, given: Mapping[str, str]) -> list[JsonObject]:
        start, end = float(given["start"]), float(given["end"])
        step = float(given["step"])
        rows: dict[str, JsonObject] = {}
        number = int((end - start) / step) + 1
        for index in range(number):
            at = start + index * step
            moment = datetime.fromtimestamp(at, UTC)
            for labels, value in self._samples(query, moment, count=index == number - 1):
                row = rows.setdefault(json.dumps(labels), {"metric": labels, "values": []})
                row["values"].append([at, _text(value)])
        return list(rows.values())

    def _samples(
        self, query: str, moment: datetime, *, count: bool
    ) -> list[tuple[dict[str, str], float]]:
        # What lies before the beginning was as it is at the beginning.
        at = max(moment, self._start)
        slot = choose(self._slots, self._scene, lambda one: one.entry.fits(query), at)
        if slot is None:
            self._unanswered.append(f"{self._scene.connection}: query {query!r}")
            raise Unanswered(self._scene.connection, f"the query {query!r}")
        answer = self._answer(slot.entry, slot.used, at)
        slot.used += count
        if isinstance(answer, Fail):
            raise answer.fail.error(self._scene.connection)
        if answer is None:
            return []
        if isinstance(answer, list):
            return [(one.labels, one.value) for one in answer]
        return [({}, answer)]

    def _answer(self, entry: Metric, asked: int, at: datetime) -> Answer:
        if entry.answers is not None:
            return entry.answers[min(asked, len(entry.answers) - 1)]
        if entry.series is None:
            return entry.value
        since = self._start
        if entry.after is not None:
            done = self._scene.done(entry.after.step)
            assert done is not None
            since = done + timedelta(seconds=entry.after.in_)
        passed = (at - since).total_seconds()
        reached = [span for span in sorted(entry.series) if span <= passed]
        return entry.series[reached[-1]] if reached else None


def _text(value: float) -> str:
    return repr(float(value))


def _adapter(world: MetricsWorld) -> Any:
    import requests
    from requests.adapters import BaseAdapter

    class Adapter(BaseAdapter):
        def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
            del args, options
            parts = urlsplit(request.url)
            body = request.body or ""
            text = body.decode() if isinstance(body, bytes) else str(body)
            given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            given |= {name: values[-1] for name, values in parse_qs(text).items()}
            data = world.answer(parts.path, given)
            answer = requests.Response()
            answer.status_code = 200
            answer.url, answer.request = request.url, request
            answer.headers["Content-Type"] = "application/json"
            answer.raw = io.BytesIO(json.dumps({"status": "success", "data": data}).encode())
            return answer

        def close(self) -> None:
            """Nothing is open."""

    return Adapter()
