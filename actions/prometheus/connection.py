"""The `prometheus` connection: a PrometheusConnect whose session bounds time and size and follows nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actions.pace import pace_pools
from engine.contract import ActionFailed, Category, ConnectionKind, Opening, SecretRef, Target
from engine.contract.fields import Bytes, Seconds
from engine.contract.redact import Redactor
from engine.contract.status import category_of, retry_after
from engine.domain.canonical import JsonObject
from engine.domain.clock import Clock

if TYPE_CHECKING:
    from prometheus_api_client import PrometheusConnect


class Basic(BaseModel):
    """User name and password."""

    model_config = ConfigDict(extra="forbid")

    username: str
    password: SecretRef


class PrometheusSettings(BaseModel):
    """Settings of a `prometheus` connection. It only ever reads, so it has no target allow-list."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        description="Base URL of the server",
        pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$",
        examples=["http://127.0.0.1:9090"],
    )
    bearer: SecretRef | None = Field(None, description="Bearer token", examples=[{"env": "TOKEN"}])
    basic: Basic | None = Field(None, description="Basic authentication")
    ca: Path | None = Field(None, description="CA bundle to verify the server with")
    verify: bool = Field(True, description="Whether to verify the server's certificate")
    timeout: Seconds = Field(10.0, gt=0, le=300, description="Longest wait for one answer")
    max_bytes: Bytes = Field(10 * 2**20, gt=0, description="Largest answer taken")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.bearer and self.basic:
            raise ValueError("give bearer or basic, not both")
        return self


