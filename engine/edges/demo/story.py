"""The story: from a healthy ETL over a failure spike to a verified repair."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from engine.domain.canonical import JsonObject
from engine.domain.errors import StanchError
from engine.edges.cli.remote import RemoteBackend
from engine.edges.cli.render import doctor as render_doctor
from engine.edges.cli.render import incident as render_incident
from engine.edges.cli.render import plan as render_plan
from engine.edges.cli.render.run import approve_command
from engine.edges.demo import files
from engine.edges.demo.payload import payload, post
from engine.edges.demo.stage import HOOK, Stage, command
from engine.edges.demo.talk import DemoFailed, Talk

THRESHOLD = 0.01
ENDS = {"succeeded", "failed", "undone", "cancelled", "expired", "needs_human"}
# What the journal also holds, and a first look does not need.
_QUIET = {"run.claimed", "step.applied", "lock.taken", "step.confirm"}
_FIRE_WITHIN, _RUN_WITHIN = 90.0, 300.0
_HUMAN_WITHIN = 4 * 3600.0


@dataclass
class Seen:
    """What the story met on its way, for the end's report."""

    incident: str = ""
    run: str = ""
    rate_worst: float = 0.0
    entries: int = 0
    verify: str = ""
    gates: list[str] = field(default_factory=list)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))


