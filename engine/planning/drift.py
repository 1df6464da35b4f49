"""Has the world moved since people looked? Pure comparison of an approved change with the same change now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.plan import Planned, Unknown, to_json
from engine.language.problems import UnitError
from engine.language.program import Bound
from engine.language.quantities import quantity
from engine.planning.document import PlanDocument, PlanStep
from engine.planning.progress import ChangeState


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was approved.

    Attributes:
        connection: the one whose data the values are; empty where they are no data of a connection.
    """

    address: str
    field: str
    planned: Any
    live: Any
    connection: str = ""

    def as_json(self) -> JsonObject:
        return {
            "address": self.address,
            "field": self.field,
            "planned": to_json(self.planned),
            "live": to_json(self.live),
            **({"connection": self.connection} if self.connection else {}),
        }

    def __str__(self) -> str:
        return f"{self.address}: {self.field} was {_show(self.planned)}, is {_show(self.live)}"


def told(found: Sequence[Difference], personal: Collection[str], most: int = 3) -> str:
    """Return the first differences as text; of personal connections the fields, without their values."""
    return "; ".join(
        f"{one.address}: {one.field} changed" if one.connection in personal else str(one)
        for one in found[:most]
    )


def _plain(number: float | str | None) -> str:
    return f"{number:g}" if isinstance(number, int | float) else str(number)


def _show(value: Any) -> str:
    return value.reason if isinstance(value, Unknown) else repr(value)


def own_values(changes: Iterable[ChangeState]) -> dict[tuple[str, str], Any]:
    """Return {(target, field): value} as the run itself last left it."""
    values: dict[tuple[str, str], Any] = {}
    for change in changes:
        planned = Planned.from_json(change.planned)
        target = str(planned.target)
        left = (
            planned.before
            if change.undone
            else {**planned.after, **change.receipt.get("after", {})}
        )
        for name, value in left.items():
            values[target, name] = value
    return values


def compare(
    step: PlanStep | None,
    address: str,
    live: Planned,
    bounds: Mapping[str, Bound],
    own: Mapping[tuple[str, str], Any],
) -> list[Difference]:
    """Return what differs between the approved `step` and the change as it would be made now.

    A change that does nothing any more never differs. Own earlier changes of the run count as approved.
    """
    if live.is_no_op:
        return []
    if step is None or step.planned is None:
        found = _unknown(address, live, bounds)
    else:
        found = _known(step, step.planned, live, bounds, own)
    return [replace(one, connection=live.target.connection) for one in found]


def _known(
    step: PlanStep,
    approved: Planned,
    live: Planned,
    bounds: Mapping[str, Bound],
    own: Mapping[tuple[str, str], Any],
) -> list[Difference]:
    found: list[Difference] = []
    if approved.target != live.target:
        found.append(Difference(step.address, "target", str(approved.target), str(live.target)))
    target = str(live.target)
    for name in sorted({*approved.before, *live.before}):
        then, now = approved.before.get(name), live.before.get(name)
        if isinstance(then, Unknown) or then == now:
            continue
        if (target, name) in own and own[target, name] == now:
            continue
        found.append(Difference(step.address, f"{name} (before)", then, now))
    for name in sorted({*approved.after, *live.after}):
        then, now = approved.after.get(name), live.after.get(name)
        if isinstance(then, Unknown):
            # What only the effect itself decides is approved as shown, as long as it is just that.
            if then != now:
                found += _bounded(step.address, name, now, bounds)
        elif not isinstance(now, Unknown) and then != now:
            found.append(Difference(step.address, name, then, now))
    for unit, count in live.counts.items():
        bound = bounds.get(unit)
        planned = approved.counts.get(unit, 0)
        most = Bound(max=bound.max if bound and bound.max is not None else planned)
        if _outside(count, most):
            found.append(Difference(step.address, unit, f"at most {_plain(most.max)}", count))
    return found


def _unknown(address: str, live: Planned, bounds: Mapping[str, Bound]) -> list[Difference]:
    if not bounds:
        reason = "known after apply, without bounds"
        return [Difference(address, "plan", reason, live.summary or str(live.target))]
    found: list[Difference] = []
    for name in bounds:
        if name == "items":
            continue
        if name in live.counts:
            found += _bounded(address, name, live.counts[name], bounds)
            continue
        fields = [key for key in live.after if key == name or key.endswith(f".{name}")]
        if not fields:
            found.append(Difference(address, name, "a bounded value", "not part of the change"))
        for key in fields:
            found += _bounded(address, key, live.after[key], {key: bounds[name]})
    return found


def _bounded(address: str, name: str, value: Any, bounds: Mapping[str, Bound]) -> list[Difference]:
    bound = bounds.get(name) or bounds.get(name.rsplit(".", 1)[-1])
    if bound is None:
        return [Difference(address, name, "known after apply, without bounds", value)]
    if not _outside(value, bound):
        return []
    return [Difference(address, name, f"between {bound.min} and {bound.max}", value)]


def _outside(value: Any, bound: Bound) -> bool:
    """Whether a value is outside its bound; one that is neither a number nor a quantity always is."""
    try:
        amount = quantity(value)
    except UnitError:
        return True
    low = bound.min is not None and amount < quantity(bound.min)
    high = bound.max is not None and amount > quantity(bound.max)
    return low or high


def compare_items(
    document: PlanDocument | None, address: str, keys: Sequence[str], bounds: Mapping[str, Bound]
) -> list[Difference]:
    """Return what a foreach that was approved unseen exceeds: its bound of `items`.

    Items that the approved plan shows one by one are approved as shown.
    """
    bound = bounds.get("items")
    shown = document is not None and all(document.step(f"{address}[{key}]") for key in keys)
    if bound is None or shown:
        return []
    return _bounded(address, "items", len(keys), bounds)


def differences(old: PlanDocument, new: PlanDocument) -> list[Difference]:
    """Return what a new plan of the same run says differently; empty where the fingerprints agree."""
    found: list[Difference] = []
    before = {step.address: step for step in old.steps if not step.is_read}
    after = {step.address: step for step in new.steps if not step.is_read}
    for address in [*before, *(name for name in after if name not in before)]:
        one, two = before.get(address), after.get(address)
        if one is None or two is None:
            there = (one or two).state  # type: ignore[union-attr]  # one of them is there
            found.append(
                Difference(address, "step", there if one else "absent", there if two else "absent")
            )
            continue
        found += _step_differences(one, two)
    if not found and old.fingerprint != new.fingerprint:
        found.append(Difference("plan", "fingerprint", old.fingerprint[:12], new.fingerprint[:12]))
    return found


def _step_differences(one: PlanStep, two: PlanStep) -> list[Difference]:
    left, right = one.covered(), two.covered()
    found: list[Difference] = []
    planned = two.planned or one.planned
    connection = planned.target.connection if planned is not None else ""
    for name in sorted({*left, *right}):
        then, now = left.get(name), right.get(name)
        if then == now:
            continue
        if name in {"before", "after"} and isinstance(then, dict) and isinstance(now, dict):
            suffix = " (before)" if name == "before" else ""
            found += [
                Difference(one.address, f"{key}{suffix}", then.get(key), now.get(key), connection)
                for key in sorted({*then, *now})
                if then.get(key) != now.get(key)
            ]
        else:
            found.append(Difference(one.address, name, then, now, connection))
    return found
