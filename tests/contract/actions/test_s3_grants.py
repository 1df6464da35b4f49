"""The rights that each S3 action names are enough, and none is one too many: a user of the S3 server whose
policy is what `stanch grants` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from actions.s3 import S3Kind
from engine.contract import ActionFailed, Category, Grant
from tests.contract.actions.cases_s3 import CHANGES, FOR_RIGHTS, READS
from tests.contract.actions.conftest import Buckets
from tests.contract.actions.granted import carried_out
from tests.contract.actions.worlds import Connections
from worlds.servers import S3Server
from worlds.servers.s3 import Identity

pytestmark = pytest.mark.real
ALL = CHANGES | READS | FOR_RIGHTS
CASES = {label: build for label, build in ALL.items() if "in memory" not in label}
# SeaweedFS lets everybody ask whether a bucket keeps versions; Amazon does not. That it is asked is seen.
UNGUARDED = "s3:GetBucketVersioning"
FROM_ONE = ("s3.copy", "s3.download", "s3.head")
ACTIONS = sorted({label.partition(":")[0] for label in CASES})


@pytest.fixture(scope="module")
def robot(s3_server: S3Server) -> Identity:
    return s3_server.user("robot")


def attach(server: S3Server, robot: Identity, grants: Sequence[Grant]) -> None:
    other = Grant("s3", "s3", {"action": "s3:GetObject", "resource": "arn:aws:s3:::stanch-other/x"})
    settings = S3Kind().Settings()
    # No policy is empty: without any other right there is one at a bucket of others.
    server.attach(robot, S3Kind().grant_text(settings, grants or [other], robot.name))


def role(grant: Grant, params: Mapping[str, Any]) -> tuple[str, str]:
    """The right without the case's own names: what it is a right to."""
    place = str(grant.detail["resource"]) + str(grant.detail.get("prefix", ""))
    named = [(name, one) for name, value in params.items() for one in _texts(value)]
    for name, text in sorted(named, key=lambda pair: -len(pair[1])):
        place = place.replace(text, "{" + name + "}")
    return str(grant.detail["action"]), place


def _texts(value: Any) -> list[str]:
    found = value if isinstance(value, list) else [value]
    return [one for one in found if isinstance(one, str) and len(one) > 2]


def missing_is_told(case: Any, connections: Connections) -> None:
    """That an object is not there is known by the right to list its bucket; else it would look forbidden."""
    params = case.action.Params.model_validate(case.params)
    if case.action.name == "s3.head":
        assert case.action.read(params, connections.reading()) == {"exists": False}
        return
    with pytest.raises(ActionFailed) as caught:
        case.action.plan(params, connections.reading())
    if caught.value.category is Category.CONFIGURATION:
        raise caught.value


@pytest.mark.parametrize("action", ACTIONS)
def test_the_named_rights_are_enough_and_each_is_needed(
    request: pytest.FixtureRequest,
    s3_server: S3Server,
    buckets: Buckets,
    robot: Identity,
    action: str,
) -> None:
    asked: set[tuple[str, str]] = set()
    needed: set[tuple[str, str]] = set()
    for label, build in CASES.items():
        if label.partition(":")[0] != action:
            continue
        case = build(request)
        named = case.action.grants(case.action.Params.model_validate(case.params))
        grants = [one for one in named if one.kind == "s3"]
        secrets = {"ACCESS": robot.access_key, "SECRET": robot.secret_key}
        kind, given = case.connections.settings["s3"]
        settings = {**case.connections.settings, "s3": (kind, {**given, "timeout": 120})}
        way: Connections = replace(case.connections, settings=settings, secrets=secrets, _open={})
        attach(s3_server, robot, grants)
        assert failure(case, way, label, buckets) is None
        asked |= {role(one, case.params) for one in grants}
        for place, without in enumerate(grants):
            if role(without, case.params) in needed:
                continue
            attach(s3_server, robot, grants[:place] + grants[place + 1 :])
            found = failure(case, way, f"{label} {place}", buckets)
            if found is not None:
                assert found.category is Category.CONFIGURATION
                assert "stanch grants" in str(found)
                needed.add(role(without, case.params))
        way.close()
    unseen = {right for right in asked - needed if right[0] != UNGUARDED}
    assert unseen == set()
    if any(right == UNGUARDED for right, _ in asked):
        assert any("versioning" in path for _, path in buckets.recorder.requests())


def failure(case: Any, way: Connections, key: str, buckets: Buckets) -> ActionFailed | None:
    """What fails, the objects as they were before afterwards."""
    bucket, before = case.params["bucket"], len(buckets.recorder.http_writes())
    from_one = case.action.name in FROM_ONE and "key" in case.params
    try:
        carried_out(case, way, key)
        if from_one:
            buckets.boto.delete_object(Bucket=bucket, Key=case.params["key"])
            missing_is_told(case, way)
    except ActionFailed as failed:
        return failed
    finally:
        if from_one or len(buckets.recorder.http_writes()) > before:
            buckets.refill(bucket)
    return None
