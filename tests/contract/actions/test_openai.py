"""What submitting items again promises beyond the contract."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actions.providers import OpenaiBatch, OpenaiCancelBatch, OpenaiRetryBatch, OpenaiSplitBatch
from engine.contract import ActionFailed, Applied, Category, NotApplied
from tests.contract.actions.batchapi import BatchApi
from tests.contract.actions.cases_http import connections
from tests.contract.actions.cases_providers import INPUT, PAGES, asked, batch, result
from tests.contract.actions.conftest import Served
from tests.contract.actions.worlds import Connections

retry, split = OpenaiRetryBatch(), OpenaiSplitBatch()


@pytest.fixture
def api(served: Served) -> BatchApi:
    served.service.pages.update({**PAGES, "/v1/files/file-in1/content": INPUT})
    return BatchApi(served.service, {"batch_1": batch(1, "completed")})


@pytest.fixture
def made(served: Served) -> Connections:
    return connections(served.recorder.url, idempotency_header=None)


def params(action: Any, **given: Any) -> Any:
    return action.Params.model_validate({"connection": "api", "batch": "batch_1", **given})


def test_the_failed_items_alone_go_again_as_they_were_asked(
    api: BatchApi, made: Connections
) -> None:
    planned = retry.plan(params(retry), made.reading())
    assert planned.counts == {"requests": 2}
    receipt = retry.apply(planned, made.writing(), "key")
    assert receipt.output == {"batch": "batch_new1", "batches": ["batch_new1"]}
    new = api.made["batch_new1"]
    assert new["metadata"] == {"stanch_key": "key/1", "stanch_of": "batch_1"}
    assert new["endpoint"] == "/v1/chat/completions"
    look = OpenaiBatch()
    seen = look.read(look.Params(connection="api", batch="batch_new1"), made.reading())
    assert seen["of"] == "batch_1"
    assert api.files[new["input_file_id"]].decode() == f"{asked('b')}\n{asked('d')}\n"


def test_only_some_and_only_of_a_code(api: BatchApi, made: Connections) -> None:
    few = retry.plan(params(retry, max_items=1), made.reading())
    assert few.request["ids"] == ["d"]
    slow = retry.plan(params(retry, codes=["rate_limit_exceeded"]), made.reading())
    assert slow.request["ids"] == ["b"]
    assert retry.plan(params(retry, codes=["none"]), made.reading()).is_no_op
    assert api.state() == {}


def test_a_split_that_was_cut_off_makes_the_rest(api: BatchApi, made: Connections) -> None:
    planned = split.plan(params(split, chunk=1), made.reading())
    assert "4 items of batch_1 again, in 4 batches" in planned.summary
    split.apply(planned, made.writing(), "key")
    for gone in ("batch_new2", "batch_new4"):
        del api.batches[gone]  # as if the crash had come before them
    assert split.confirm(planned, None, made.reading(), "key") == NotApplied()
    receipt = split.apply(planned, made.writing(), "key")
    assert sorted(api.state()) == sorted(receipt.output["batches"])
    assert sorted(name for _, names in api.state().values() for name in names) == list("abcd")
    assert split.confirm(planned, None, made.reading(), "key") == Applied(receipt)
    assert split.confirm(planned, None, made.reading(), "other") == NotApplied()


def test_the_undo_of_a_split_passes_over_chunks_that_were_refused(
    api: BatchApi, made: Connections
) -> None:
    planned = split.plan(params(split, chunk=2), made.reading())
    receipt = split.apply(planned, made.writing(), "key")
    first, second = receipt.output["batches"]
    api.batches[first]["status"] = "failed"  # its validation refused it: none of its items ran
    assert split.undo(planned, receipt, made.writing(), "u").output == {"cancelled": [second]}
    assert api.batches[first]["status"] == "failed"
    api.batches[second].update(status="failed", request_counts={"total": 2, "completed": 1})
    with pytest.raises(ActionFailed, match="has failed already; what it did stands"):
        split.undo(planned, receipt, made.writing(), "u")


@pytest.mark.parametrize("acts", [False, True], ids=["refused", "an answer lost"])
@pytest.mark.parametrize("path", ["/v1/files", "/v1/batches"])
def test_wherever_a_split_breaks_off_what_stands_is_told_and_made_once(
    api: BatchApi, made: Connections, path: str, acts: bool
) -> None:
    planned = split.plan(params(split, chunk=1), made.reading())
    for place in range(4):
        api.batches = {"batch_1": api.batches["batch_1"]}
        api.breaking, key = (path, place, acts), f"key-{place}"
        with pytest.raises(ActionFailed) as caught:
            split.apply(planned, made.writing(), key)
        failure = caught.value
        assert (failure.category, failure.effect_possible) == (Category.TRANSIENT, True)
        stood = sorted(api.state())
        lost = {next(iter(api.batches))} if acts and path == "/v1/batches" else set()
        assert (f"after {place} of 4 batches, which stay" in str(failure)) is bool(place)
        assert all((name in str(failure)) is (name not in lost) for name in stood)
        found = split.confirm(planned, None, made.reading(), key)
        assert isinstance(found, Applied if len(stood) == 4 else NotApplied)
        receipt = split.apply(planned, made.writing(), key)
        assert set(stood) <= set(receipt.output["batches"])
        assert sorted(name for _, names in api.state().values() for name in names) == list("abcd")
        assert split.confirm(planned, None, made.reading(), key) == Applied(receipt)


def test_many_results_are_sifted_and_the_input_is_read_by_line(
    api: BatchApi, served: Served, made: Connections
) -> None:
    many = range(20_000)
    lines = [result(f"i{number}", 500 if number % 100 == 0 else 200) for number in many]
    served.service.pages["/v1/files/file-out1/content"] = "\n".join(lines).encode()
    served.service.pages["/v1/files/file-err1/content"] = b""
    asking = "\n".join(asked(f"i{number}") for number in many).encode()
    served.service.pages["/v1/files/file-in1/content"] = asking
    planned = retry.plan(params(retry, max_items=150), made.reading())
    assert planned.counts == {"requests": 150}
    retry.apply(planned, made.writing(), "key")
    sent = [json.loads(line)["custom_id"] for line in api.files["file-new1"].splitlines()]
    assert sent == [f"i{number}" for number in range(0, 15_000, 100)]


def test_batches_that_go_on_or_have_ended_are_left(api: BatchApi, made: Connections) -> None:
    cancel = OpenaiCancelBatch()
    with pytest.raises(ActionFailed, match="has completed already") as caught:
        cancel.plan(params(cancel), made.reading())
    assert caught.value.category is Category.DATA
    api.batches["batch_1"]["status"] = "in_progress"
    for action in (retry, split):
        with pytest.raises(ActionFailed, match="is in_progress") as caught:
            action.plan(params(action), made.reading())
        assert caught.value.category is Category.DATA
    api.batches["batch_1"].update(status="failed", input_file_id=None)
    with pytest.raises(ActionFailed, match="names no input file"):
        split.plan(params(split), made.reading())


def test_an_input_that_lacks_items_is_a_failure(
    api: BatchApi, served: Served, made: Connections
) -> None:
    planned = retry.plan(params(retry), made.reading())
    served.service.pages["/v1/files/file-in1/content"] = asked("b").encode()
    with pytest.raises(ActionFailed, match="lacks 1 of the 2 items") as caught:
        retry.apply(planned, made.writing(), "key")
    assert caught.value.category is Category.DATA
    assert not caught.value.effect_possible
    assert api.made == {}
