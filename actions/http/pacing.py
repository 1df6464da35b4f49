"""Answers over httpx that keep to a pace (`actions.pace`)."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from time import monotonic
from typing import Any

import httpcore
import httpx

from actions.pace import Pace


class PacedTransport(httpx.HTTPTransport):
    """httpx's own transport over a pool whose streams keep to a pace. It knows no proxy."""

    def __init__(self, verify: ssl.SSLContext | bool) -> None:
        super().__init__(verify=verify, trust_env=False)
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)
        self._pool.close()
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(verify=verify, trust_env=False),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Backend(),
        )


class _Backend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        made = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(made)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._pace = Pace()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            wait = self._pace.wait(timeout)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from None
        start = monotonic()
        data = self._inner.read(max_bytes, wait)
        self._pace.heard(len(data), monotonic() - start)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._pace.asked()
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
