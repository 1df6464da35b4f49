"""A Slack workspace in memory, as strict as Slack is: its Web API over HTTP, Socket Mode, and people who act."""

from worlds.slack.people import Person
from worlds.slack.server import SlackServer
from worlds.slack.workspace import Workspace

__all__ = ["Person", "SlackServer", "Workspace"]
