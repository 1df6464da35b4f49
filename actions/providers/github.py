"""github.rate_limit: how much of a token's limit is left. Source: GitHub REST API, rate limit."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from actions.providers import byhand
from actions.providers.reading import fetch, grants, targets, time_of
from engine.contract import ActionFailed, ActionParams, Category, Grant, Read, Target, World
from engine.domain.canonical import Json

_PATH = "/rate_limit"  # asking it costs nothing of the limit


class LimitParams(ActionParams):
    """Parameters of the question."""

    connection: str = Field(description="An http connection to GitHub's API", examples=["github"])
    resource: str = Field(
        "core",
        description="Which limit",
        examples=["core", "search", "graphql"],
        pattern=r"^[a-z_]{1,50}$",
    )


class GithubRateLimit(Read[LimitParams]):
    """One limit of the connection's token.

    Output: `limit`, `used`, `remaining`, `exhausted`, `reset_at`, and `resets_in` seconds by the engine's
    clock, 0 where the moment has passed.
    """

    name = "github.rate_limit"
    manual = byhand.rate_limit
    summary = "Read how much of GitHub's rate limit is left"
    Params = LimitParams

    def targets(self, params: LimitParams) -> Sequence[Target]:
        return targets(params.connection, [_PATH])

    def grants(self, params: LimitParams) -> Sequence[Grant]:
        return grants(params.connection, [_PATH])

    def read(self, params: LimitParams, world: World) -> Json:
        found = fetch(world, params.connection, _PATH, "resources")["resources"]
        one = found.get(params.resource) if isinstance(found, dict) else None
        numbers = ("limit", "remaining", "reset")
        if not isinstance(one, dict) or not all(isinstance(one.get(name), int) for name in numbers):
            known = ", ".join(sorted(found)) if isinstance(found, dict) else "none"
            what = f"GitHub names no limit {params.resource!r}; there are {known}"
            raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
        left = one["reset"] - world.clock.now().timestamp()
        return {
            "limit": one["limit"],
            "used": one.get("used", one["limit"] - one["remaining"]),
            "remaining": one["remaining"],
            "exhausted": one["remaining"] == 0 and left > 0,
            "reset_at": time_of(one["reset"]),
            "resets_in": max(0, round(left)),
        }
