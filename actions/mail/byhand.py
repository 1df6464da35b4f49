"""Mail, for a person."""

from __future__ import annotations

from engine.contract.byhand import ByHand, Given, Hand, command


def send(_: object, given: Given, at: ByHand) -> Hand:
    del at
    to = given.get("to")
    who = to if isinstance(to, list) else [to or "<recipients>"]
    body = command("printf", "%s", given.get("text", ""))
    return Hand([f"{body} | {command('mail', '-s', given.get('subject', '<subject>'), who)}"])
