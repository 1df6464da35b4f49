"""What several systems' commands share: curl against an address with its authentication."""

from __future__ import annotations

from typing import Any

from engine.contract.byhand import Shell, command, mapping, option, secret, text

UNKNOWN = "<url of the connection>"


def curl(settings: Any, method: str, path: str, *more: Any, body: Any = None) -> str:
    """Return a curl command; secrets by the variable or file that holds them."""
    url = getattr(settings, "url", None) or UNKNOWN
    words: list[Any] = ["curl", "-fsS", *([] if method == "GET" else ["-X", method])]
    words += authentication(settings)
    for name, value in (getattr(settings, "headers", None) or {}).items():
        words += ["-H", f"{name}: {value}"]
    if body is not None:
        words += ["-H", "Content-Type: application/json", "--data-binary", text(body)]
    return command(*words, *more, url.rstrip("/") + path)


def authentication(settings: Any) -> list[Any]:
    bearer, basic = getattr(settings, "bearer", None), getattr(settings, "basic", None)
    header = getattr(settings, "header", None)
    if bearer is not None:
        return ["-H", Shell(f'"Authorization: Bearer {_inside(secret(bearer))}"')]
    if basic is not None:
        return ["-u", Shell(f"{command(basic.username)}:{secret(basic.password)}")]
    if header is not None:
        return ["-H", Shell(f'"{header.name}: {_inside(secret(header.value))}"')]
    return []


def _inside(word: Shell) -> str:
    """A quoted shell word without its quotes, to stand inside others."""
    return word[1:-1]


def query_words(query: Any) -> list[Any]:
    """Return `-G --data-urlencode name=value …`."""
    if not mapping(query):
        return []
    words: list[Any] = ["-G"]
    for name, value in query.items():
        words += option("--data-urlencode", f"{name}={text(value)}")
    return words
