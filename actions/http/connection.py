"""The `http` connection: one base URL, its authentication, and a client that goes nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

from actions.http.settings import HttpSettings, check_path
from engine.contract import ActionFailed, Category, ConnectionKind, Opening, Target
from engine.contract.redact import Redactor
from engine.contract.status import category_of, retry_after
from engine.domain.canonical import Json, JsonObject

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True)
class Answer:
    """What came back, read whole and masked."""

    status: int
    headers: Mapping[str, str]
    body: Json

    def as_json(self) -> JsonObject:
        return {"status": self.status, "headers": dict(self.headers), "body": self.body}


class HttpClient:
    """Sends requests below one base URL. Safe to share between threads."""

    def __init__(self, opening: Opening, concealed: Iterable[str] = ()) -> None:
        """Open it; `concealed` are more values to mask than those it authenticates with."""
        import httpx

        self.name = opening.name
        self.settings = cast(HttpSettings, opening.settings)
        self.writable = opening.writable
        self._clock = opening.clock
        secrets: list[str] = list(concealed)
        headers = dict(self.settings.headers)
        auth: tuple[str, str] | None = None
        if self.settings.bearer:
            secrets.append(opening.secret(self.settings.bearer))
            headers["Authorization"] = f"Bearer {secrets[-1]}"
        if self.settings.header:
            secrets.append(opening.secret(self.settings.header.value))
            headers[self.settings.header.name] = secrets[-1]
        if self.settings.basic:
            secrets.append(opening.secret(self.settings.basic.password))
            auth = (self.settings.basic.username, secrets[-1])
        self._redactor = Redactor(secrets)
        self._client = httpx.Client(
            headers=headers,
            auth=auth,
            timeout=self.settings.timeout,
            verify=_verification(self.settings),
            follow_redirects=False,
            trust_env=False,  # no proxy and no netrc: requests go to the configured host only
            transport=opening.transport,  # None but in rehearsals
        )

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Json = None,
        content_type: str = "application/json",
        expect: Iterable[int] = (),
        max_bytes: int | None = None,
    ) -> Answer:
        """Send one request and read the answer whole.

        Args:
            expect: statuses that are no failure; empty means 200 to 299.

        Raises:
            ActionFailed: classified; (permanent) the request is not let through; nothing was sent.
        """
        self._guard(method, path)
        content = _content(body, content_type)
        sent = dict(headers or {})
        if content is not None:
            sent["Content-Type"] = content_type
        limit = min(max_bytes or self.settings.max_bytes, self.settings.max_bytes)
        answer, raw = self._exchange(method, path, dict(query or {}), sent, content, limit)
        wanted = set(expect)
        fine = answer.status_code in wanted if wanted else answer.is_success
        masked = self._redactor.text(raw.decode(answer.encoding or "utf-8", "replace"))
        if not fine:
            raise self._unexpected(method, path, answer, masked)
        return Answer(answer.status_code, self._shown(answer), _parsed(answer, masked))

    def lines(
        self, path: str, *, max_bytes: int, max_line: int, query: Mapping[str, Any] | None = None
    ) -> Iterator[str]:
        """Yield the lines of a GET's answer, masked, holding no more than one of them.

        Raises:
            ActionFailed: classified; (data) the answer or a line is too large; (transient) it broke off.
        """
        import httpx

        self._guard("GET", path)
        url = self.settings.url.rstrip("/") + path
        try:
            with self._client.stream("GET", url, params=dict(query or {}) or None) as answer:
                if not answer.is_success:
                    raw = next(answer.iter_bytes(4096), b"")
                    said = self._redactor.text(raw.decode("utf-8", "replace"))
                    raise self._unexpected("GET", path, answer, said)
                for line in _lines(answer.iter_bytes(), max_bytes, max_line):
                    if line is None:
                        what = f"GET {path}: over {max_bytes} bytes, or a line over {max_line}"
                        raise self._failed(Category.DATA, what, sent=False)
                    yield self._redactor.text(line.decode("utf-8", "replace"))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise self._unconnected(error) from None
        except httpx.TransportError as error:
            said = type(error).__name__ + (f": {error}" if str(error) else "")
            raise self._failed(Category.TRANSIENT, f"GET {path}: {said}", sent=False) from None

    def _guard(self, method: str, path: str) -> None:
        try:
            check_path(path)
        except ValueError as error:
            raise self._failed(Category.PERMANENT, f"path {error}", sent=False) from None
        if not self.settings.allows(method, path):
            what = f"{method} {path} is not in the allow-list"
            raise self._failed(Category.CONFIGURATION, what, sent=False)
        if not self.writable and not self.settings.is_safe(method, path):
            what = f"this world is read-only, and {method} {path} may change something; not sent"
            raise self._failed(Category.PERMANENT, what, sent=False)

    def _exchange(
        self,
        method: str,
        path: str,
        query: dict[str, Any],
        headers: dict[str, str],
        content: bytes | None,
        limit: int,
    ) -> tuple[httpx.Response, bytes]:
        import httpx

        url = self.settings.url.rstrip("/") + path
        try:
            with self._client.stream(
                method, url, params=query or None, headers=headers, content=content
            ) as answer:
                raw = bytearray()
                for chunk in answer.iter_bytes():
                    raw += chunk
                    if len(raw) > limit:
                        what = f"{method} {path}: the answer is larger than {limit} bytes"
                        raise self._failed(Category.DATA, what)
                return answer, bytes(raw)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise self._unconnected(error) from None
        except httpx.TimeoutException:
            what = f"{method} {path}: no answer within {self.settings.timeout:g} s"
            raise self._failed(Category.TRANSIENT, what) from None
        except httpx.TransportError as error:
            raise self._failed(Category.TRANSIENT, f"{method} {path}: {error}") from None

    def _unconnected(self, error: Exception) -> ActionFailed:
        secure = "certificate" in str(error).lower() or "ssl" in str(error).lower()
        category = Category.CONFIGURATION if secure else Category.TRANSIENT
        return self._failed(category, f"cannot connect: {error}", sent=False)

    def _unexpected(
        self, method: str, path: str, answer: httpx.Response, text: str
    ) -> ActionFailed:
        status = answer.status_code
        said = " ".join(text.split())[:200]
        if 300 <= status < 400:
            what = f"{method} {path}: answered {status}, a redirect, which is not followed"
            return self._failed(Category.CONFIGURATION, what, sent=False)
        category = category_of(status, said)
        # A refusal says that nothing was done; 408, 409 and server errors leave it open.
        done = status >= 500 or status in (408, 409, 425)
        what = f"{method} {path}: answered {status}" + (f": {said}" if said else "")
        after = retry_after(answer.headers, self._clock.now())
        return self._failed(category, what, sent=done or status < 400, after=after)

    def _shown(self, answer: httpx.Response) -> dict[str, str]:
        kept = ("content-type", "etag", "last-modified", "location", "retry-after")
        return {
            name: self._redactor.text(answer.headers[name])
            for name in kept
            if name in answer.headers
        }

    def _failed(
        self, category: Category, what: str, *, sent: bool = True, after: float | None = None
    ) -> ActionFailed:
        message = self._redactor.text(f"http connection {self.name!r}: {what}")
        return ActionFailed(category, message, retry_after=after, effect_possible=sent)

    def close(self) -> None:
        self._client.close()


def _verification(settings: HttpSettings) -> Any:
    import ssl

    if not settings.verify:
        return False
    return ssl.create_default_context(cafile=str(settings.ca) if settings.ca else None)


def _lines(
    chunks: Iterable[bytes], max_bytes: int, max_line: int
) -> Iterator[bytes | bytearray | None]:
    """Split into lines; None, once, where a limit is passed."""
    taken, rest = 0, bytearray()
    for chunk in chunks:
        taken += len(chunk)
        if taken > max_bytes:
            yield None
            return
        *whole, last = chunk.split(b"\n")
        for line in whole:
            rest += line
            yield rest if len(rest) <= max_line else None
            rest = bytearray()
        rest += last
        if len(rest) > max_line:
            yield None
            return
    if rest:
        yield rest


def _content(body: Json, content_type: str) -> bytes | None:
    if body is None:
        return None
    if "json" in content_type:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    if not isinstance(body, str):
        what = f"a body of {content_type} must be text; leave content_type out to send JSON"
        raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
    return body.encode()


def _parsed(answer: httpx.Response, text: str) -> Json:
    """Return JSON where the server says that it is JSON, else text, else null."""
    if "json" in answer.headers.get("content-type", ""):
        try:
            return json.loads(text, parse_constant=lambda name: name)
        except ValueError:
            return text
    return text or None


class HttpKind(ConnectionKind):
    """Connections to HTTP services."""

    kind = "http"
    Settings = HttpSettings

    def open(self, opening: Opening) -> HttpClient:
        return HttpClient(opening)

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        assert isinstance(settings, HttpSettings)
        method, _, path = target.path.partition(" ")
        if settings.allows(method, path):
            return None
        return f"{target.path} is not in the allow-list of connection {target.connection!r}"

    def check(self, client: HttpClient) -> Mapping[str, str]:
        """Any answer to a HEAD of the base URL shows that the host is there."""
        import httpx

        try:
            answer = client._client.head(client.settings.url)
        except httpx.HTTPError as error:
            raise client._failed(Category.TRANSIENT, f"cannot be reached: {error}") from None
        if answer.status_code in (401, 407):
            raise client._failed(Category.CONFIGURATION, f"answered {answer.status_code}")
        return {"status": str(answer.status_code)}

    def close(self, client: HttpClient) -> None:
        client.close()