class PrometheusClient:
    """Asks one Prometheus server. Safe to share between threads."""

    def __init__(self, opening: Opening) -> None:
        settings = cast(PrometheusSettings, opening.settings)
        self._name = opening.name
        self._settings = settings
        secrets: list[str] = []
        headers: dict[str, str] = {}
        auth: tuple[str, str] | None = None
        if settings.bearer:
            secrets.append(opening.secret(settings.bearer))
            headers["Authorization"] = f"Bearer {secrets[0]}"
        if settings.basic:
            secrets.append(opening.secret(settings.basic.password))
            auth = (settings.basic.username, secrets[0])
        self._redactor = Redactor(secrets)
        self._connect = _connect(settings, headers, auth, opening, self._fail)

    def _fail(self, category: Category, what: str, after: float | None = None) -> ActionFailed:
        message = self._redactor.text(f"prometheus connection {self._name!r}: {what}")
        return ActionFailed(category, message, retry_after=after, effect_possible=False)

    def instant(self, query: str, at: float | None = None) -> Any:
        """Return `data.result` of an instant query.

        Args:
            query: PromQL, bound already.
            at: Unix time in seconds; None lets the server take its own now.

        Raises:
            ActionFailed: classified; the message holds what the server said.
        """
        params: JsonObject = {"timeout": f"{self._settings.timeout:g}s"}
        if at is not None:
            params["time"] = repr(at)
        with self._held_to_shape():
            return self._connect.custom_query(query, params, timeout=self._settings.timeout)

    def range(self, query: str, start: float, end: float, step: float) -> Any:
        """Return `data.result` of a range query from `start` to `end` every `step` seconds.

        Raises:
            ActionFailed: see `instant`.
        """
        from datetime import UTC, datetime

        with self._held_to_shape():
            return self._connect.custom_query_range(
                query,
                datetime.fromtimestamp(start, UTC),
                datetime.fromtimestamp(end, UTC),
                f"{step:g}",
                {"timeout": f"{self._settings.timeout:g}s"},
                timeout=self._settings.timeout,
            )

    @contextmanager
    def _held_to_shape(self) -> Iterator[None]:
        """Classify an answer that is JSON and no result: the library takes its shape for granted."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError):
            what = "answered 200 with no Prometheus result; is the url its base URL?"
            raise self._fail(Category.CONFIGURATION, what) from None

    def version(self) -> str:
        """Return the server's version.

        Raises:
            ActionFailed: it does not answer.
        """
        session = self._connect._session
        answer = session.request("GET", f"{self._settings.url.rstrip('/')}/api/v1/status/buildinfo")
        return str(answer.json().get("data", {}).get("version", "unknown"))

    def close(self) -> None:
        self._connect._session.close()


def _connect(
    settings: PrometheusSettings,
    headers: Mapping[str, str],
    auth: tuple[str, str] | None,
    opening: Opening,
    fail: Any,
) -> PrometheusConnect:
    """Build the client over a session that classifies every failure before the library sees it."""
    import requests
    from prometheus_api_client import PrometheusConnect
    from urllib3.util.retry import Retry

    class BoundedSession(requests.Session):
        """Follows no redirect, reads at most `max_bytes`, and raises only ActionFailed."""

        def request(self, method: Any, url: Any, *args: Any, **keywords: Any) -> requests.Response:
            keywords.update(stream=True, allow_redirects=False)
            keywords.setdefault("timeout", settings.timeout)
            try:
                answer = super().request(method, url, *args, **keywords)
                answer._content = _body(answer, settings.max_bytes)
            except (requests.exceptions.SSLError, requests.exceptions.InvalidURL) as error:
                raise fail(Category.CONFIGURATION, f"cannot be reached safely: {error}") from None
            except requests.exceptions.Timeout:
                what = f"no answer within {settings.timeout:g} s"
                raise fail(Category.TRANSIENT, what) from None
            except requests.exceptions.RequestException as error:
                what = f"cannot be reached: {error}"
                if (
                    "Read timed out" in what
                ):  # without retries the library hides it among the others
                    what = f"no answer within {settings.timeout:g} s"
                raise fail(Category.TRANSIENT, what) from None
            if answer._content is None:
                what = f"the answer is larger than {settings.max_bytes} bytes; narrow the query"
                raise fail(Category.DATA, what)
            if answer.status_code == 200 and _is_json(answer):
                return answer
            raise _refusal(answer, opening.clock, fail)

    session = BoundedSession()
    session.trust_env = False  # no proxy and no netrc: requests go to the configured server only
    session.verify = str(settings.ca) if settings.ca else settings.verify
    session.headers.update(headers)
    # The engine's retry policy decides about retries, so the library makes none.
    connect = PrometheusConnect(
        url=settings.url.rstrip("/"), session=session, auth=auth, retry=Retry(total=0)
    )
    for adapter in session.adapters.values():
        pace_pools(adapter.poolmanager)  # type: ignore[attr-defined]
    if opening.transport is not None:  # a rehearsal's world, an adapter of `requests`
        session.adapters.clear()
        session.mount("", opening.transport)
    return connect


def _body(answer: Any, limit: int) -> bytes | None:
    taken = bytearray()
    for chunk in answer.iter_content(64 * 1024):
        taken += chunk
        if len(taken) > limit:
            answer.close()
            return None
    return bytes(taken)


def _is_json(answer: Any) -> bool:
    try:
        return isinstance(answer.json(), dict)
    except ValueError:
        return False


def _refusal(answer: Any, clock: Clock, fail: Any) -> ActionFailed:
    """Turn an answer that is no result into a failure with Prometheus's own words."""
    status: int = answer.status_code
    said = answer.json().get("error", "") if _is_json(answer) else answer.text[:200]
    if status == 400:
        return cast(ActionFailed, fail(Category.PERMANENT, f"refuses the query: {said}"))
    if status == 200 or 300 <= status < 400 or status == 404:
        what = f"answered {status} with no Prometheus result; is the url its base URL?"
        return cast(ActionFailed, fail(Category.CONFIGURATION, what))
    after = retry_after(answer.headers, clock.now())
    return cast(ActionFailed, fail(category_of(status, said), f"answered {status}: {said}", after))


class PrometheusKind(ConnectionKind):
    """Connections to Prometheus and to what speaks its query API."""

    kind = "prometheus"
    Settings = PrometheusSettings

    def open(self, opening: Opening) -> PrometheusClient:
        return PrometheusClient(opening)

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        del settings, target
        return None

    def check(self, client: PrometheusClient) -> Mapping[str, str]:
        return {"version": client.version()}

    def warm(self, client: PrometheusClient, wanted: Sequence[JsonObject]) -> int:
        del wanted
        client.version()
        return 0

    def close(self, client: PrometheusClient) -> None:
        client.close()
