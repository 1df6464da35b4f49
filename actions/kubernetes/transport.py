"""How requests reach a server: what the client asks of a transport, and the official client's own one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from actions.pace import pace_pools
from engine.contract import ActionFailed, Category

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, Configuration

CONNECT_TIMEOUT = 5.0


class Transport(Protocol):
    """Carries one request. Raises ActionFailed where no answer came."""

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any,
        content_type: str,
        *,
        timeout: float,
        limit: int,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and at most `limit` bytes of the body."""
        ...

    def first(
        self, path: str, query: Mapping[str, str], *, timeout: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and the first line of a stream; what there is where it ends before."""
        ...

    def run(
        self,
        path: str,
        query: Sequence[tuple[str, str]],
        take: Callable[[int, bytes], None],
        *,
        timeout: float,
    ) -> tuple[int, Mapping[str, str], bytes, bool]:
        """Run a command in a container, giving `take` what each channel says.

        Return status (101 where it ran), headers, a refusal's body, and whether time ran out.
        """
        ...

    def close(self) -> None: ...


class OfficialTransport:
    """Sends JSON through `kubernetes.client.ApiClient`, below its typed models, which lose unknown fields.

    The connection pool, the authentication and TLS are that client's own.
    """

    def __init__(self, name: str, configuration: Configuration, secrets: list[str]) -> None:
        from kubernetes.client import ApiClient

        # The engine's policy decides about retries; redirects would lead to servers nobody named.
        configuration.retries = False
        self._name = name
        self._secrets = [secret for secret in secrets if secret]
        self._api: ApiClient = ApiClient(configuration)
        self._api.user_agent = "stanch"
        pace_pools(self._api.rest_client.pool_manager)

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any,
        content_type: str,
        *,
        timeout: float,
        limit: int,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body. See `Transport`."""
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json"}
        if path.endswith("/log"):
            headers["Accept"] = "*/*"
        if body is not None:
            headers["Content-Type"] = content_type
        write = method != "GET" and query.get("dryRun") != "All"
        try:
            serialized = self._api.param_serialize(
                method=method,
                resource_path=path,
                query_params=list(query.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            waits = (min(CONNECT_TIMEOUT, timeout), timeout)
            answer = self._api.call_api(*serialized, _request_timeout=waits)
            data = answer.response.read(limit + 1, decode_content=True)
            if len(data) > limit:
                answer.response.close()  # with the connection: the rest of the answer is still in it
            else:
                answer.response.release_conn()
        except (HTTPError, ApiException, OSError) as error:
            raise self._unanswered(method, path, error, write=write) from None
        if len(data) > limit:
            if path.endswith("/log"):
                return answer.status, dict(answer.headers), data[:limit]
            what = f"{method} {path}: the answer is larger than {limit} bytes; narrow the request"
            raise ActionFailed(Category.DATA, self._text(what), effect_possible=write)
        return answer.status, dict(answer.headers), data

    def first(
        self, path: str, query: Mapping[str, str], *, timeout: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Wait for the first line of a stream. See `Transport`."""
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            serialized = self._api.param_serialize(
                method="GET",
                resource_path=path,
                query_params=list(query.items()),
                header_params={"Accept": "application/json"},
                body=None,
                auth_settings=["BearerToken"],
            )
            waits = (min(CONNECT_TIMEOUT, timeout), timeout)
            answer = self._api.call_api(*serialized, _request_timeout=waits)
            try:
                data = answer.response.readline()
            finally:
                answer.response.close()  # with the connection: a watch goes on
        except (HTTPError, ApiException, OSError) as error:
            raise self._unanswered("GET", path, error, write=False) from None
        return answer.status, dict(answer.headers), data

    def run(
        self,
        path: str,
        query: Sequence[tuple[str, str]],
        take: Callable[[int, bytes], None],
        *,
        timeout: float,
    ) -> tuple[int, Mapping[str, str], bytes, bool]:
        """Run a command over a WebSocket. See `Transport`."""
        import websocket
        from kubernetes.stream.ws_client import create_websocket
        from websocket import WebSocketBadStatusException, WebSocketException

        configuration = self._api.configuration
        headers: dict[str, str] = {"sec-websocket-protocol": "v4.channel.k8s.io"}
        # Authentication by token or exec plug-in; certificates are the socket's own.
        self._api.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
        given = {name.lower(): value for name, value in headers.items()}
        url = f"{configuration.host.replace('http', 'ws', 1)}{path}?{urlencode(list(query))}"
        end = monotonic() + timeout
        socket: Any = None
        try:
            socket = create_websocket(  # type: ignore[no-untyped-call]
                configuration, url, given
            )
            while True:
                left = end - monotonic()
                if left <= 0:
                    return 101, {}, b"", True
                socket.settimeout(left)
                code, data = socket.recv_data()
                if code == websocket.ABNF.OPCODE_CLOSE:
                    return 101, {}, b"", False
                if data:
                    take(data[0], data[1:])
        except WebSocketBadStatusException as error:
            body = error.resp_body
            return int(error.status_code), dict(error.resp_headers or {}), body or b"", False
        except websocket.WebSocketTimeoutException:
            return 101, {}, b"", True
        except (WebSocketException, OSError) as error:
            failed = self._unanswered("GET", path, error, write=socket is not None)
            raise failed from None
        finally:
            if socket is not None:
                socket.shutdown()

    def _unanswered(self, method: str, path: str, error: Exception, *, write: bool) -> ActionFailed:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import NewConnectionError, SSLError

        if isinstance(error, SSLError | ApiException):
            what = f"{error}; check ca_file and the server's name"
            return ActionFailed(Category.CONFIGURATION, self._text(what), effect_possible=False)
        reached = not isinstance(error, NewConnectionError)
        what = f"{method} {path}: no answer: {type(error).__name__}: {error}"
        return ActionFailed(Category.TRANSIENT, self._text(what), effect_possible=write and reached)

    def _text(self, what: str) -> str:
        from engine.contract.redact import Redactor

        return Redactor(self._secrets).text(f"kubernetes connection {self._name!r}: {what}")

    def close(self) -> None:
        self._api.close()  # type: ignore[no-untyped-call]
        self._api.rest_client.close()


def configure(
    *,
    kubeconfig: Path | None,
    context: str | None,
    in_cluster: bool,
    server: str | None,
    token: str | None,
    ca_file: Path | None,
    insecure: bool,
) -> Configuration:
    """Return the official client's configuration.

    Raises:
        ActionFailed: (configuration) a file is missing or says nothing of use.
    """
    import yaml
    from kubernetes import config
    from kubernetes.client import Configuration

    made: Configuration = Configuration()
    try:
        if in_cluster:
            config.load_incluster_config(  # type: ignore[no-untyped-call]
                client_configuration=made
            )
        elif server:
            made.host = server.rstrip("/")
            made.proxy = None
            made.verify_ssl = not insecure
            if ca_file:
                made.ssl_ca_cert = str(ca_file)
            if token:
                made.api_key = {"BearerToken": token}
                made.api_key_prefix = {"BearerToken": "Bearer"}
        else:
            config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=str(kubeconfig.expanduser()) if kubeconfig else None,
                context=context,
                client_configuration=made,
                persist_config=False,
            )
    except (config.ConfigException, OSError, yaml.YAMLError) as error:
        where = "in the cluster" if in_cluster else f"from kubeconfig {kubeconfig or '(default)'}"
        what = f"kubernetes: cannot be configured {where}: {error}"
        raise ActionFailed(Category.CONFIGURATION, what, effect_possible=False) from None
    return made
