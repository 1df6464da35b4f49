"""Rights as the IAM policy that gives them."""

from __future__ import annotations

from collections.abc import Sequence

from engine.contract import Grant
from engine.domain.canonical import JsonObject


def policy(grants: Sequence[Grant]) -> JsonObject:
    """Return one policy document: a statement for each set of actions, with the resources that share it."""
    actions: dict[tuple[str, str], set[str]] = {}
    for grant in grants:
        where = grant.detail["resource"], grant.detail.get("prefix", "")
        actions.setdefault(where, set()).add(grant.detail["action"])
    shared: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for (resource, prefix), named in sorted(actions.items()):
        shared.setdefault((tuple(sorted(named)), prefix), []).append(resource)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": list(named),
                "Resource": resources,
                **({"Condition": {"StringLike": {"s3:prefix": prefix}}} if prefix else {}),
            }
            for (named, prefix), resources in sorted(shared.items())
        ],
    }
