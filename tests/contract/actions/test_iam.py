"""What a simulation promises beyond the contract."""

from __future__ import annotations

from typing import Any

import pytest

from actions.iam import IamKind, IamSimulate
from engine.contract import ActionFailed, Category, Target
from tests.contract.actions.cases_iam import ROLE, connections
from worlds.iam import IamServer

simulate = IamSimulate()


def asking(**given: Any) -> Any:
    whole = {"connection": "iam", "principal": ROLE, "actions": ["s3:GetObject"], **given}
    return simulate.Params.model_validate(whole)


def test_many_decisions_come_in_pages(iam_server: IamServer) -> None:
    made = connections(iam_server.url)
    keys = [f"arn:aws:s3:::b/{number}" for number in range(150)]
    output = simulate.read(asking(resources=keys), made.reading())
    assert output["allowed"]
    assert [one["resource"] for one in output["decisions"]] == keys
    assert iam_server.calls == ["SimulatePrincipalPolicy"] * 2
    made.close()


def test_nothing_else_is_asked_and_the_allow_list_holds(iam_server: IamServer) -> None:
    made = connections(iam_server.url, allow=["arn:aws:iam::*:role/other-*"])
    with pytest.raises(ActionFailed, match="allow-list") as caught:
        simulate.read(asking(), made.reading())
    assert caught.value.category is Category.CONFIGURATION
    settings = made.checked("iam")
    assert "allow-list" in (IamKind().refuses(settings, Target("iam", ROLE)) or "")
    client = made.client("iam", writable=True)
    with (
        pytest.raises(ActionFailed, match="DeleteRole is not asked here"),
        client._calling() as boto,
    ):
        boto.delete_role(RoleName="etl")
    assert iam_server.calls == []
    made.close()
