"""What is wrong in files, for people and for programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from engine.domain.canonical import JsonObject

_UNCONFIGURED = (
    "note:  there is no stanch.yaml here, so no connections, roles or secrets are known; write one, or name "
    "one with --config or $STANCH_CONFIG (config.example.yaml shows every section)\n"
)


def print_diagnostics(diagnostics: Sequence[Any], *, as_json: bool, configured: bool) -> None:
    """Print what is wrong in files; with --json as `{ok, diagnostics}`.

    Args:
        configured: whether --config named a configuration. Without one, and without a file where it is
            looked for, nearly every name is unknown, and people should hear why.
    """
    from engine.language.diagnostics import formatted

    if as_json:
        import json

        data: JsonObject = {
            "ok": not any(one.is_error for one in diagnostics),
            "diagnostics": [one.as_json() for one in diagnostics],
        }
        sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
        return
    sys.stdout.write(formatted(diagnostics) or "no mistakes\n")
    if not configured and any(one.is_error for one in diagnostics) and _no_configuration():
        sys.stdout.flush()
        sys.stderr.write(_UNCONFIGURED)


def _no_configuration() -> bool:
    from engine.domain.errors import StanchError
    from engine.edges.config import locate_config

    try:
        return locate_config() is None
    except StanchError:  # one was named and is not there, which the mistakes say
        return False
