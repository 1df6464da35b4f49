"""Whom each level calls, in their order, in words: alike in Slack and in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.domain.canonical import JsonObject


def calls(view: JsonObject) -> Mapping[str, str]:
    """Return by level its contacts, each with the names of those who are on call now.

    Args:
        view: as `Roster.view` tells schedules, chains and levels.
    """
    holds = {
        one["schedule"]: ", ".join(one["on_call"]) or ("not known" if one["trouble"] else "nobody")
        for one in view["schedules"]
    }
    chains = {one["chain"]: one["contacts"] for one in view["chains"]}
    return {
        level: " → ".join(_contact(one, holds) for one in chains.get(rule["chain"], ()))
        for level, rule in view["levels"].items()
    }


def _contact(rung: Mapping[str, Any], holds: Mapping[str, str]) -> str:
    who = f" ({holds[rung['on_call']]})" if rung["on_call"] in holds else ""
    return f"{rung['title']}{who}"
