"""The `http` connection: one base URL, its authentication, and a client that goes nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from pydantic import BaseModel

from actions.http.bodies import Answer, content_of, is_expected, parsed, split
from actions.http.settings import HttpSettings, check_path
from engine.contract import ActionFailed, Category, ConnectionKind, Grant, Opening, Target
from engine.contract.redact import Redactor
from engine.contract.status import category_of, retry_after
from engine.domain.canonical import Json

if TYPE_CHECKING:
    import ssl

    import httpx


class HttpClient:
    """Sends requests below one base URL. Safe to share between threads."""

    def __init__(self, opening: Opening, concealed: Iterable[str] = ()) -> None:
        """Open it; `concealed` are more values to mask than those it authenticates with."""
        import httpx

        self.name = opening.name
        self.settings = cast(HttpSettings, opening.settings)
        self.writable = opening.writable
        self._clock = opening.clock
        self._personal = opening.personal  # then no answer is quoted where everybody reads it
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
        transport = opening.transport  # None but in rehearsals
        if transport is None:
            from actions.http.pacing import PacedTransport

            transport = PacedTransport(_verification(self.settings))
        self._client = httpx.Client(
            headers=headers,
            auth=auth,
            timeout=self.settings.timeout,
            follow_redirects=False,
            trust_env=False,  # no proxy and no netrc: requests go to the configured host only
            transport=transport,
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
        content = content_of(body, content_type)
        sent = dict(headers or {})
        if content is not None:
            sent["Content-Type"] = content_type
        limit = min(max_bytes or self.settings.max_bytes, self.settings.max_bytes)
        answer, raw = self._exchange(method, path, dict(query or {}), sent, content, limit)
        return self._answer(method, path, answer, raw, expect)

    def _answer(
        self, method: str, path: str, answer: httpx.Response, raw: bytes, expect: Iterable[int]
    ) -> Answer:
        masked = self._redactor.text(raw.decode(answer.encoding or "utf-8", "replace"))
        if not is_expected(answer.status_code, expect):
            raise self._unexpected(method, path, answer, masked)
        following = answer.links.get("next", {}).get("url")
        return Answer(
            answer.status_code, self._shown(answer), parsed(answer.headers, masked), following
        )

    def reach(self) -> int:
        """Return the status of a HEAD of the base URL: whatever is answered, the host is there.

        Raises:
            ActionFailed: (transient) it cannot be reached.
        """
        import httpx

        try:
            return self._client.head(self.settings.url).status_code
        except httpx.HTTPError as error:
            raise self._failed(Category.TRANSIENT, f"cannot be reached: {error}") from None

    def upload(self, path: str, file: BinaryIO, filename: str, fields: Mapping[str, str]) -> Answer:
        """Post a file as a multipart form, read from the disk as it is sent.

        Raises:
            ActionFailed: as `send`.
        """
        self._guard("POST", path)
        form = {"data": dict(fields), "files": {"file": (filename, file)}}
        answer, raw = self._exchange("POST", path, {}, {}, None, self.settings.max_bytes, form)
        return self._answer("POST", path, answer, raw, ())

    def chunks(
        self,
        path: str,
        *,
        max_bytes: int,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        expect: Iterable[int] = (),
    ) -> Iterator[bytes]:
        """Yield a GET's answer piece by piece, as the server sends it, nothing masked.

        Raises:
            ActionFailed: classified; (data) the answer is too large; (transient) it broke off.
        """
        self._guard("GET", path)
        with self._streaming("GET", path, query, headers, None) as answer:
            if not is_expected(answer.status_code, expect):
                raw = next(answer.iter_bytes(4096), b"")
                said = self._redactor.text(raw.decode("utf-8", "replace"))
                raise self._unexpected("GET", path, answer, said)
            taken = 0
            for chunk in answer.iter_bytes():
                taken += len(chunk)
                if taken > max_bytes:
                    what = f"GET {path}: the answer is larger than {max_bytes} bytes"
                    raise self._failed(Category.DATA, what, sent=False)
                yield chunk

    def lines(
        self, path: str, *, max_bytes: int, max_line: int, query: Mapping[str, Any] | None = None
    ) -> Iterator[str]:
        """Yield the lines of a GET's answer, masked, holding no more than one of them.

        Raises:
            ActionFailed: classified; (data) the answer or a line is too large; (transient) it broke off.
        """
        for line in split(self.chunks(path, max_bytes=max_bytes, query=query), max_line):
            if line is None:
                what = f"GET {path}: a line is longer than {max_line} bytes"
                raise self._failed(Category.DATA, what, sent=False)
            yield self._redactor.text(line.decode("utf-8", "replace"))

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
        form: Mapping[str, Any] | None = None,
    ) -> tuple[httpx.Response, bytes]:
        with self._streaming(method, path, query, headers, content, form) as answer:
            raw = bytearray()
            for chunk in answer.iter_bytes():
                raw += chunk
                if len(raw) > limit:
                    what = f"{method} {path}: the answer is larger than {limit} bytes"
                    raise self._failed(Category.DATA, what, sent=self._may_act(method, path))
            return answer, bytes(raw)

    @contextmanager
    def _streaming(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        content: bytes | None,
        form: Mapping[str, Any] | None = None,
    ) -> Iterator[httpx.Response]:
        """Open an answer whose body is read later; whatever goes wrong till then is classified."""
        import httpx

        url = self.settings.url.rstrip("/") + path
        acts = self._may_act(method, path)
        try:
            with self._client.stream(
                method,
                url,
                params=dict(query or {}) or None,
                headers=headers,
                content=content,
                **(form or {}),
            ) as answer:
                yield answer
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise self._unconnected(error) from None
        except httpx.TimeoutException:
            what = f"{method} {path}: no answer within {self.settings.timeout:g} s"
            raise self._failed(Category.TRANSIENT, what, sent=acts) from None
        except httpx.TransportError as error:
            said = f"the answer broke off: {error or type(error).__name__}"
            raise self._failed(Category.TRANSIENT, f"{method} {path}: {said}", sent=acts) from None
        except httpx.DecodingError as error:
            what = f"{method} {path}: the answer is not encoded as it says: {error}"
            raise self._failed(Category.DATA, what, sent=acts) from None

    def _may_act(self, method: str, path: str) -> bool:
        return not self.settings.is_safe(method, path)

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
        done = (done or status < 400) and self._may_act(method, path)
        quoted = f": {said}" if said and not self._personal else ""
        what = f"{method} {path}: answered {status}{quoted}"
        after = retry_after(answer.headers, self._clock.now())
        return self._failed(category, what, sent=done, after=after)

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
    if settings.ca is None:
        return _public()
    return ssl.create_default_context(cafile=str(settings.ca))


@cache
def _public() -> ssl.SSLContext:
    """The system's authorities, read once a process: that takes longer than a request."""
    import ssl

    return ssl.create_default_context()


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

    def grant_text(self, settings: BaseModel, grants: Sequence[Grant], user: str) -> str:
        del settings, user
        named = sorted({f"{one.detail['method']} {one.detail['path']}" for one in grants})
        return "".join(f"{line}\n" for line in named)

    def check(self, client: HttpClient) -> Mapping[str, str]:
        """Any answer to a HEAD of the base URL shows that the host is there."""
        status = client.reach()
        if status in (401, 407):
            raise client._failed(Category.CONFIGURATION, f"answered {status}")
        return {"status": str(status)}

    def close(self, client: HttpClient) -> None:
        client.close()
