"""A plan is data: what each step will change, before and after (DESIGN 2, 6, LANGUAGE "Plans")."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import format_time, parse_time


@dataclass(frozen=True)
class Unknown:
    """A value known only after an earlier effect. `reason` is shown to people."""

    reason: str = "known after apply"

    def as_json(self) -> JsonObject:
        return {"$unknown": self.reason}


_PLAIN = frozenset({str, int, float, bool})


def to_json(value: Any) -> Json:
    """Return `value` with every Unknown inside it written as `{"$unknown": reason}`."""
    if value is None or type(value) in _PLAIN:
        return value  # most leaves; a look at abstract classes costs ten times as much
    if isinstance(value, Unknown):
        return value.as_json()
    if type(value) is dict or isinstance(value, Mapping):
        return {
            str(key): item if item is None or type(item) in _PLAIN else to_json(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return value


def from_json(value: Json) -> Any:
    """The inverse of `to_json`."""
    if isinstance(value, dict):
        if len(value) == 1 and "$unknown" in value:
            return Unknown(str(value["$unknown"]))
        return {key: from_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_json(item) for item in value]
    return value


@dataclass(frozen=True, order=True)
class Target:
    """What an effect touches: a connection's name and a path in that system.

    Paths: `starforge/Deployment/etl-worker`, `public.queue_jobs`, `bucket/some/prefix`,
    `POST /v1/batches`. Locks and allow-lists compare them as text.
    """

    connection: str
    path: str

    def __str__(self) -> str:
        return f"{self.connection}:{self.path}"

    def as_json(self) -> JsonObject:
        return {"connection": self.connection, "path": self.path}

    @classmethod
    def from_json(cls, value: JsonObject) -> Target:
        return cls(value["connection"], value["path"])


@dataclass(frozen=True)
class FreshChange:
    """What somebody else changed on a target.

    Attributes:
        by: who, as the system names them: a field manager, a session's user and application.
        at: when; the present time for what is not committed yet.
        what: the fields or rows, for people.
    """

    by: str
    at: datetime
    what: str = ""

    def as_json(self) -> JsonObject:
        return {"by": self.by, "at": format_time(self.at), "what": self.what}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FreshChange:
        return cls(value["by"], parse_time(value["at"]), value["what"])

    def __str__(self) -> str:
        return f"{self.by} at {format_time(self.at)}{f' ({self.what})' if self.what else ''}"


@dataclass(frozen=True)
class Planned:
    """One change as it would be made now. Apply works from this alone, never from the parameters again.

    Attributes:
        action: `system.verb`.
        before, after: the touched fields, normalised (no status, versions, generations, times);
            keys are field paths, `after` may hold Unknown. Equal maps and no counts mean a no-op.
        counts: what it costs of a budget, by unit: `rows`, `pods`, `objects`, `requests`.
        request: everything that apply needs, JSON, no secrets (references only); not shown by default.
        summary: one line for people.
        reversible: whether `undo` can restore `before`; `why_irreversible` says why not.
        sample: a few affected rows or keys, for people.
        notes: what planning or applying costs or cannot promise (locks, triggers, remaining windows).
        precondition: what apply holds the world to (resourceVersion, ETag); not part of the fingerprint.
        fresh_changes: what others did to the target, as far as the system tells, of whatever age: the
            engine judges which of it is recent enough to hold an automatic run.
    """

    action: str
    target: Target
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    counts: Mapping[str, int] = field(default_factory=dict)
    request: JsonObject = field(default_factory=dict)
    summary: str = ""
    reversible: bool = True
    why_irreversible: str | None = None
    sample: tuple[Json, ...] = ()
    notes: tuple[str, ...] = ()
    precondition: JsonObject = field(default_factory=dict)
    fresh_changes: tuple[FreshChange, ...] = ()

    @property
    def is_no_op(self) -> bool:
        return dict(self.before) == dict(self.after) and not any(self.counts.values())

    def as_json(self) -> JsonObject:
        fresh = [change.as_json() for change in self.fresh_changes]
        return {
            **({"fresh_changes": fresh} if fresh else {}),
            "action": self.action,
            "target": self.target.as_json(),
            "before": to_json(self.before),
            "after": to_json(self.after),
            "counts": dict(self.counts),
            "request": to_json(self.request),
            "summary": self.summary,
            "reversible": self.reversible,
            "why_irreversible": self.why_irreversible,
            "sample": to_json(self.sample),
            "notes": list(self.notes),
            "precondition": to_json(self.precondition),
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> Planned:
        return cls(
            action=value["action"],
            target=Target.from_json(value["target"]),
            before=from_json(value["before"]),
            after=from_json(value["after"]),
            counts=dict(value["counts"]),
            request=from_json(value["request"]),
            summary=value["summary"],
            reversible=value["reversible"],
            why_irreversible=value["why_irreversible"],
            sample=tuple(value["sample"]),
            notes=tuple(value["notes"]),
            precondition=from_json(value["precondition"]),
            fresh_changes=tuple(map(FreshChange.from_json, value.get("fresh_changes", ()))),
        )


@dataclass(frozen=True)
class Receipt:
    """What the target answered.

    Attributes:
        after: the touched fields as they were seen after the effect; checked against the plan.
        counts: what it really cost, by unit.
        before_image: what undo needs, taken at apply under the same precondition; the engine takes
            it out, keeps it encrypted, and journals its digest.
        output: small JSON for later steps and for people.
    """

    after: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    before_image: Json = None
    output: JsonObject = field(default_factory=dict)

    def as_json(self) -> JsonObject:
        """Return the receipt without its before-image."""
        return {"after": to_json(self.after), "counts": dict(self.counts), "output": self.output}

    @classmethod
    def from_json(cls, value: JsonObject, before_image: Json = None) -> Receipt:
        return cls(
            after=from_json(value["after"]),
            counts=dict(value["counts"]),
            before_image=before_image,
            output=dict(value["output"]),
        )


class Effect(enum.StrEnum):
    READ = "read"
    CHANGE = "change"
    NOTIFY = "notify"
