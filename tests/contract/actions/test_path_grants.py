"""The paths that actions over HTTP name are all that they ask for: a connection that lists these alone will
do, and one that lacks any of them refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from actions.alertmanager.api import Silences
from engine.contract import ActionFailed, Category, Grant
from tests.contract.actions.cases import changes, notifies, reads
from tests.contract.actions.granted import carried_out

pytestmark = pytest.mark.real
OVER_HTTP = {"http", "alertmanager", "openai", "github", "statuspage"}
CASES = {
    label: build
    for label, build in (changes() | reads() | notifies()).items()
    if label.partition(".")[0] in OVER_HTTP
}


def limited(case: Any, grants: Sequence[Grant]) -> Any:
    """The case's connections with an allow-list of exactly these paths."""
    name = case.params["connection"]
    kind, settings = case.connections.settings[name]
    paths = [f"{one.detail['method']} {one.detail['path']}" for one in grants]
    allowed = {**settings, "allow": {"paths": paths}}
    return replace(
        case.connections, settings={**case.connections.settings, name: (kind, allowed)}, _open={}
    )


@pytest.mark.parametrize("label", CASES)
def test_the_named_paths_are_enough_and_each_is_needed(
    request: pytest.FixtureRequest, label: str
) -> None:
    case = CASES[label](request)
    count = len(granted(case))
    assert count
    for place in range(count):
        other = CASES[label](request)  # its target may have another id
        grants = granted(other)
        without = grants.pop(place)
        connections = limited(other, grants)
        with pytest.raises(ActionFailed) as caught:
            carried_out(other, connections, f"key-{place}")
        assert caught.value.category is Category.CONFIGURATION, without
        assert "allow-list" in str(caught.value)
        connections.close()
        if label.startswith(
            "alertmanager."
        ):  # what a broken way back left would be found by the next
            silences = Silences(other.connections.writing(), "alerts")
            for left in silences.live():
                silences.end(left["id"])
    last = CASES[label](request)
    carried_out(last, limited(last, granted(last)), "key")


def granted(case: Any) -> list[Grant]:
    named = case.action.grants(case.action.Params.model_validate(case.params))
    return [one for one in named if one.kind == "http"]
