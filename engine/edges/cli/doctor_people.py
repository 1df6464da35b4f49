"""The part of `stanch doctor` that examines how people are reached: Slack, schedules, pagers' secrets."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from engine.domain.errors import StanchError
from engine.edges.cli.findings import Finding, attempt
from engine.edges.settings.slack import SlackConfig


def examine_people(application: Any) -> Iterator[Finding]:
    """Yield what is found about those ways to people that the configuration names."""
    slack: SlackConfig | None = application.config.slack
    if slack is not None:
        yield from _slack(application, slack)
    escalation = application.config.escalation
    for name in sorted(escalation.schedules):
        yield attempt(
            f"on call {name}",
            functools.partial(_on_call, application, name),
            "mend the file or the connection that escalation.schedules names",
        )
    for provider, reference in escalation.acknowledgements:
        if reference is not None:
            yield attempt(
                f"acknowledgements from {provider}",
                functools.partial(_secret, application, reference, "its secret is there"),
                "set the secret, or nobody who acknowledges there stops the calls here",
            )


def _on_call(application: Any, name: str) -> str:
    duty = application.roster.who(name, application.clock.now())
    if not duty.names:
        raise StanchError(f"nobody is on call by {duty.source}")
    if not duty.ways:
        told = (
            f"{', '.join(duty.names)} is on call, and escalation.people says no way to reach them"
        )
        raise StanchError(told)
    return f"{', '.join(duty.names)}, by {duty.source}"


def _secret(application: Any, reference: Any, told: str) -> str:
    if not application.reference(reference).strip():
        raise StanchError("it is empty")
    return told


def _slack(application: Any, slack: SlackConfig) -> Iterator[Finding]:
    from engine.edges.chat.building import ids_of
    from engine.edges.chat.slack.examining import Examining

    token: list[str] = []

    def learn() -> str:
        token.append(application.reference(slack.token))
        return "is there"

    read = attempt("slack token", learn, "set what slack.token names")
    if not read.ok:
        yield read
    else:
        at = Examining(token[0], f"{slack.base_url}/")
        yield attempt("slack token", at.identity, "copy the bot token anew from the app's page")
        yield attempt(
            "slack scopes", at.rights, "add them to the app (OAuth & Permissions) and install it"
        )
        for name, channel in sorted(slack.channels.items()):
            work = functools.partial(at.channel, channel)
            yield attempt(f"slack channel {name}", work, "invite the app, or mend slack.channels")
        groups = {one for ids in ids_of(application.config.directory).values() for one in ids} - {
            user for who in application.config.directory.people.values() for user in who.slack
        }
        for group in sorted(groups):
            work = functools.partial(at.group, group)
            yield attempt(f"slack group {group}", work, "mend the groups of roles:")
    if slack.mode == "http":
        assert slack.signing_secret is not None  # the configuration was checked
        work = functools.partial(_secret, application, slack.signing_secret, "is there")
        yield attempt("slack signing secret", work, "set what slack.signing_secret names")
    else:
        yield attempt(
            "slack socket mode",
            functools.partial(_socket, application, slack),
            "turn Socket Mode on, and give the app-level token connections:write",
        )


def _socket(application: Any, slack: SlackConfig) -> str:
    from engine.edges.chat.slack.examining import Examining

    return Examining(application.reference(slack.app_token), f"{slack.base_url}/").socket()
