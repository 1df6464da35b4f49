"""What is wrong in files, for people and for programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from engine.domain.canonical import JsonObject


def print_diagnostics(diagnostics: Sequence[Any], *, as_json: bool) -> None:
    """Print what is wrong in files; with --json as `{ok, diagnostics}`."""
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
