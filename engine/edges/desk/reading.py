"""What people may look at. Every answer is JSON; lists are `{items, next}`, newest first."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from engine.domain.canonical import JsonObject
from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput, NotFound
from engine.domain.run import RunState
from engine.edges.desk import rows
from engine.edges.desk.braking import brakes_view
from engine.edges.desk.find import Found, find, find_gate, find_run
from engine.edges.web.ports import Application
from engine.incidents import views
from engine.incidents.timeline import describe
from engine.journal.database import Database
from engine.journal.rows import Page
from engine.journal.store import Tx
from engine.running.views import gate_view, plan_view, run_detail, run_entries, run_view

T = TypeVar("T")
MOST = 500  # rows of one page
_SEAL_MARK = re.compile(r"[1-9][0-9]*:[0-9a-f]{64}")


def page_of(limit: int, before: str | None) -> Page:
    """Raises InvalidInput where `limit` is not from 1 to 500."""
    if not 1 <= limit <= MOST:
        raise InvalidInput(f"limit is {limit}; it must be from 1 to {MOST}")
    return Page(limit=limit, before=before)


def _listed(found: Sequence[T], page: Page, view: Callable[[T], JsonObject]) -> JsonObject:
    items = [view(row) for row in found]
    return {"items": items, "next": items[-1]["id"] if len(items) == page.limit else None}


def states_of(names: Iterable[str]) -> list[RunState]:
    """Return run states by name.

    Raises:
        InvalidInput: one is none; the message lists them all.
    """
    known = {state.value: state for state in RunState}
    wrong = [name for name in names if name not in known]
    if wrong:
        raise InvalidInput(f"{wrong[0]!r} is no run state; there are: {', '.join(known)}")
    return [known[name] for name in names]


class Reading:
    """The looking half of the desk."""

    def __init__(self, application: Application) -> None:
        self.app = application

    def _read(self, work: Callable[[Tx], T]) -> T:
        return self.app.store.read(work)

    # ------------------------------------------------------------ lists

    def alerts(self, page: Page, labels: Mapping[str, str] | None = None) -> JsonObject:
        def work(tx: Tx) -> JsonObject:
            found = tx.alerts.list(page, labels=labels)
            return _listed(found, page, lambda row: views.alert_json(tx, row))

        return self._read(work)

    def deliveries(self, page: Page) -> JsonObject:
        """Deliveries with alerts cut, over the limit or unreadable."""
        return self._read(lambda tx: _listed(tx.alerts.deliveries(page), page, views.delivery_json))

    def decisions(self, page: Page, **only: str | None) -> JsonObject:
        """Keyword arguments: alert_id, rule, run_id, incident_id."""
        return self._read(
            lambda tx: _listed(tx.decisions.list(page, **only), page, views.decision_json)
        )

    def incidents(self, page: Page, *, open_only: bool = False) -> JsonObject:
        return self._read(
            lambda tx: _listed(
                tx.incidents.list(page, open_only=open_only), page, views.incident_summary
            )
        )

    def runs(
        self,
        page: Page,
        *,
        states: Sequence[str] = (),
        incident_id: str | None = None,
        playbook: str | None = None,
    ) -> JsonObject:
        wanted = states_of(states) or None
        return self._read(
            lambda tx: _listed(
                tx.runs.list(page, states=wanted, incident_id=incident_id, playbook=playbook),
                page,
                run_view,
            )
        )

    def plans(self, page: Page) -> JsonObject:
        """The latest plan of every run that has one: its outline, without the steps."""

        def work(tx: Tx) -> JsonObject:
            found = tx.runs.list(page)
            items = [outline for row in found if (outline := _outline(tx, row.id))]
            return {"items": items, "next": found[-1].id if len(found) == page.limit else None}

        return self._read(work)

    def approvals(self, *, open_only: bool = True) -> JsonObject:
        return self._read(
            lambda tx: {
                "items": [gate_view(tx, row) for row in tx.gates.list(open_only=open_only)],
                "next": None,
            }
        )

    def brakes(self) -> JsonObject:
        """All brakes in one view: see `brakes_view`."""
        rules, budgets = self.app.brake_rules, self.app.budgets()
        return self._read(lambda tx: brakes_view(tx, rules, budgets))

    def rules(self) -> JsonObject:
        return {"items": [rows.rule_view(rule) for rule in self.app.project.rules], "next": None}

    def playbooks(self) -> JsonObject:
        found = sorted(self.app.project.playbooks.items())
        return {"items": [rows.playbook_view(program) for _, program in found], "next": None}

    # ------------------------------------------------------------ items

    def alert(self, text: str) -> JsonObject:
        return self._read(lambda tx: views.alert(tx, of_kind(tx, text, "alert").id))

    def incident(self, text: str, personal: Collection[str] = ()) -> JsonObject:
        """Return one incident; without the values of connections that are `personal`."""
        return self._read(lambda tx: views.incident(tx, of_kind(tx, text, "incident").id, personal))

    def run(self, text: str) -> JsonObject:
        return self._read(lambda tx: run_detail(tx, find_run(tx, text)))

    def entries(self, text: str, *, after: int = 0, limit: int = MOST) -> JsonObject:
        """Return `{run, entries}`: a run's line and its entries after number `after`, each with its text."""

        def work(tx: Tx) -> JsonObject:
            row = find_run(tx, text)
            entries = run_entries(tx, row.id, after=after, limit=limit)
            for entry in entries:
                entry["text"] = describe(Entry(entry["kind"], entry["body"]))
            return {"run": run_view(row), "entries": entries}

        return self._read(work)

    def gate(self, text: str) -> JsonObject:
        return self._read(lambda tx: gate_view(tx, find_gate(tx, text)))

    def plan(self, text: str) -> JsonObject:
        """Return a plan by its fingerprint, or the latest of a run."""

        def work(tx: Tx) -> JsonObject:
            found = find(tx, text)
            run_id, fingerprint = found.id, found.fingerprint
            if found.kind == "gate":
                gate = find_gate(tx, text)
                run_id, fingerprint = gate.run_id, gate.fingerprint
            elif found.kind not in {"plan", "run"}:
                raise InvalidInput(f"{found} has no plan; name a run, a gate or a fingerprint")
            row = tx.runs.get(run_id)
            view = plan_view(tx, row, fingerprint) if row else None
            if view is None:
                raise NotFound(f"run {run_id} has no plan yet")
            return view

        return self._read(work)

    def show(self, text: str) -> JsonObject:
        """Return `{kind, item}` of whatever `text` names."""
        found = self._read(lambda tx: find(tx, text))
        item: dict[str, Callable[[], JsonObject]] = {
            "run": lambda: self.run(found.id),
            "incident": lambda: self.incident(found.id),
            "alert": lambda: self.alert(found.id),
            "gate": lambda: self.gate(found.id),
            "plan": lambda: self.plan(text),
        }
        return {"kind": found.kind, "item": item[found.kind]()}

    def rule(self, name: str) -> JsonObject:
        found = next((rule for rule in self.app.project.rules if rule.name == name), None)
        if found is None:
            raise _unknown("rule", name, (rule.name for rule in self.app.project.rules))
        return rows.rule_view(found)

    def playbook(self, name: str) -> JsonObject:
        program = self.app.project.playbooks.get(name)
        if program is None:
            raise _unknown("playbook", name, self.app.project.playbooks)
        return {
            **rows.playbook_view(program),
            "program": program.model_dump(mode="json", by_alias=True),
        }

    def audit(self, expected_seal: str | None = None) -> JsonObject:
        """Verify the whole journal: `ok`, what was read, `findings`, and the last seal's mark.

        Args:
            expected_seal: the `last_seal` of an earlier answer.

        Raises:
            InvalidInput: `expected_seal` is no such mark.
        """
        from engine.journal.audit import verify

        if expected_seal is not None and _SEAL_MARK.fullmatch(expected_seal) is None:
            raise InvalidInput(
                f"{expected_seal!r} is no seal's mark; give the `last seal` that an earlier verification "
                "printed, whole: a number, a colon and 64 hexadecimal digits"
            )

        store = self.app.store
        assert isinstance(store, Database)
        return verify(store, expected_seal=expected_seal).as_json()


def of_kind(tx: Tx, text: str, kind: str) -> Found:
    found = find(tx, text)
    if found.kind != kind:
        raise NotFound(f"{text!r} is no {kind} but {found}")
    return found


def _outline(tx: Tx, run_id: str) -> JsonObject | None:
    plan: Any = tx.blobs.plan(run_id)
    if plan is None:
        return None
    return {
        "id": run_id,
        "run": run_id,
        "playbook": plan["playbook"],
        "revision": plan["revision"],
        "fingerprint": plan["fingerprint"],
        "changes": sum(step["state"] == "planned" for step in plan["steps"]),
        "unknown": sum(step["state"] == "unknown" for step in plan["steps"]),
        "unplannable": plan["unplannable"],
        "budget": plan["budget"],
    }


def _unknown(kind: str, name: str, names: Iterable[str]) -> NotFound:
    import difflib

    known = list(names)
    near = tuple(difflib.get_close_matches(name, known, n=3))
    return NotFound(f"no {kind} is called {name!r}", near=near or tuple(sorted(known)[:3]))
