"""`slack:`: the app that speaks for Stanch in Slack."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.contract.world import SecretRef
from engine.edges.settings.chat import Url
from engine.language.diagnostics import Report
from engine.language.forms import Form
from engine.language.yamlnodes import Node


class SlackConfig(Form):
    """The app in Slack."""

    token: SecretRef = Field(description="Where the bot's token stands", examples=["{env: NAME}"])
    mode: Literal["http", "socket"] = Field(
        "http",
        description="How Slack reaches Stanch: by requests, or by a socket that Stanch opens",
    )
    signing_secret: SecretRef | None = Field(
        None, description="Where the signing secret stands; mode http needs it"
    )
    app_token: SecretRef | None = Field(
        None, description="Where the app-level token stands; mode socket needs it"
    )
    channels: dict[str, str] = Field(
        {},
        description="Channels that actions may post to besides an incident's own, with their ids",
        examples=[{"updates": "C024BE7LH"}],
    )
    home: str | None = Field(
        None,
        description="The one of channels where gates of runs without an incident are asked",
        examples=["updates"],
    )
    base_url: Url = Field("https://slack.com/api", description="Slack's Web API")


def check_slack(root: Node, report: Report) -> None:
    """Each mode needs its own secret."""
    slack = root.get("slack")
    if slack is None or not isinstance(slack.value, dict):
        return
    home, channels = slack.get("home"), slack.value.get("channels")
    if home is not None and home.value not in (channels if isinstance(channels, dict) else {}):
        report.error(home, f"slack.channels has no {home.value!r}", hint="add it with its id")
    mode = slack.value.get("mode", "http")
    needed = {"http": "signing_secret", "socket": "app_token"}.get(str(mode))
    if needed is not None and needed not in slack.value:
        report.error(
            slack,
            f"slack.mode {mode} needs {needed}",
            hint=f"add {needed}: {{env: NAME}}",
        )