class Story:
    """Tells it once.

    Args:
        auto: approve by the printed command, as a person with the gate's role.
    """

    def __init__(self, stage: Stage, talk: Talk, *, auto: bool) -> None:
        self._stage = stage
        self._talk = talk
        self._auto = auto
        self._backend = RemoteBackend(stage.stanch.url, None)
        self.seen = Seen()

    def tell(self) -> JsonObject:
        """Go through all of it and return what happened.

        Raises:
            DemoFailed: something did not come as it should.
        """
        self._healthy()
        self._break()
        self._incident()
        state = self._follow()
        return self._ending(state)

    # ------------------------------------------------------------ the alert

    def _healthy(self) -> None:
        self._talk.head("A healthy ETL")
        rate = self._stage.failure_rate

        def settled() -> bool:
            return rate() is not None and self._knows_alertmanager()

        self._wait("the first rates", settled, within=60)
        workers = self._stage.exporter.counters
        self._talk.say(
            f"{workers.workers} workers, {workers.backfills} backfills under way, "
            f"{_percent(rate())} of snapshots fail"
        )

    def _knows_alertmanager(self) -> bool:
        """Prometheus finds its Alertmanagers some seconds after its start; alerts before that are lost."""
        if not self._stage.alerting.is_real:
            return True
        answer = httpx.get(f"{self._stage.alerting.prometheus.url}/api/v1/alertmanagers", timeout=5)
        return bool(answer.json()["data"]["activeAlertmanagers"])

    def _break(self) -> None:
        self._talk.head("The failure spike")
        self._stage.exporter.break_down()
        self._talk.say("a leak takes 28 of the database's 40 connections: snapshots begin to fail")
        if self._stage.alerting.is_real:
            self._talk.say(
                "Prometheus evaluates StarforgeETLFailureRateHigh; Alertmanager will post it"
            )
        else:
            self._wait("a failure rate over 1 %", self._is_failing, within=_FIRE_WITHIN)
            rate = self._stage.failure_rate() or 0.0
            body = payload("firing", datetime.now(UTC), rate)
            post(self._stage.stanch.url + HOOK, body)
            self._talk.say("posted the payload that Alertmanager would send")
        self._wait("the incident", self._has_incident, within=_FIRE_WITHIN, sign=self._rate_text)

    def _is_failing(self) -> bool:
        return (self._stage.failure_rate() or 0.0) > THRESHOLD

    def _has_incident(self) -> bool:
        items = self._backend.list("incidents")["items"]
        if items:
            self.seen.incident = items[-1]["id"]
        runs = self._backend.list("runs")["items"]
        if runs:
            self.seen.run = runs[-1]["id"]
        return bool(items and runs)

    def _incident(self) -> None:
        self._talk.head("The incident")
        self._note_rate()
        item = self._backend.show(self.seen.incident)["item"]
        self._talk.block(render_incident.incident({**item, "timeline": []}))

    # ------------------------------------------------------------ the run

    def _follow(self) -> str:
        """Print the run's journal as it grows, and see to its gates; return the run's end state."""
        self._talk.head("The run")
        until = time.monotonic() + _RUN_WITHIN
        while True:
            self._note_rate()
            self._print_entries()
            run = self._backend.run(self.seen.run)
            if run["state"] in ENDS:
                self._print_entries()
                self._talk.say(f"the run {run['state']}: {run['reason']}")
                return str(run["state"])
            for gate in self._backend.list("approvals")["items"]:
                if gate["run"] == self.seen.run and gate["id"] not in self.seen.gates:
                    self.seen.gates.append(gate["id"])
                    waited = time.monotonic()
                    self._gate(gate)
                    until += time.monotonic() - waited
            problem = self._stage.problem()
            if problem:
                raise DemoFailed(problem)
            if time.monotonic() > until:
                raise DemoFailed(f"the run did not end within {_RUN_WITHIN:.0f} s: {run['state']}")
            time.sleep(0.3)

    def _print_entries(self) -> None:
        answer = self._backend.entries(self.seen.run, self.seen.entries)
        for entry in answer["entries"]:
            self.seen.entries = entry["n"]
            if self._is_news(entry["kind"], entry["text"]):
                self._talk.say(f"  {entry['text']}")

    def _is_news(self, kind: str, text: str) -> bool:
        """A wait that asks every second tells once that it does, and when the answer has changed."""
        if kind == "step.verify":
            sight, _, _ = text.partition(" (")
            said, self.seen.verify = self.seen.verify, sight
            return said != sight
        return kind not in _QUIET

    def _gate(self, gate: JsonObject) -> None:
        self._talk.head(
            f"The gate {gate['address']}: approval by a person with the role {gate['role']}"
        )
        self._talk.block(render_plan.plan(self._backend.plan(gate["id"])))
        if gate["address"].endswith("fixed"):
            self._stage.exporter.repair()
            self._talk.say("meanwhile the owners fixed the leak: the root cause is gone")
        line = approve_command(gate)
        executable = f"{files.ROOT / '.venv' / 'bin'}/"
        self._talk.say("approve it with:")
        self._talk.say(f"  STANCH_SERVER={self._stage.stanch.url} {executable}{line}")
        if self._auto:
            arguments = line.split()[1:]
            done = command(arguments, self._stage.stanch.url)
            if done.returncode:
                raise DemoFailed(f"{line} ended with {done.returncode}\n{done.stdout}{done.stderr}")
            self._talk.say("AUTO: approved by that very command")
            return
        self._talk.say("waiting for you …")
        self._wait("an approval", lambda: self._is_closed(gate["id"]), within=_HUMAN_WITHIN)

    def _is_closed(self, gate: str) -> bool:
        return bool(self._backend.gate(gate)["state"] != "open")

    # ------------------------------------------------------------ the end

    def _ending(self, state: str) -> JsonObject:
        rate = self._stage.failure_rate()
        if not self._stage.alerting.is_real:
            body = payload("resolved", self.seen.started, rate or 0.0)
            post(self._stage.stanch.url + HOOK, body)
        counters = self._stage.exporter.counters
        healthy = rate is not None and rate < THRESHOLD
        self._talk.head("Verified by query")
        self._talk.say(
            f"failure rate {_percent(self.seen.rate_worst)} at its worst, {_percent(rate)} now; "
            f"{counters.workers} workers and {counters.backfills} backfills at work again"
        )
        incident = self._backend.show(self.seen.incident)["item"]
        self._talk.head("Timeline (UTC)")
        self.seen.verify = ""
        lines = [line for line in incident["timeline"] if self._is_news(line["kind"], line["text"])]
        self._talk.block(render_incident.timeline(lines))
        audit = self._backend.audit()
        self._talk.head("Audit")
        self._talk.block(render_doctor.audit(audit))
        restored = counters.workers == files.REPLICAS
        return {
            "ok": state == "succeeded" and healthy and bool(audit["ok"]) and restored,
            "incident": incident,
            "run": self._backend.run(self.seen.run),
            "audit": audit,
            "rate": {"worst": self.seen.rate_worst, "end": rate},
            "workers": counters.workers,
            "backfills": counters.backfills,
            "real_alerting": self._stage.alerting.is_real,
            "sql": self._stage.dsn is not None,
            "seconds": round(self._talk.elapsed, 1),
        }

    # ------------------------------------------------------------ small things

    def _wait(self, what: str, done: Any, *, within: float, sign: Any = None) -> None:
        def asked() -> bool:
            try:
                return bool(done())
            except (StanchError, httpx.HTTPError):
                return False  # not there yet, or not any more: `alive` says which

        self._talk.wait(what, asked, within=within, sign=sign, alive=self._stage.problem)

    def _note_rate(self) -> None:
        self.seen.rate_worst = max(self.seen.rate_worst, self._stage.failure_rate() or 0.0)

    def _rate_text(self) -> str:
        return f"{_percent(self._stage.failure_rate())} fail"


def _percent(rate: float | None) -> str:
    return "no value" if rate is None else f"{rate * 100:.1f} %"
