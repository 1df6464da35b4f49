"""The workspace: its calls, faults, forms and answers; every method refuses what Slack refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.domain.clock import Clock
from worlds.slack.blocks import check_blocks, check_view
from worlds.slack.channels import BOT
from worlds.slack.messages import Messages, from_form
from worlds.slack.refusals import Refused

TOKEN, APP_TOKEN, SECRET = "xoxb-test", "xapp-test", "signing-secret"
_SCOPES = {
    "conversations.create": "channels:manage",
    "conversations.archive": "channels:manage",
    "conversations.invite": "channels:manage",
    "conversations.setTopic": "channels:manage",
    "conversations.join": "channels:join",
    "conversations.list": "channels:read",
    "conversations.info": "channels:read",
    "conversations.history": "channels:history",
    "conversations.replies": "channels:history",
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "chat.postEphemeral": "chat:write",
    "pins.add": "pins:write",
    "bookmarks.add": "bookmarks:write",
    "bookmarks.list": "bookmarks:read",
    "usergroups.users.list": "usergroups:read",
    "files.getUploadURLExternal": "files:write",
    "files.completeUploadExternal": "files:write",
}
MINUTES = 30  # of a response_url
USES = 5


@dataclass
class ResponseUrl:
    channel: str
    user: str
    at: float
    uses: int = 0


class Workspace(Messages):
    """One workspace with one app. Safe to share between threads.

    Attributes:
        calls: every call of a method that was made, in order: (method, arguments).
        faults: by method, what to do with the next calls; see `fault`.
        down: whether Slack is away: nothing is answered.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.groups: dict[str, list[str]] = {}
        self.scopes = {*_SCOPES.values(), "commands"}
        self.views: list[tuple[str, dict[str, Any]]] = []
        self.urls: dict[str, ResponseUrl] = {}
        self.answers: list[tuple[str, dict[str, Any]]] = []  # (user, message) by response_url
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.refused_at: list[tuple[str, float]] = []  # 429s: (method, time)
        self.faults: dict[str, list[str]] = {}
        self.down = False
        self._triggers: dict[str, float] = {}

    # ------------------------------------------------------------ for tests and people

    def fault(self, method: str, *what: str) -> None:
        """Let the next calls of a method go wrong: an error's code, `lost` (done, but the answer is cut),
        `dropped` (cut before it is done), `429 SECONDS` or `500`."""
        self.faults.setdefault(method, []).extend(what)

    def trigger(self) -> str:
        trigger = self._id("T")
        self._triggers[trigger] = self.clock.now().timestamp()
        return trigger

    def response_url(self, base: str, channel: str, user: str) -> str:
        url = f"{base}/response/{self._id('R')}"
        self.urls[url] = ResponseUrl(channel, user, self.clock.now().timestamp())
        return url

    # ------------------------------------------------------------ calls

    def call(self, method: str, token: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one call.

        Raises:
            Refused, TooMany.
        """
        with self.lock:
            self.calls.append((method, dict(given)))
            if method == "apps.connections.open":
                if token != APP_TOKEN:
                    raise Refused("not_allowed_token_type" if token == TOKEN else "invalid_auth")
                return {}
            if token != TOKEN:
                raise Refused("not_authed" if not token else "invalid_auth")
            scope = _SCOPES.get(method)
            if scope is not None and scope not in self.scopes:
                raise Refused("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))
            handler: Callable[[Mapping[str, Any]], dict[str, Any]] | None
            handler = getattr(self, "_" + method.replace(".", "_").lower(), None)
            if handler is None:
                raise Refused("unknown_method")
            answer: dict[str, Any] = handler(given)
            return answer

    def respond(self, url: str, message: Mapping[str, Any]) -> None:
        """Take an answer at a response_url. Raises Refused where it is used up or too old."""
        with self.lock:
            known = self.urls.get(url)
            if known is None:
                raise Refused("no_service")
            age = self.clock.now().timestamp() - known.at
            if known.uses >= USES or age > MINUTES * 60:
                raise Refused("used_url" if known.uses >= USES else "expired_url")
            if "blocks" in message:
                check_blocks(message["blocks"])
            known.uses += 1
            self.answers.append((known.user, dict(message)))

    def _auth_test(self, given: Mapping[str, Any]) -> dict[str, Any]:
        del given
        return {"user": "stanch", "user_id": BOT, "team_id": "T1", "url": "https://test.slack.com/"}

    def _usergroups_users_list(self, given: Mapping[str, Any]) -> dict[str, Any]:
        group = self.groups.get(str(given.get("usergroup")))
        if group is None:
            raise Refused("no_such_subteam")
        return {"users": group}

    def _views_open(self, given: Mapping[str, Any]) -> dict[str, Any]:
        at = self._triggers.pop(str(given.get("trigger_id")), None)
        if at is None:
            raise Refused("invalid_trigger_id")
        if self.clock.now().timestamp() - at > 3:
            raise Refused("expired_trigger_id")
        view = from_form(given.get("view"))
        check_view(view)
        self.views.append((str(given.get("trigger_id")), view))
        return {"view": view}
