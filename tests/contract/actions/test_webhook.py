"""What webhook.send promises beyond the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actions.records import Records
from actions.webhook import WebhookSend
from actions.webhook.connection import WebhookSettings
from tests.contract.actions.cases_webhook import connections
from tests.contract.actions.pager import KEY, Pager

action = WebhookSend()


def send(made: Any, key: str, **given: Any) -> Any:
    params = action.Params.model_validate({"connection": "pager", **given})
    return action.send(params, made.writing(), key)


@pytest.mark.parametrize("preset", ["pagerduty", "opsgenie"])
def test_an_alert_is_opened_and_closed_by_its_name(
    pager: Pager, tmp_path: Path, preset: str
) -> None:
    made = connections(pager.url, tmp_path, KEY, preset)
    send(
        made, "k1", summary="x" * 500, severity="critical", dedup="incident 17", link="https://a/b"
    )
    assert len(pager.alerts) == 1
    content = next(iter(pager.alerts.values()))
    if preset == "pagerduty":
        assert (content["summary"], content["severity"]) == ("x" * 500, "critical")
        assert pager.bodies[0]["links"] == [{"href": "https://a/b", "text": "Stanch"}]
    else:
        assert (content["message"], content["priority"]) == ("x" * 130, "P1")
        assert content["details"] == {"link": "https://a/b"}
    send(made, "k2", event="trigger", summary="again", dedup="incident 17")
    assert len(pager.alerts) == 1
    send(made, "k3", event="resolve", dedup="incident 17")
    assert pager.alerts == {}


@pytest.mark.parametrize(("preset", "told"), [("pagerduty", False), ("generic", None)])
def test_after_a_crash_a_page_may_be_repeated_and_a_webhook_not(
    pager: Pager, tmp_path: Path, preset: str, told: bool | None
) -> None:
    made = connections(pager.url, tmp_path, KEY, preset)
    Records(tmp_path / "records").put("k1", "begun")
    params = action.Params.model_validate({"connection": "pager", "summary": "a"})
    assert action.sent(params, made.reading(), "k1") is told
    assert action.sent(params, made.reading(), "k2") is False


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "generic"}, "needs the url"),
        ({"preset": "pagerduty"}, "needs its key"),
        ({"preset": "generic", "url": "http://a", "path": "/../x"}, "must hold no"),
    ],
)
def test_half_a_connection_is_refused(settings: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=message):
        WebhookSettings.model_validate({"records": tmp_path, **settings})
