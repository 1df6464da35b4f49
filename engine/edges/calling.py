"""Builds what calls people out of the configuration: policy, roster, messages by the registry's actions.

This is the only place that knows in whose words a page is said to a webhook, by mail or in chat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

from engine.contract.ports import ChatPort
from engine.contract.registry import Registry
from engine.domain.canonical import JsonObject
from engine.domain.errors import ActionFailed, Category
from engine.domain.message import Message as ChatMessage
from engine.domain.message import Section
from engine.edges.oncall.roster import Roster
from engine.edges.settings.escalation import EscalationConfig
from engine.incidents.chains import Policy
from engine.incidents.escalation import Message
from engine.running.world import Connections

_SEVERITY = {"warning": "warning", "critical": "error", "emergency": "critical"}
_VERB = {"trigger": "", "acknowledge": "Acknowledged: ", "resolve": "Over: "}

OWN = "incident"  # the channel of the incident itself
Voices = Callable[[str | None], ChatPort]  # of an incident


class Sending(Protocol):
    """An action that sends."""

    def send(self, params: Any, world: Any, key: str) -> Any: ...


class ActionMessenger:
    """Sends pages by the actions `KIND.send` of the connections that the ways name. Implements `Messenger`.

    Parameters:
        voices: the chat of an incident; None: no chat is configured.
    """

    def __init__(
        self, registry: Registry, connections: Connections, voices: Voices | None = None
    ) -> None:
        self._registry = registry
        self._connections = connections
        self._voices = voices

    def send(self, way: JsonObject, message: Message, key: str) -> str:
        """Raises ActionFailed where it was not sent, or nobody knows."""
        if "webhook" in way:
            return self._webhook(str(way["webhook"]), message, key)
        if message.event == "acknowledge":
            return "not told: an acknowledgement needs no message"
        if "mail" in way:
            mail = way["mail"]
            params = {
                "connection": mail["connection"],
                "to": list(mail["to"]),
                "subject": _line(_VERB[message.event] + message.title, 300),
                "text": message.text,
            }
            output = self._by(str(mail["connection"]), params, key)
            return f"accepted for {', '.join(output.get('to', []))}"
        if self._voices is None:
            what = "no chat is configured; write chat: into the configuration, or another way"
            raise ActionFailed(Category.CONFIGURATION, what, effect_possible=False)
        channel = str(way["chat"])
        said = ChatMessage(
            title=_VERB[message.event] + message.title,
            sections=(Section(text=message.text),),
            footer=f"calls {message.contact}",
        )
        voice = self._voices(str(message.details["incident"]) or None)
        voice.post(said, key, channel=None if channel == OWN else channel)
        return f"handed over for {channel}"

    def _webhook(self, connection: str, message: Message, key: str) -> str:
        params: JsonObject = {
            "connection": connection,
            "event": message.event,
            "summary": _line(message.title, 1024),
            "severity": _SEVERITY[message.level],
            "dedup": message.name,
            "details": {**message.details, "contact": message.contact},
        }
        if message.link:
            params["link"] = message.link
        output = self._by(connection, params, key)
        return f"status {output.get('status', '?')}"

    def _by(self, connection: str, params: JsonObject, key: str) -> JsonObject:
        kind = self._connections.get(connection).kind.kind
        action = self._registry.action(f"{kind}.send")
        checked = action.Params.model_validate(params)
        for target in action.targets(checked):
            refused = self._connections.refusal(target)
            if refused:
                raise ActionFailed(Category.CONFIGURATION, refused, effect_possible=False)
        world = self._connections.world(writable=True, timeout=30.0)
        output = cast(Sending, action).send(checked, world, key)
        return output if isinstance(output, dict) else {}


def _line(text: str, most: int) -> str:
    told = "".join(char if char.isprintable() else " " for char in text)
    return told if len(told) <= most else told[: most - 1] + "…"


def fetcher(
    registry: Registry, connections: Connections
) -> Callable[[str, str, Mapping[str, Any]], Any]:
    """Return a function that reads a document by the action `KIND.get` of a connection."""

    def fetch(connection: str, path: str, query: Mapping[str, Any]) -> Any:
        kind = connections.get(connection).kind.kind
        action = registry.action(f"{kind}.get")
        params = action.Params.model_validate(
            {"connection": connection, "path": path, "query": dict(query), "max_bytes": "4Mi"}
        )
        for target in action.targets(params):
            refused = connections.refusal(target)
            if refused:
                raise ActionFailed(Category.CONFIGURATION, refused, effect_possible=False)
        world = connections.world(writable=False, timeout=15.0)
        return cast(Any, action).read(params, world)["body"]

    return fetch


def roster_of(
    config: EscalationConfig, policy: Policy, registry: Registry, connections: Connections
) -> Roster:
    """Return who is on call by the configured schedules."""
    return Roster(config, policy, fetcher(registry, connections))
