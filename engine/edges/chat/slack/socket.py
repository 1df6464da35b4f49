"""Socket Mode: Slack's requests over a WebSocket that we open; each stored before it is acknowledged.

The client opens a new socket before it lets go of the old one. What was not acknowledged comes again, under
the same envelope id, and is then known.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web import WebClient

from engine.domain.errors import InvalidInput, StanchError
from engine.edges.chat.slack.errors import NETWORK
from engine.edges.chat.slack.requests import Request, of_command, of_interaction
from engine.journal.store import Store

_LOG = logging.getLogger("stanch.chat")
_FIRST, _LAST = 1.0, 60.0  # seconds between tries to connect


class Socket:
    """One connection to Slack, kept up until it is stopped."""

    def __init__(self, store: Store, app_token: str, base_url: str) -> None:
        self._store = store
        web = WebClient(base_url=base_url, timeout=10, retry_handlers=[])
        self._client = SocketModeClient(app_token=app_token, web_client=web)
        self._client.socket_mode_request_listeners.append(self._heard)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._connect, name="slack-socket", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._client.close()
        self._thread.join()

    def _connect(self) -> None:
        """Connect at first, however long Slack is away; the client keeps it up from then on."""
        wait = _FIRST
        while not self._stop.is_set():
            try:
                self._client.connect()
            except (SlackApiError, *NETWORK) as error:
                _LOG.warning("Socket Mode cannot connect, again in %g s: %s", wait, error)
                self._stop.wait(wait)
                wait = min(_LAST, wait * 2)
            else:
                return

    def _heard(self, client: Any, envelope: SocketModeRequest) -> None:
        try:
            request = _read(envelope)
            if request is not None:
                name = f"socket {envelope.envelope_id}"
                self._store.write(lambda tx: tx.inbox.take(name, request.kind, request.body))
        except InvalidInput as error:
            _LOG.warning("envelope %s: %s", envelope.envelope_id, error)
        except StanchError as error:
            _LOG.error(
                "envelope %s could not be stored and comes again: %s", envelope.envelope_id, error
            )
            return
        client.send_socket_mode_response(SocketModeResponse(envelope_id=envelope.envelope_id))


def _read(envelope: SocketModeRequest) -> Request | None:
    payload = envelope.payload if isinstance(envelope.payload, dict) else {}
    if envelope.type == "slash_commands":
        return of_command(payload)
    if envelope.type == "interactive":
        return of_interaction(payload)
    return None
