"""The client that actions use: JSON in and out, guarded, bounded in time and size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from actions.kubernetes.failures import Refused, refused
from actions.kubernetes.guard import (
    Allow,
    refuse_always,
    refuse_command,
    refuse_target,
    refuse_write,
)
from actions.kubernetes.kinds import Kinds
from actions.kubernetes.resources import Resource, built_in, read_path
from actions.kubernetes.transport import Transport
from engine.contract import ActionFailed, Category
from engine.domain.canonical import JsonObject
from engine.domain.clock import Clock

MANAGER = "stanch"  # the field manager of every write
PAGE = 250
RELISTS = 3  # times that a listing is begun anew whose next page is gone


@dataclass(frozen=True)
class Limits:
    """Seconds for one answer; bytes of one answer."""

    timeout: float = 10.0
    max_bytes: int = 16 * 2**20


class KubernetesClient:
    """Talks to one API server. Safe to share between threads.

    Args:
        writable: False lets reads and dry runs through and nothing else.
        used: told of each kind that was looked up: `discovery`, and whether it was known already.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        clock: Clock,
        writable: bool,
        allow: Allow | None = None,
        limits: Limits | None = None,
        used: Callable[[str, bool], None] | None = None,
    ) -> None:
        self.name = name
        self.writable = writable
        self._transport = transport
        self._clock = clock
        self._allow = allow or Allow()
        self._limits = limits or Limits()
        self.kinds = Kinds(name, self.get_json, used)

    # -- kinds

    def resource(self, kind: str, api_version: str | None = None) -> Resource:
        """Return where `kind` stands; see `Kinds.find`."""
        return self.kinds.find(kind, api_version)

    # -- requests

    def get(self, resource: Resource, namespace: str, name: str) -> JsonObject:
        """Return an object.

        Raises:
            ActionFailed: classified; `failures.Refused` where the server answered.
        """
        return self.get_json(resource.path(namespace, name))

    def get_json(self, path: str, query: Mapping[str, str] | None = None) -> JsonObject:
        return self._object(self.request("GET", path, query), path)

    def await_change(
        self, resource: Resource, place: tuple[str, str], version: str, within: float
    ) -> None:
        """Wait until the object (namespace, name) is another than of `version`, or `within` seconds are over.

        It returns also where the server no longer knows that version (410): the object is to be read anew.

        Raises:
            ActionFailed: classified; (transient) the watch broke off.
        """
        path = resource.path(place[0])
        seconds = max(1, int(within))
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={place[1]}",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
            "allowWatchBookmarks": "true",
        }
        self._check("GET", path, query, None)
        allowed = seconds + self._limits.timeout
        status, headers, answer = self._transport.first(path, query, timeout=allowed)
        if 200 <= status < 300 or status == 410:
            return
        what = f"kubernetes connection {self.name!r}: GET {path} (watch)"
        now = self._clock.now()
        raise refused(what, status, headers, answer, now=now, write=False, secret=False)

    def _pages(
        self, resource: Resource, namespace: str, query: dict[str, str], limit: int
    ) -> tuple[list[JsonObject], bool]:
        items: list[JsonObject] = []
        while True:
            page = self.get_json(resource.path(namespace), query)
            head = {"apiVersion": resource.api_version, "kind": resource.kind}
            items += [head | item for item in page.get("items") or []]
            following = (page.get("metadata") or {}).get("continue")
            if len(items) > limit or not following:
                return items[:limit], len(items) > limit
            query = {**query, "continue": following}

    def list(
        self,
        resource: Resource,
        namespace: str,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 500,
    ) -> tuple[list[JsonObject], bool]:
        """Return up to `limit` objects, page by page, and whether there are more.

        A listing whose next page the server has let go (410) is begun anew, a few times.

        Raises:
            ActionFailed: classified.
        """
        query = {"limit": str(min(PAGE, limit + 1))}
        if labels:
            query["labelSelector"] = labels
        if fields:
            query["fieldSelector"] = fields
        for left in range(RELISTS, -1, -1):
            try:
                return self._pages(resource, namespace, query, limit)
            except Refused as error:
                if error.code != 410 or not left:
                    raise
        raise AssertionError  # the last round returns or raises

    def patch(
        self,
        path: str,
        body: Any,
        content_type: str,
        *,
        dry_run: bool = False,
    ) -> JsonObject:
        """Patch what `path` names and return the answer.

        Raises:
            ActionFailed: classified.
        """
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        return self._object(self.request("PATCH", path, query, body, content_type), path)

    def create(self, path: str, body: JsonObject, *, dry_run: bool = False) -> JsonObject:
        """Post `body` to a collection or a subresource and return the answer.

        Raises:
            ActionFailed: classified.
        """
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        return self._object(self.request("POST", path, query, body), path)

    def delete(self, path: str, options: JsonObject, *, dry_run: bool = False) -> None:
        """Delete what `path` names under `options` (DeleteOptions).

        Raises:
            ActionFailed: classified.
        """
        query = {"dryRun": "All"} if dry_run else {}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **options}
        self.request("DELETE", path, query, body)

    def may(
        self,
        verb: str,
        resource: Resource,
        namespace: str,
        *,
        name: str = "",
        subresource: str = "",
    ) -> bool:
        """Ask the server whether this client has a right.

        Raises:
            ActionFailed: classified.
        """
        attributes = {
            "namespace": namespace,
            "verb": verb,
            "group": resource.group,
            "resource": resource.plural,
            "subresource": subresource,
            "name": name,
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self._object(self.request("POST", path, {}, body, "application/json"), path)
        return bool((answer.get("status") or {}).get("allowed"))

    def text(self, path: str, query: Mapping[str, str], limit: int) -> str:
        """Return the text that `path` answers, at most `limit` bytes of it.

        Raises:
            ActionFailed: classified.
        """
        return self.request("GET", path, query, limit=limit).decode(errors="replace")

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        *,
        limit: int | None = None,
    ) -> bytes:
        """Send one request and return the body of a successful answer.

        Raises:
            ActionFailed: the request is not allowed, no answer came, or it was a refusal.
        """
        query = dict(query or {})
        self._check(method, path, query, body)
        status, headers, answer = self._transport.send(
            method,
            path,
            query,
            body,
            content_type,
            timeout=self._limits.timeout,
            limit=self._limits.max_bytes if limit is None else limit,
        )
        if 200 <= status < 300:
            return answer
        place = read_path(path)
        raise refused(
            f"kubernetes connection {self.name!r}: {method} {path}",
            status,
            headers,
            answer,
            now=self._clock.now(),
            write=method != "GET" and query.get("dryRun") != "All",
            secret=place is not None and place.plural == "secrets",
        )

    def run(
        self,
        pod: tuple[str, str],
        container: str,
        command: Sequence[str],
        take: Callable[[int, bytes], None],
        *,
        timeout: float,
    ) -> bool:
        """Run a command in a container; return whether it ended within `timeout` seconds.

        Raises:
            ActionFailed: it may not, or it could not be started.
        """
        resource = built_in("Pod")
        assert resource is not None
        path = resource.path(*pod, "exec")
        reason = refuse_command(self._allow, command) or refuse_target(self._allow, path, {})
        if not self.writable:
            reason = "a read-only client runs no commands"
        if reason is not None:
            raise self._not_sent(reason)
        query = [("container", container), ("stdout", "true"), ("stderr", "true")]
        query += [("command", word) for word in command]
        status, headers, answer, late = self._transport.run(path, query, take, timeout=timeout)
        if status != 101:
            what = f"kubernetes connection {self.name!r}: GET {path}"
            now = self._clock.now()
            raise refused(what, status, headers, answer, now=now, write=False, secret=False)
        return not late

    def may_run(self, command: Sequence[str]) -> None:
        """Raises ActionFailed (configuration) where the connection does not allow the command."""
        reason = refuse_command(self._allow, command)
        if reason is not None:
            raise self._not_sent(reason)

    def _not_sent(self, reason: str) -> ActionFailed:
        what = f"kubernetes connection {self.name!r}: not sent: {reason}"
        return ActionFailed(Category.CONFIGURATION, what, effect_possible=False)

    def _check(self, method: str, path: str, query: Mapping[str, str], body: Any) -> None:
        reason = refuse_always(path) or refuse_target(self._allow, path, self.kinds.by_place())
        if reason is None and not self.writable:
            reason = refuse_write(method, path, query, body)
        if reason is not None:
            raise self._not_sent(reason)

    def _object(self, body: bytes, path: str) -> JsonObject:
        try:
            value = orjson.loads(body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise self._failed(f"{path} answered something that is no JSON object")
        return value

    def _failed(self, what: str) -> ActionFailed:
        message = f"kubernetes connection {self.name!r}: {what}"
        return ActionFailed(Category.PERMANENT, message, effect_possible=False)

    def close(self) -> None:
        self._transport.close()
