"""Celery's actions beyond the contract: rights by a real ACL user, and no failure is answered twice."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Sequence
from typing import Any

import pytest

from actions.celery import CeleryKind, CeleryRecover
from actions.celery.connection import asks
from engine.contract import ActionFailed, Category, Grant, NotApplied, Unplannable
from engine.contract.testing import ChangeCase
from tests.contract.actions.cases_celery import (
    CHANGES,
    QUEUE,
    READS,
    Shop,
    connections,
    fill,
    result,
)
from tests.contract.actions.granted import carried_out

pytestmark = pytest.mark.real
CASES: dict[str, Any] = {**CHANGES, **READS}
_NUMBERS = itertools.count(1)


def as_robot(shop: Shop, case: Any, grants: Sequence[Grant], without: str = "") -> Any:
    """The case's connections as an ACL user made by what `stanch grants` prints, less one word."""
    user = f"robot{next(_NUMBERS)}"
    text = CeleryKind().grant_text(case.connections.checked("celery"), grants, user)
    decoded = [word.encode().decode("unicode_escape") for word in shlex.split(text)]
    words = [word for word in decoded if word != without]
    shop.broker.execute_command(*words, ">secret")
    login = {"username": user, "password": {"env": "ROBOT"}}
    made = connections(shop.recorder.port, **login)
    made.secrets = {"ROBOT": "secret"}
    return made, [word for word in words if word[0] in "+~"]


@pytest.mark.parametrize("label", CASES)
def test_the_acl_is_enough(request: pytest.FixtureRequest, shop: Shop, label: str) -> None:
    case = CASES[label](request)
    grants = case.action.grants(case.action.Params.model_validate(case.params))
    before = shop.state()
    way, _ = as_robot(shop, case, grants)
    carried_out(case, way)
    assert shop.state() == before
    way.close()


@pytest.mark.parametrize("label", ["celery.failed", "celery.recover", "celery.restore"])
def test_each_word_of_the_acl_is_needed_and_nothing_is_done_by_halves(
    request: pytest.FixtureRequest, shop: Shop, label: str
) -> None:
    case = CASES[label](request)
    grants = case.action.grants(case.action.Params.model_validate(case.params))
    _, words = as_robot(shop, case, grants)
    _, asking = as_robot(shop, case, [asks("celery")])  # what Celery's own client may send
    whole = [shop.kept()]
    if isinstance(case, ChangeCase):
        planned = case.action.plan(
            case.action.Params.model_validate(case.params), case.connections.reading()
        )
        case.action.apply(planned, case.connections.writing(), "key-0")
        whole.append(shop.kept())
    own = [word for word in words if word not in asking]
    assert len(own) > 3
    for place, word in enumerate(own, 1):
        fill(shop)
        other, _ = as_robot(shop, case, grants, word)
        with pytest.raises(ActionFailed) as caught:
            carried_out(case, other, f"key-{place}")
        assert caught.value.category is Category.CONFIGURATION, word
        assert "stanch grants" in str(caught.value)
        other.close()
        assert _without_tags(shop.kept()) in map(_without_tags, whole), word


def _without_tags(state: Any) -> str:
    """A message's delivery tag follows from the step's key."""
    return re.sub(r'"delivery_tag": "[^"]*"', "", str(state))


def recovery(shop: Shop, **more: Any) -> Any:
    params = {"connection": "celery", "queue": QUEUE, "group": "batch-1", **more}
    return CeleryRecover().plan(
        CeleryRecover.Params.model_validate(params), connections(shop.worker.port).reading()
    )


def test_a_failure_is_answered_once_whoever_asks_and_the_next_failure_anew(shop: Shop) -> None:
    action, world = CeleryRecover(), connections(shop.worker.port).writing()
    planned, rival = recovery(shop), recovery(shop)
    assert planned.counts == {"messages": 2}
    action.apply(planned, world, "key-1")
    with pytest.raises(ActionFailed, match="sent again meanwhile") as caught:
        action.apply(rival, world, "key-2")
    assert (caught.value.category, caught.value.effect_possible) == (Category.DATA, False)
    assert shop.broker.llen(QUEUE) == 2
    assert isinstance(action.confirm(rival, None, world, "key-2"), NotApplied)
    again = recovery(shop)
    assert again.is_no_op
    assert "2 were sent again before" in again.notes[0]
    shop.results.set("celery-task-meta-t-2", result(9, "FAILURE", "batch-1"))
    assert [one[0] for one in recovery(shop).request["tasks"]] == ["t-2"]


def test_a_task_that_succeeded_since_the_plan_is_not_sent(shop: Shop) -> None:
    planned = recovery(shop)
    shop.results.set("celery-task-meta-t-1", result(1, "SUCCESS", "batch-1"))
    before = shop.state()
    with pytest.raises(ActionFailed, match="t-1 has another result than the plan saw") as caught:
        CeleryRecover().apply(planned, connections(shop.worker.port).writing(), "key-1")
    assert (caught.value.category, caught.value.effect_possible) == (Category.DATA, False)
    assert shop.state() == before


def test_only_what_is_asked_for_is_sent(shop: Shop) -> None:
    assert recovery(shop, errors=["ValueError"]).sample == ("t-2 documents.parse: ValueError",)
    assert recovery(shop, names=["documents.embed"]).is_no_op
    assert recovery(shop, limit=1).notes[0] == "1 more are beyond the limit"
    assert recovery(shop, queue="batch.high").notes[0] == "2 came from other queues"
    assert recovery(shop, queue="batch.high", any_queue=True).counts == {"messages": 2}


def test_tasks_that_are_named_are_planned_beside_others_of_the_same_run(shop: Shop) -> None:
    first = recovery(shop, ids=["t-1"])
    seeing = connections(shop.worker.port).reading([first])

    def beside(**more: Any) -> Any:
        params = {"connection": "celery", "queue": QUEUE, "group": "batch-1", **more}
        return CeleryRecover().plan(CeleryRecover.Params.model_validate(params), seeing)

    assert [one[0] for one in beside(ids=["t-2"]).request["tasks"]] == ["t-2"]
    for whatever in ({}, {"ids": ["t-2", "t-1"]}, {"errors": ["ValueError"]}):
        with pytest.raises(Unplannable, match="sends failed tasks again"):
            beside(**whatever)
