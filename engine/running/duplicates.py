"""Items that an earlier run did already, recognised by their content across runs (`foreach: {once: 24h}`).

The content of an item is its key, which the playbook makes of the fields that it names; of two items of one
step of one playbook with the same key, the later is left out. An item counts as done from the transaction of
its outcome on, and no more once it was undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

from engine.domain.canonical import JsonObject, digest
from engine.domain.clock import format_time
from engine.domain.entry import Entry
from engine.journal.rows import RunRow
from engine.journal.store import Store, Tx
from engine.language.program import LONGEST_ONCE, Foreach
from engine.planning.items import DONE_ALREADY
from engine.planning.progress import RunProgress


def content(playbook: str, step: str, key: str) -> str:
    """Return what names an item's content: a digest, the same for every run."""
    return digest([playbook, step, key])


def known(
    store: Store,
    playbook: str,
    run_id: str,
    step: str,
    foreach: Foreach,
    items: Sequence[JsonObject],
) -> dict[str, str]:
    """Return why items need not be done, by their keys: another run did them within `once`.

    Raises:
        StoreUnavailable: it cannot be asked.
    """
    if foreach.once is None:
        return {}
    once = foreach.once
    keys = {content(playbook, step, str(item["key"])): str(item["key"]) for item in items}

    def work(tx: Tx) -> Mapping[str, str]:
        found = tx.done_items.find(keys, tx.now() - timedelta(seconds=once), run_id)
        return {
            keys[one]: f"{DONE_ALREADY}: by run {run} at {format_time(at)}"
            for one, (run, at) in found.items()
        }

    return dict(store.read(work))


class Known:
    """Tells the planner what need not be done, where there is a store to ask."""

    def __init__(self, store: Callable[[], Store | None]) -> None:
        self._store = store

    def __call__(
        self, playbook: str, run_id: str, step: str, foreach: Foreach, items: Sequence[JsonObject]
    ) -> dict[str, str]:
        store = self._store() if foreach.once is not None else None
        return {} if store is None else known(store, playbook, run_id, step, foreach, items)


def note_done(
    tx: Tx, row: RunRow, playbook: str, progress: RunProgress, entries: Sequence[Entry]
) -> None:
    """Write down, with the entries, which items they end well, and which they take back."""
    for entry in entries:
        body = entry.body
        if (
            entry.kind == "step.outcome"
            and body["state"] == "succeeded"
            and body["address"].endswith("]")
        ):
            for step, key in _items(body["address"]):
                state = progress.steps.get(step)
                if (
                    body["address"] == f"{step}[{key}]"
                    and state is not None
                    and state.data.get("once")
                ):
                    tx.done_items.add(row.id, [(content(playbook, step, key), body["address"])])
        elif entry.kind == "undo.outcome" and body["state"] == "undone":
            taken = [f"{step}[{key}]" for step, key in _items(body["address"])]
            for run in (row.id, *([row.parent] if row.parent else [])):
                tx.done_items.forget(run, taken)


def _items(address: str) -> Iterator[tuple[str, str]]:
    """Yield (foreach, key) of every item that an address lies in or is."""
    start = depth = 0
    for place, char in enumerate(address):
        if char == "[":
            start = place if depth == 0 else start
            depth += 1
        elif char == "]":
            depth -= 1
            if depth == 0:
                yield address[:start], address[start + 1 : place]


def forget_old(tx: Tx) -> None:
    """Forget what no `once` reaches back to."""
    tx.done_items.prune(tx.now() - timedelta(seconds=LONGEST_ONCE))
