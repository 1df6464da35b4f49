"""Where kinds stand that are not built in: asked of the server once, and kept."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping

from actions.kubernetes.resources import Resource, built_in, known_kinds
from engine.contract import ActionFailed, Category
from engine.domain.canonical import JsonObject


class UnknownKind(ActionFailed):
    """The server has no such kind."""

    def __init__(self, message: str) -> None:
        super().__init__(Category.PERMANENT, message, effect_possible=False)


class Kinds:
    """The kinds of one API server. Safe to share between threads.

    Args:
        name: the connection's name, for messages.
        get: asks the server for a document.
        used: told of each kind that was looked up: `discovery`, and whether it was known already.
    """

    def __init__(
        self,
        name: str,
        get: Callable[[str], JsonObject],
        used: Callable[[str, bool], None] | None = None,
    ) -> None:
        self._name = name
        self._get = get
        self._used = used
        self._known: dict[tuple[str, str], Resource] = {}
        self._lock = threading.Lock()

    def find(self, kind: str, api_version: str | None = None) -> Resource:
        """Return where `kind` stands; one that is not built in is looked up at the server.

        Raises:
            ActionFailed: (permanent) there is no such kind, or its apiVersion must be given.
        """
        found = built_in(kind, api_version)
        if found is not None:
            return found
        if api_version is None:
            what = f"kind {kind!r} is not built in: give its api_version; built in are: "
            raise self._unknown(what + ", ".join(known_kinds()))
        with self._lock:
            found = self._known.get((api_version, kind))
        if self._used is not None:
            self._used("discovery", found is not None)
        return found or self.discover(kind, api_version)

    def learn(self, kinds: Iterable[tuple[str, str]]) -> int:
        """Look kinds, each an (apiVersion, kind), up ahead of their use; return how many are known.

        A kind that the server does not have is left out: whoever uses it is told.

        Raises:
            ActionFailed: classified.
        """
        for api_version, kind in kinds:
            if built_in(kind, api_version) is None and (api_version, kind) not in self._known:
                with contextlib.suppress(UnknownKind):
                    self.discover(kind, api_version)
        return len(self._known)

    def discover(self, kind: str, api_version: str) -> Resource:
        """Ask the server where a kind stands, and keep it.

        Raises:
            UnknownKind: it has none of that name. ActionFailed: classified.
        """
        group, _, version = api_version.rpartition("/")
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        for entry in self._get(path).get("resources", []):
            if entry.get("kind") == kind and "/" not in entry.get("name", ""):
                namespaced = bool(entry["namespaced"])
                found = Resource(kind, group, version, entry["name"], namespaced)
                with self._lock:
                    self._known[api_version, kind] = found
                return found
        raise self._unknown(f"{api_version} has no kind {kind!r} on this cluster")

    def by_place(self) -> Mapping[tuple[str, str], str]:
        """Return the kinds known so far by (group, plural)."""
        with self._lock:
            return {(one.group, one.plural): one.kind for one in self._known.values()}

    def _unknown(self, what: str) -> UnknownKind:
        return UnknownKind(f"kubernetes connection {self._name!r}: {what}")
