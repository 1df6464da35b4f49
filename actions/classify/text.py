"""classify.text: which class of failure a text shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import Field

from actions.classify import byhand
from actions.classify.patterns import Hit, Patterns
from engine.contract import ActionParams, Category, Grant, Read, Target, World
from engine.contract.status import category_of
from engine.domain.canonical import Json

_LINES = 20_000
_LINE = 2000  # characters of a line that are looked at
_SHOWN = 300


class TextParams(ActionParams):
    """Parameters of a classification."""

    connection: str = Field(description="A patterns connection", examples=["classes"])
    text: str = Field(
        "",
        description="What failed said: an error, or the log's lines",
        examples=["FATAL: remaining connection slots are reserved"],
        max_length=4 * 2**20,
    )
    status: int | None = Field(
        None, ge=100, le=599, description="The HTTP status that came with it", examples=[429]
    )
    lines: int = Field(
        2000, gt=0, le=_LINES, description="Most lines looked at, the last ones", examples=[2000]
    )


class ClassifyText(Read[TextParams]):
    """Sorts a text by the first pattern, in their order, that fits one of its lines.

    Output: `class`, `category` (of a failure, as retry policies know it), `advice`, `pattern`, `line` (the
    latest that fits), `found` (named groups), `known`, and `counts` of lines by class. Where no line fits,
    the status decides; where it does not either, `class` is `unknown` and `category` `unclassified`.
    """

    name = "classify.text"
    manual = byhand.text
    summary = "Sort an error text into a class and a category"
    Params = TextParams

    def targets(self, params: TextParams) -> Sequence[Target]:
        return (Target(params.connection, "patterns"),)

    def grants(self, params: TextParams) -> Sequence[Grant]:
        return (Grant(params.connection, "file", {"mode": "read"}),)

    def read(self, params: TextParams, world: World) -> Json:
        patterns = world.client(params.connection, Patterns)
        counts: Counter[str] = Counter()
        best: tuple[Hit, str] | None = None
        for line in params.text.splitlines()[-params.lines :]:
            hit = patterns.of_line(line[:_LINE])
            if hit is None:
                continue
            counts[hit.entry.name] += 1
            if best is None or hit.place <= best[0].place:
                best = hit, line.strip()[:_SHOWN]
        if best is None and params.status is not None:
            by_status = patterns.of_status(params.status)
            best = (by_status, "") if by_status else None
        if best is not None:
            return _output(*best, counts)
        category = Category.UNCLASSIFIED
        if params.status is not None and params.status >= 400:
            category = category_of(params.status, params.text[:_LINE])
        return {
            "class": "unknown",
            "category": category.value,
            "advice": "",
            "pattern": None,
            "line": None,
            "found": {},
            "known": False,
            "counts": {},
        }


def _output(hit: Hit, line: str, counts: Counter[str]) -> Json:
    return {
        "class": hit.entry.name,
        "category": hit.entry.category.value,
        "advice": hit.entry.advice,
        "pattern": hit.pattern,
        "line": line or None,
        "found": dict(hit.found),
        "known": True,
        "counts": dict(counts.most_common()),
    }
