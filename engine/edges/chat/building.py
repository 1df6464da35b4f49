"""Builds the chat of a configuration."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from engine.domain.canonical import JsonObject
from engine.domain.people import Actor
from engine.edges.chat.commands import Commands
from engine.edges.chat.console import ConsoleChat
from engine.edges.chat.delivering import Deliverer
from engine.edges.chat.hearing import Forms, Hearing
from engine.edges.chat.outgoing import OutgoingChat
from engine.edges.chat.port import Chat
from engine.edges.chat.service import ChatService, Listener, Tells
from engine.edges.desk.acting import Desk
from engine.edges.desk.directory import Directory
from engine.edges.desk.people import actor_of_slack
from engine.edges.settings.chat import ChatConfig
from engine.edges.settings.slack import SlackConfig
from engine.incidents.telling.elsewhere import Elsewhere
from engine.incidents.telling.settings import Telling
from engine.incidents.telling.teller import Teller

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_WIDTH = 100


def plan_text(document: JsonObject) -> str:
    """Return a plan as the command line prints it, without colours."""
    from engine.edges.cli.render.plan import plan

    return _written(plan(document))


def brakes_text(view: JsonObject) -> str:
    """Return all brakes as the command line prints them."""
    from engine.edges.cli.render.brakes import brakes

    return _written(brakes(view))


def _written(shown: Any) -> str:
    from rich.console import Console

    written = io.StringIO()
    console = Console(file=written, width=_WIDTH, color_system=None, force_terminal=False)
    console.print(shown)
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines())


def telling_of(config: Any) -> Telling:
    chat: ChatConfig = config.chat
    cadence = chat.cadence
    return Telling(
        channel=chat.channel,
        cadence={"P0": cadence.P0, "P1": cadence.P1, "P2": cadence.P2},
        invite=tuple(chat.invite),
        commander=chat.commander,
        remind=chat.remind,
        archive_after=chat.archive_after,
        pages=chat.pages,
        upload=chat.upload,
        personal=config.personal,
        plan_text=plan_text,
    )


def ids_of(directory: Directory) -> dict[str, list[str]]:
    """Return who stands for each role in the chat: its groups, and its members' own users."""
    found = {}
    for name, role in directory.roles.items():
        people = [directory.people[one] for one in role.members if one in directory.people]
        found[name] = [*role.groups, *(user for person in people for user in person.slack)]
    return found


def chat_of(application: Any) -> ChatService:
    """Build the chat that the configuration names: Slack, else the console."""
    config, store = application.config, application.store
    slack: SlackConfig | None = config.slack
    chat: Chat
    forms: Forms
    routes: list[BaseRoute] = []
    listener: Listener | None = None
    if slack is None:
        chat, forms = ConsoleChat(_print), NoForms()
    else:
        chat, forms, routes, listener = _slack(application, slack)
    telling = telling_of(config)
    teller = Teller(store, telling)

    def actor_of(user: str, groups: Collection[str]) -> Actor:
        return actor_of_slack(application.config.directory, user, groups)

    desk = Desk(application)
    hearing = Hearing(desk, Commands(desk, telling, brakes_text), forms, actor_of, chat.groups_of)
    deliverer = Deliverer(store, chat, application.clock.monotonic)
    tellers: list[Tells] = [teller]
    if slack is not None and slack.home is not None:
        tellers.append(Elsewhere(store, telling, slack.home, slack.channels[slack.home]))
    return ChatService(store, tellers, deliverer, hearing, routes, listener)


def voices_of(application: Any) -> Callable[[str | None], OutgoingChat]:
    """Return what speaks for an incident: the outbox alone, so that no secret of the chat is needed."""
    config, store = application.config, application.store
    channels = config.slack.channels if config.slack is not None else {}
    telling = telling_of(config)

    def ensure(incident_id: str) -> None:
        Teller(store, telling).ensure(incident_id)

    return lambda incident_id: OutgoingChat(store, incident_id, channels, ensure)


def _slack(
    application: Any, slack: SlackConfig
) -> tuple[Chat, Forms, list[BaseRoute], Listener | None]:
    from engine.edges.chat.slack.client import SlackChat
    from engine.edges.chat.slack.doors import Doors
    from engine.edges.chat.slack.forms import SlackForms
    from engine.edges.chat.slack.socket import Socket

    def secret(name: str, reference: Any) -> str:
        return str(application.secrets.learn(f"slack {name}", application.reference(reference)))

    store, clock = application.store, application.clock
    chat = SlackChat(
        secret("token", slack.token),
        clock,
        base_url=f"{slack.base_url}/",
        groups=ids_of(application.config.directory),
        is_taken=lambda channel: store.read(lambda tx: tx.outbox.lane_of(channel)) is not None,
        kept=lambda artifact: store.read(lambda tx: tx.artifacts.content(artifact)),
    )
    forms = SlackForms(chat.web)
    if slack.mode == "socket":
        token = secret("app token", slack.app_token)
        return chat, forms, [], Socket(store, token, f"{slack.base_url}/")
    doors = Doors(store, secret("signing secret", slack.signing_secret), clock)
    return chat, forms, list(doors.routes()), None


class NoForms:
    """Where there are no forms: the console has no buttons."""

    def decide(self, trigger: str, channel: str, gate: JsonObject, plan: JsonObject | None) -> None:
        del trigger, channel, gate, plan

    def done(self, trigger: str, channel: str, run: str, address: str) -> None:
        del trigger, channel, run, address


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
