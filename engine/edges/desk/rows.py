"""Rows that have no view of their own below, as JSON: brakes, rules, playbooks."""

from __future__ import annotations

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.journal.rows import BrakeRow
from engine.language.program import Program
from engine.language.rules import Rule


def brake_view(row: BrakeRow) -> JsonObject:
    return {
        "name": row.name,
        "engaged": row.engaged,
        "by": row.by,
        "reason": row.reason,
        "at": format_time(row.at),
        "body": row.body,
    }


def rule_view(rule: Rule) -> JsonObject:
    return rule.model_dump(mode="json", by_alias=True, exclude_none=True)


def playbook_view(program: Program) -> JsonObject:
    return {
        "playbook": program.playbook,
        "summary": program.summary,
        "inputs": program.inputs,
        "steps": len(program.steps),
        "author": program.author,
        "revision": program.revision,
    }
