"""What follows when something is not as people approved it: the approval is void, nothing is done."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from engine.language.program import ActionNode
from engine.planning.drift import Difference, compare_items, told
from engine.planning.moves import Move, Open
from engine.running.braking import by_itself
from engine.running.session import Session


def ask_again(
    session: Session, address: str, found: Sequence[Difference], personal: Collection[str]
) -> None:
    """Journal the differences. Automatic runs stop for a person, others ask for a new approval.

    Args:
        personal: connections whose values do not stand in the reason, which everybody reads.
    """
    for difference in found:
        session.note("drift.found", **difference.as_json())
    text = told(found, personal)
    if by_itself(session):
        reason = f"the world is not as planned: {text}"
        session.note("run.signal", signal="stuck", reason=reason, address=address)
    else:
        session.note("run.signal", signal="reask", reason=text)


def beyond_bounds(session: Session, moves: Sequence[Move]) -> bool:
    """Ask again where a foreach is about to begin more items than its bound lets. True: it was asked."""
    for move in moves:
        if not isinstance(move, Open) or not isinstance(move.node, ActionNode):
            continue
        keys = [item["key"] for item in move.data.get("items", ())]
        found = compare_items(session.document, move.address, keys, move.node.bounds)
        if found:
            ask_again(session, move.address, found, ())
            return True
    return False
