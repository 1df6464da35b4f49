"""Asks Slack what an app may do, and changes nothing: for `stanch doctor`."""

from __future__ import annotations

from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web import WebClient

from engine.domain.errors import StanchError
from engine.edges.chat.slack.errors import NETWORK, code_of

SCOPES = (
    *("chat:write", "channels:manage", "channels:read", "channels:history", "channels:join"),
    *("pins:write", "bookmarks:write", "bookmarks:read", "files:write", "usergroups:read"),
    "commands",
)
TIMEOUT = 10  # seconds


class Examining:
    """The checks. Each returns what is well, in words.

    Raises:
        StanchError: of each check, what is not.
    """

    def __init__(self, token: str, base_url: str) -> None:
        self._web = WebClient(token, base_url=base_url, timeout=TIMEOUT, retry_handlers=[])

    def identity(self) -> str:
        answer = self._ask("auth.test")
        return f"is {answer.get('user') or answer.get('user_id')} in {answer.get('url')}"

    def rights(self) -> str:
        """Slack names a token's scopes in a header of every answer (docs.slack.dev, "OAuth scopes")."""
        headers = {name.lower(): text for name, text in self._ask("auth.test").headers.items()}
        given = headers.get("x-oauth-scopes")
        if given is None:
            raise StanchError("Slack did not say which scopes the token has")
        missing = set(SCOPES) - {one.strip() for one in given.split(",")}
        if missing:
            raise StanchError(f"missing: {', '.join(sorted(missing))}")
        return f"all {len(SCOPES)} are there"

    def channel(self, channel: str) -> str:
        found = self._ask("conversations.info", channel=channel)["channel"]
        if found.get("is_archived"):
            raise StanchError(f"#{found['name']} is archived")
        if not found.get("is_member"):
            raise StanchError(f"the app is not in #{found['name']}")
        return f"#{found['name']}"

    def group(self, group: str) -> str:
        count = len(self._ask("usergroups.users.list", usergroup=group)["users"])
        if not count:
            raise StanchError("nobody is in it")
        return f"{count} people"

    def socket(self) -> str:
        self._ask("apps.connections.open")
        return "can be opened"

    def _ask(self, method: str, **given: str) -> Any:
        try:
            return self._web.api_call(method, data=given)
        except SlackApiError as error:
            raise StanchError(f"{method}: {code_of(error) or error}") from None
        except NETWORK as error:
            raise StanchError(f"{method}: Slack cannot be reached: {error}") from None
