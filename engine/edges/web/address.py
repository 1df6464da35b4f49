"""Addresses to listen on, and which of them others can reach."""

from __future__ import annotations

import ipaddress
from typing import Any


def split_address(listen: str) -> tuple[str, int]:
    """Return host and port of `127.0.0.1:9780`, `[::1]:9780` or `:9780` (all addresses).

    Raises:
        ValueError: it is not of this form.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{listen!r} is no address to listen on; write for example 127.0.0.1:9780")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104  refused without authentication


def is_loopback(host: str) -> bool:
    """Whether a host name or address can be reached from this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def serve_refusal(config: Any, tokens_exist: bool) -> str | None:
    """Return why this configuration must not be served, or None.

    Beyond loopback everybody who reaches the port could start repairs: the API needs a token and the
    alert intake needs `intake.auth`.
    """
    try:
        host, _ = split_address(config.listen)
    except ValueError as error:
        return f"listen: {error}"
    if is_loopback(host):
        return None
    missing = []
    if not tokens_exist:
        missing.append("there is no API token (stanch token create NAME)")
    if getattr(getattr(config, "intake", None), "auth", None) is None:
        missing.append("intake.auth is not set (bearer or basic, for Alertmanager)")
    if not missing:
        return None
    return (
        f"refusing to listen on {config.listen}, which others can reach: {' and '.join(missing)}; "
        "or listen on 127.0.0.1"
    )
