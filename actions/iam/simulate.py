"""iam.simulate: whether a principal's policies would allow requests, none of which is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field

from actions.iam import byhand
from actions.iam.connection import IamClient
from engine.contract import ActionParams, Grant, Read, Target, World
from engine.domain.canonical import Json, JsonObject

_MOST = 10_000  # decisions of one question


class SimulateParams(ActionParams):
    """Parameters of a simulation."""

    connection: str = Field(description="An iam connection", examples=["iam"])
    principal: str = Field(
        description="ARN of the user, group or role whose policies are asked",
        examples=["arn:aws:iam::123456789012:role/etl-worker"],
        pattern=r"^arn:[a-z-]+:iam::\d{12}:(user|group|role)/\S+$",
    )
    actions: list[str] = Field(
        description="Requests, as policies name them",
        examples=[["s3:GetObject", "s3:PutObject"]],
        min_length=1,
        max_length=200,
    )
    resources: list[str] = Field(
        default_factory=lambda: ["*"],
        description="ARNs that they are made on; any where missing",
        examples=[["arn:aws:s3:::etl-output/*"]],
        min_length=1,
        max_length=200,
    )


class IamSimulate(Read[SimulateParams]):
    """Asks IAM's own simulator. Bucket policies and the like are beyond what it knows.

    Output: `allowed` (every one is), `denied` of `{action, resource, decision}`, `decisions` of all, and
    `missing_context`, keys that conditions ask for and the simulation lacks.
    """

    name = "iam.simulate"
    manual = byhand.simulate
    summary = "Ask whether a principal's policies allow requests"
    Params = SimulateParams

    def targets(self, params: SimulateParams) -> Sequence[Target]:
        return (Target(params.connection, params.principal),)

    def grants(self, params: SimulateParams) -> Sequence[Grant]:
        detail = {"action": "iam:SimulatePrincipalPolicy", "resource": params.principal}
        return (Grant(params.connection, "iam", detail),)

    def read(self, params: SimulateParams, world: World) -> Json:
        client = world.client(params.connection, IamClient)
        found = client.simulate(params.principal, params.actions, params.resources, _MOST)
        decisions = [one for result in found for one in _decisions(result)]
        denied = [one for one in decisions if one["decision"] != "allowed"]
        missing = {name for result in found for name in result.get("MissingContextValues", [])}
        return {
            "allowed": bool(decisions) and not denied,
            "denied": denied,
            "decisions": decisions,
            "missing_context": sorted(missing),
        }


def _decisions(result: dict[str, Any]) -> Iterator[JsonObject]:
    """Yield one decision a resource; a result with several has them inside."""
    action = result["EvalActionName"]
    inner = result.get("ResourceSpecificResults") or []
    for one in inner:
        yield _decision(action, one["EvalResourceName"], one["EvalResourceDecision"])
    if not inner:
        yield _decision(action, result.get("EvalResourceName", "*"), result["EvalDecision"])


def _decision(action: str, resource: str, decision: str) -> JsonObject:
    return {"action": action, "resource": resource, "decision": decision}
