"""`/stanch`: what people may say, and what the desk makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.domain.canonical import JsonObject
from engine.domain.errors import NotFound
from engine.domain.message import Message, Section, say
from engine.domain.run import ENDS, RunState
from engine.edges.chat import answers
from engine.edges.chat.grammar import Typed, nearest, read
from engine.edges.chat.incidents import LONG, SOME, IncidentWords
from engine.edges.chat.steering import Asker, need
from engine.edges.desk.acting import Desk
from engine.edges.desk.people import Level, require
from engine.incidents.masking import masked_plan
from engine.incidents.telling.gates import gate_message
from engine.incidents.telling.settings import Telling
from engine.incidents.telling.words import cut
from engine.journal.store import Tx

_AT_WORK = [state.value for state in RunState if state not in ENDS] + [RunState.NEEDS_HUMAN.value]


@dataclass(frozen=True)
class Command:
    """One word.

    Attributes:
        again: whether doing it twice is as doing it once; if not, it is never repeated after a crash.
    """

    usage: str
    summary: str
    do: Callable[[Asker, Typed], Message]
    again: bool = True
    options: tuple[str, ...] = ()


class Commands(IncidentWords):
    """The words of `/stanch`."""

    def __init__(
        self, desk: Desk, telling: Telling, brakes_text: Callable[[JsonObject], str]
    ) -> None:
        super().__init__(desk)
        self._telling = telling
        self._brakes_text = brakes_text
        self.words: Mapping[str, Command] = {
            "status": Command("[INCIDENT]", "how things stand", self._status),
            "incidents": Command("", "the open incidents", self._incidents),
            "runs": Command("", "the runs at work", self._runs),
            "show": Command("ID", "a run, an incident or a gate", self._show),
            "ack": Command("[INCIDENT]", "take an incident up", self._ack),
            "note": Command("[INCIDENT] TEXT", "write into its story", self._note, again=False),
            "severity": Command("[INCIDENT] P0|P1|P2 REASON", "how bad it is", self._severity),
            "role": Command(
                "[INCIDENT] ROLE PERSON [note]",
                "who is commander, communications, scribe, operations",
                self._role,
            ),
            "escalate": Command(
                "[INCIDENT] warning|critical|emergency REASON",
                "call people now",
                self._escalate,
                again=False,
            ),
            "resolve": Command("[INCIDENT] REASON", "say that it is over", self._resolve),
            "close": Command("[INCIDENT] [note]", "close an incident", self._close),
            "reopen": Command("[INCIDENT] REASON", "say that it is not over", self._reopen),
            "plan": Command("PLAYBOOK [name=value …] | RUN", "what would be changed", self._plan),
            "run": Command(
                "PLAYBOOK [name=value …] [--mode=approve|auto|dry_run] [--priority=0…9]",
                "start a run",
                self._run,
                again=False,
                options=("mode", "priority"),
            ),
            "approve": Command("GATE FINGERPRINT [comment]", "approve what you saw", self._approve),
            "reject": Command("[GATE] [comment]", "say no at a gate", self._reject),
            "withdraw": Command("[GATE]", "take your vote back", self._withdraw),
            "cancel": Command("RUN [reason]", "stop a run", self._cancel),
            "retry": Command("RUN [reason]", "resume where it failed", self._retry, again=False),
            "recover": Command(
                "RUN [step]",
                "run again just what failed of a batch, with a gate of its own",
                self._recover,
                again=False,
            ),
            "undo": Command(
                "RUN [step …] [--override=REASON]",
                "plan the way back, with a gate of its own",
                self._undo,
                again=False,
                options=("override",),
            ),
            "done": Command("RUN STEP what you did", "a manual task is done", self._done),
            "hold": Command("RUN REASON", "nothing of it begins from now on", self._hold),
            "release": Command("RUN [reason]", "let it go on", self._release),
            "step": Command("RUN", "let one step of it go on", self._step, again=False),
            "takeover": Command("RUN REASON", "the engine lets go, you act", self._takeover),
            "handback": Command(
                "RUN NOTE", "the engine goes on, told what you did", self._handback
            ),
            "choose": Command(
                "GATE FINGERPRINT STEP=KEY,KEY … [--reason=WHY]",
                "approve these items of a foreach, and no others",
                self._choose,
                options=("reason",),
            ),
            "glass": Command(
                "GATE FINGERPRINT REASON",
                "approve alone in an emergency; everybody reads it",
                self._glass,
            ),
            "postmortem": Command(
                "[INCIDENT]", "what the journal says of an incident", self._postmortem
            ),
            "pause": Command("REASON", "stop all effects: the kill switch", self._pause),
            "resume": Command("[REASON]", "release the kill switch", self._resume),
            "brakes": Command("", "every brake, who set it and why", self._brakes),
            "rearm": Command(
                "BRAKE REASON",
                "close a circuit breaker, end a cooldown, forget what is used of a budget",
                self._rearm,
                again=False,
            ),
            "oncall": Command(
                "", "who is on call now and next, whom each level calls", self._on_call
            ),
            "help": Command("[COMMAND]", "this", self._help),
        }

    def repeatable(self, text: str) -> bool:
        """Whether a command may be worked on again after a crash in the middle of it."""
        word = text.split(maxsplit=1)[0].lower() if text.strip() else "help"
        command = self.words.get(word)
        return command is None or command.again

    def answer(self, text: str, asker: Asker) -> Message:
        """Do what was typed and return the answer.

        Raises:
            StanchError: what the desk refuses, or a command that cannot be read.
        """
        word = text.split(maxsplit=1)[0].lower() if text.strip() else "help"
        command = self.words.get(word)
        if command is None:
            return self._unknown(word)
        return command.do(asker, read(text, command.options))

    # ------------------------------------------------------------ looking

    def _status(self, asker: Asker, typed: Typed) -> Message:
        require(asker.actor, Level.VIEWER, "look at the status")
        if typed.arguments or asker.incident:
            return self._one(self._incident_of(asker, typed))
        troubles = self._desk.app.store.read(lambda tx: tx.outbox.troubles())
        return answers.status(
            self._desk.incidents(SOME, open_only=True)["items"],
            self._desk.approvals()["items"],
            self._desk.runs(SOME, states=_AT_WORK)["items"],
            self._desk.brakes()["items"],
            troubles,
        )

    def _incidents(self, asker: Asker, typed: Typed) -> Message:
        require(asker.actor, Level.VIEWER, "look at incidents")
        del typed
        found = self._desk.incidents(SOME, open_only=True)["items"]
        return answers.listing("Open incidents", [*map(answers.incident_line, found)], "none")

    def _runs(self, asker: Asker, typed: Typed) -> Message:
        require(asker.actor, Level.VIEWER, "look at runs")
        del typed
        found = self._desk.runs(SOME, states=_AT_WORK)["items"]
        return answers.listing("Runs at work", [*map(answers.run_line, found)], "none")

    def _show(self, asker: Asker, typed: Typed) -> Message:
        require(asker.actor, Level.VIEWER, "look at it")
        found = self._desk.show(need(typed, 0, "an id", "show ID"))
        kind, item = found["kind"], found["item"]
        if kind == "run":
            waiting = [gate["id"] for gate in item["gates"] if gate["state"] == "open"]
            return self._gate(waiting[0]) if waiting else answers.run(item)
        if kind == "incident":
            return self._one(item["id"])
        if kind == "gate":
            return self._gate(item["id"])
        return say(f"{kind} {item.get('id', '')}: see stanch show {item.get('id', '')}")

    def _one(self, incident: str) -> Message:
        return answers.incident(self._desk.incident(incident, self._telling.personal))

    def _gate(self, gate_id: str) -> Message:
        """A gate as the channel shows it, buttons included."""

        def work(tx: Tx) -> Message:
            gate = tx.gates.get(gate_id)
            if gate is None:
                raise NotFound(f"there is no gate {gate_id}")
            plan = tx.blobs.plan(gate.run_id, gate.fingerprint)
            return gate_message(gate, tx.gates.votes(gate.id), plan, self._telling)

        return self._desk.app.store.read(work)

    def _plan(self, asker: Asker, typed: Typed) -> Message:
        name = need(typed, 0, "a playbook or a run", "plan PLAYBOOK name=value")
        if "/" in name:
            inputs = self._inputs(name, typed)
            document = self._desk.preview(asker.actor, name, inputs)
        else:
            require(asker.actor, Level.VIEWER, "look at a plan")
            document = self._desk.plan(name)
        shown = masked_plan(document, self._telling.personal)
        return answers.plan(document, self._telling.plan_text(shown))

    def _brakes(self, asker: Asker, typed: Typed) -> Message:
        require(asker.actor, Level.VIEWER, "look at the brakes")
        del typed
        text = self._brakes_text(self._desk.brakes())
        return Message(title="Brakes", sections=(Section(code=cut(text, LONG)),))

    def _on_call(self, asker: Asker, typed: Typed) -> Message:
        require(asker.actor, Level.VIEWER, "look at who is on call")
        del typed
        return answers.on_call(self._desk.on_call())

    # ------------------------------------------------------------ help

    def _help(self, asker: Asker, typed: Typed) -> Message:
        del asker
        wanted = typed.arguments[0].lower() if typed.arguments else None
        if wanted is not None:
            if wanted not in self.words:
                return self._unknown(wanted)
            return Message(sections=(Section(code=self._usage(wanted)),))
        told = "\n".join(self._usage(word) for word in self.words)
        return Message(title="What you can say", sections=(Section(code=told),))

    def _usage(self, word: str) -> str:
        command = self.words[word]
        return f"/stanch {word} {command.usage}".rstrip() + f"\n    {command.summary}"

    def _unknown(self, word: str) -> Message:
        near = nearest(word, self.words)
        hint = f" Did you mean /stanch {near}?" if near else ""
        told = "\n".join(self._usage(near) for near in ([near] if near else self.words))
        return Message(
            sections=(Section(f"There is no command {word[:40]!r}.{hint}", code=told),),
            footer="/stanch help lists them all",
        )
