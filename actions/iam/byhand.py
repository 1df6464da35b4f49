"""aws iam, for a person."""

from __future__ import annotations

from typing import Any

from engine.contract.byhand import ByHand, Given, Hand, command


def simulate(_: object, given: Given, at: ByHand) -> Hand:
    del at

    def listed(name: str) -> list[Any]:
        value = given.get(name)
        return value if isinstance(value, list) else [value or f"<{name}>"]

    words: list[Any] = ["--policy-source-arn", given.get("principal", "<principal>")]
    words += ["--action-names", *listed("actions")]
    words += ["--resource-arns", *listed("resources")] if given.get("resources") else []
    return Hand([command("aws", "iam", "simulate-principal-policy", *words)])
