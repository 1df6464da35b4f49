"""Items that an earlier run did already, recognised by their content across runs (`foreach: {once: 24h}`).

The content of an item is its key, which the playbook makes of the fields that it names; of two items of one
step of one playbook with the same key, the later is left out. A run takes its items up in one transaction when
it opens the batch: from then on they are its own while it is under way. An item counts as done from the
transaction of its outcome on, and no more once it was undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

from engine.domain.canonical import JsonObject, digest
from engine.domain.clock import format_time
from engine.domain.entry import Entry
from engine.journal.rows import ItemRow, RunRow
from engine.journal.store import Store, Tx
from engine.language.program import Foreach
from engine.planning.items import DONE_ALREADY, UNDER_WAY
from engine.planning.progress import RunProgress, StepStatus


def content(playbook: str, step: str, key: str) -> str:
    """Return what names an item's content: a digest, the same for every run."""
    return digest([playbook, step, key])


class Items:
    """The items of one foreach that says `once`, as one run asks for them."""

    def __init__(
        self,
        playbook: str,
        run_id: str,
        step: str,
        once: float,
        items: Sequence[JsonObject],
    ) -> None:
        self._run = run_id
        self._once = timedelta(seconds=once)
        names = [str(item["key"]) for item in items]
        self._keys = {content(playbook, step, name): name for name in names}

    def known(self, tx: Tx) -> dict[str, str]:
        """Return why items are left out, by their keys: another run did them, or is at them just now."""
        return self._why(tx.done_items.find(self._keys, tx.now() - self._once, self._run))

    def take(self, tx: Tx) -> dict[str, str]:
        """As `known`; the others are this run's from now on, so that no two runs begin one item."""
        return self._why(tx.done_items.take(list(self._keys), tx.now() - self._once, self._run))

    def _why(self, found: Mapping[str, ItemRow]) -> dict[str, str]:
        return {
            self._keys[name]: f"{DONE_ALREADY}: by run {one.run_id} at {format_time(one.at)}"
            if one.done
            else f"{UNDER_WAY}: run {one.run_id} is at it since {format_time(one.at)}"
            for name, one in found.items()
        }


class Known:
    """Tells the planner what need not be done, where there is a store to ask."""

    def __init__(self, store: Callable[[], Store | None]) -> None:
        self._store = store

    def __call__(
        self, playbook: str, run_id: str, step: str, foreach: Foreach, items: Sequence[JsonObject]
    ) -> dict[str, str]:
        store = None if foreach.once is None else self._store()
        if store is None or foreach.once is None:
            return {}
        return store.read(Items(playbook, run_id, step, foreach.once, items).known)


def taken_again(tx: Tx, run_id: str, playbook: str, progress: RunProgress) -> list[Entry]:
    """Take up again what a run that is retried has not done yet; return what other runs did meanwhile."""
    entries = []
    for step, state in progress.steps.items():
        once = state.data.get("once")
        if once is None or not isinstance(state.data.get("items"), list):
            continue
        undone = [item for item in state.data["items"] if not _succeeded(progress, step, item)]
        left = Items(playbook, run_id, step, once, undone).take(tx)
        if left:
            entries.append(Entry("items.done", {"step": step, "done": left}))
    return entries


def _succeeded(progress: RunProgress, step: str, item: JsonObject) -> bool:
    state = progress.steps.get(f"{step}[{item['key']}]")
    return state is not None and state.status is StepStatus.SUCCEEDED


def note_done(
    tx: Tx, row: RunRow, playbook: str, progress: RunProgress, entries: Sequence[Entry]
) -> None:
    """Write down, with the entries, which items they end well, and which they take back."""
    for entry in entries:
        body = entry.body
        if entry.kind == "step.outcome" and body["address"].endswith("]"):
            for step, key in _items(body["address"]):
                address, state = f"{step}[{key}]", progress.steps.get(step)
                if address != body["address"] or state is None or not state.data.get("once"):
                    continue
                name = content(playbook, step, key)
                if body["state"] == "succeeded":
                    tx.done_items.done(row.id, name, address)
                else:
                    tx.done_items.release(row.id, name)
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
