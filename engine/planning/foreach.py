"""The walk through a foreach: a window of items under way, failures counted against what is tolerated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.domain.errors import Category
from engine.language.comparisons import Tolerance, parse_tolerance
from engine.language.program import GroupNode, Node
from engine.language.templates import expression_references
from engine.planning.containers import Walk, close
from engine.planning.items import items_of, left_out
from engine.planning.moves import Close, Fail, Opaque, Open, Place, Skip
from engine.planning.progress import StepStatus
from engine.planning.scope import value_unknown
from engine.planning.verdict import PENDING, STOPPED, Flow, Verdict


def visit_foreach(walk: Walk, node: Node, address: str, place: Place) -> Verdict:
    assert node.foreach is not None
    state = walk.progress.steps.get(address)
    if state is not None and not state.is_open:
        return walk.ended(node, state)
    if state is None:
        if walk.stopping:
            return STOPPED
        if not _names_item(node.when) and not walk.admitted(node, address, place):
            return PENDING
        _open_items(walk, node, address, place)
        return PENDING
    return _items(walk, node, address, place, state.data["items"])


def _open_items(walk: Walk, node: Node, address: str, place: Place) -> None:
    assert node.foreach is not None
    unknown = value_unknown(node.foreach.items, place, walk.progress)
    if unknown:
        walk.moves.append(Opaque(address, node, place, f"foreach: {unknown}"))
        return
    try:
        items = items_of(node.foreach, walk.scope(place))
    except Exception as error:  # noqa: BLE001  see containers
        walk.moves.append(Fail(address, node, Category.PERMANENT, f"foreach: {error}"))
        return
    once = {} if node.foreach.once is None else {"once": node.foreach.once}
    walk.moves.append(Open(address, node, place, {"items": items, **once}))


def _items(
    walk: Walk, node: Node, address: str, place: Place, items: Sequence[Mapping[str, Any]]
) -> Verdict:
    assert node.foreach is not None
    tolerance = parse_tolerance(node.foreach.tolerate or 0)
    start = walk.progress.cursor.get(address, 0)
    busy, failed, stopped = 0, _failed_before(walk, address, items[:start]), False
    bare = _without_foreach(node)
    for index in range(start, len(items)):
        if busy >= node.foreach.concurrency:
            break
        if not tolerance.allows(failed, len(items)) and not _started(walk, address, items[index]):
            continue
        item_place = replace(
            place,
            prefix=f"{address}[{items[index]['key']}].",
            scopes=(f"{address}[{items[index]['key']}].", *place.scopes),
            item=items[index]["item"],
            key=items[index]["key"],
            has_item=True,
        )
        verdict = _item(walk, bare, address, str(items[index]["key"]), item_place)
        if verdict.flow is Flow.PENDING:
            busy += 1
        elif verdict.flow is Flow.STOPPED:
            stopped = True
        elif verdict.flow is Flow.ENDED:
            return verdict
        else:
            if verdict.flow is Flow.FAILED:
                failed += verdict.failure is None or verdict.failure.category is not Category.DATA
            if walk.progress.cursor.get(address, 0) == index:
                walk.progress.cursor[address] = index + 1
    if busy:
        return PENDING
    if stopped:
        return STOPPED
    _close_items(walk, node, address, items, tolerance)
    return PENDING


def _item(walk: Walk, node: Node, parent: str, key: str, place: Place) -> Verdict:
    address = f"{parent}[{key}]"
    why = walk.progress.rejected.get(parent, {}).get(key)
    if why is not None and address not in walk.progress.steps:
        walk.moves.append(Skip(address, node, why))
        return PENDING
    if isinstance(node, GroupNode):
        state = walk.progress.steps.get(address)
        if state is not None and not state.is_open:
            return walk.ended(node, state)
        if state is None and not walk.stopping:
            if not walk.admitted(node, address, place):
                return PENDING
            walk.moves.append(Open(address, node, place))
            return PENDING
        return close(walk, node, address, walk.sequence(node.steps, place), None)
    return walk.single(node, address, place)


def _started(walk: Walk, address: str, item: Mapping[str, Any]) -> bool:
    return f"{address}[{item['key']}]" in walk.progress.steps


def _failed_before(walk: Walk, address: str, items: Sequence[Mapping[str, Any]]) -> int:
    return sum(
        state.status is StepStatus.FAILED and state.category is not Category.DATA
        for state in (walk.progress.steps[f"{address}[{item['key']}]"] for item in items)
    )


def _close_items(
    walk: Walk, node: Node, address: str, items: Sequence[Mapping[str, Any]], tolerance: Tolerance
) -> None:
    results, failures = [], []
    for item in items:
        state = walk.progress.steps.get(f"{address}[{item['key']}]")
        status = state.status if state else StepStatus.SKIPPED
        if status is StepStatus.FAILED and state is not None:
            failures.append(state)
        results.append(
            {
                "key": item["key"],
                "item": item["item"],
                "state": status.value,
                "output": state.output if state else None,
                "error": state.message if state and status is StepStatus.FAILED else None,
            }
        )
    if not tolerance.allows(len(failures), len(items)):
        first = failures[0]
        message = (
            f"{len(failures)} of {len(items)} items failed, first {first.address}: {first.message}"
        )
        walk.moves.append(Close(address, node, False, results, first.category, message))
    else:
        if failures:
            walk.warnings.append(address)
        rejected = walk.progress.rejected.get(address, {})
        told = left_out(rejected.values())
        walk.moves.append(Close(address, node, True, results, message=told))


def _without_foreach(node: Node) -> Node:
    return node.model_copy(update={"foreach": None, "on_failure": "stop"})


def _names_item(expression: str | None) -> bool:
    if expression is None:
        return False
    return bool(expression_references(expression).roots & {"item", "key"})
