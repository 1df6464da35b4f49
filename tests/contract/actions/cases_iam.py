"""IAM's case: a simulator of its own, which refuses every other question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from actions.iam import IamKind, IamSimulate
from engine.contract import Category
from tests.contract.actions.cases import Fault, ReadCase
from tests.contract.actions.worlds import Connections
from worlds.iam import IamServer
from worlds.objects import ADMIN
from worlds.servers.process import free_port

ROLE = "arn:aws:iam::123456789012:role/etl"


def connections(url: str, secret: str = ADMIN.secret_key, **settings: Any) -> Connections:
    raw: Mapping[str, Any] = {
        "endpoint_url": url,
        "access_key": {"env": "ACCESS"},
        "secret_key": {"env": "SECRET"},
        "timeout": 5,
        **settings,
    }
    return Connections({"iam": (IamKind(), raw)}, {"ACCESS": ADMIN.access_key, "SECRET": secret})


def simulate(request: pytest.FixtureRequest) -> ReadCase:
    def check(output: Any) -> None:
        denied = {"action": "s3:PutObject", "resource": "arn:aws:s3:::b/x"}
        assert output["denied"] == [{**denied, "decision": "implicitDeny"}]
        assert (output["allowed"], len(output["decisions"])) == (False, 2)

    server: IamServer = request.getfixturevalue("iam_server")
    params = {
        "connection": "iam",
        "principal": ROLE,
        "actions": ["s3:GetObject", "s3:PutObject"],
        "resources": ["arn:aws:s3:::b/x"],
    }
    good = connections(server.url)
    faults = {
        "unreachable": Fault(
            Category.TRANSIENT, connections(f"http://127.0.0.1:{free_port()}"), params
        ),
        "credentials": Fault(
            Category.CONFIGURATION, connections(server.url, "not+the/secret"), params
        ),
        "missing": Fault(Category.PERMANENT, good, {**params, "principal": f"{ROLE}-none"}),
    }
    return ReadCase(
        good,
        params,
        lambda: dict(server.policies),
        lambda: [call for call in server.calls if call != "SimulatePrincipalPolicy"],
        faults,
        [ADMIN.secret_key, "not+the/secret"],
        action=IamSimulate(),
        check=check,
    )


READS = {"iam.simulate": simulate}
