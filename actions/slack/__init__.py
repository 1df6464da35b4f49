"""Messages, edits and files in the chat."""

from actions.slack.messages import SlackFile, SlackMessage, SlackUpdate

DECLARATIONS = (SlackMessage, SlackUpdate, SlackFile)

__all__ = ["DECLARATIONS", "SlackFile", "SlackMessage", "SlackUpdate"]
