"""Redis's actions beyond the contract: rights by a real ACL user, messages that are no longer there."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Sequence
from typing import Any

import pytest

from actions.redis import RedisKind
from engine.contract import ActionFailed, Category, Grant
from tests.contract.actions.cases_redis import CHANGES, READS, connections
from tests.contract.actions.conftest import Broker
from tests.contract.actions.granted import carried_out

pytestmark = pytest.mark.real
CASES = CHANGES | READS
_NUMBERS = itertools.count(1)


def as_robot(broker: Broker, case: Any, grants: Sequence[Grant], without: str = "") -> Any:
    """The case's connections as an ACL user made by what `stanch grants` prints, less one word."""
    user = f"robot{next(_NUMBERS)}"
    settings = case.connections.checked("broker")
    text = RedisKind().grant_text(settings, grants, user)
    decoded = [word.encode().decode("unicode_escape") for word in shlex.split(text)]
    words = [word for word in decoded if word != without]
    broker.client.execute_command(*words, ">secret")
    login = {"username": user, "password": {"env": "ROBOT"}}
    made = connections(broker.recorder.port, **login)
    made.secrets = {"ROBOT": "secret"}
    return made, [word for word in words if word[0] in "+~"]


@pytest.mark.parametrize("label", CASES)
def test_the_acl_is_enough_and_each_word_is_needed(
    request: pytest.FixtureRequest, broker: Broker, label: str
) -> None:
    case = CASES[label](request)
    grants = case.action.grants(case.action.Params.model_validate(case.params))
    before = broker.state()
    way, words = as_robot(broker, case, grants)
    carried_out(case, way)
    assert len(words) > 3
    for place, word in enumerate(words):
        other, _ = as_robot(broker, case, grants, word)
        with pytest.raises(ActionFailed) as caught:
            carried_out(case, other, f"key-{place}")
        assert caught.value.category is Category.CONFIGURATION, word
        assert "stanch grants" in str(caught.value)
        other.close()
        assert broker.state()[b"dead:celery"] == before[b"dead:celery"], word  # nothing half done
    assert broker.state() == before


def test_a_message_that_is_gone_since_the_plan_leaves_all_where_they_are(
    request: pytest.FixtureRequest, broker: Broker
) -> None:
    case = CHANGES["redis.requeue"](request)
    action: Any = case.action
    planned = action.plan(action.Params.model_validate(case.params), case.connections.reading())
    broker.client.lpop("dead:celery")
    before = broker.state()
    with pytest.raises(ActionFailed, match="no longer there") as caught:
        action.apply(planned, case.connections.writing(), "key-1")
    assert (caught.value.category, caught.value.effect_possible) == (Category.DATA, False)
    assert broker.state() == before
