"""The providers' cases: a service that answers as theirs do, behind a recorder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from actions.providers import (
    GithubRateLimit,
    OpenaiBatch,
    OpenaiBatches,
    OpenaiCancelBatch,
    OpenaiResults,
    OpenaiRetryBatch,
    OpenaiSplitBatch,
    StatuspageRead,
)
from engine.contract import Category, Read
from tests.contract.actions.batchapi import BatchApi
from tests.contract.actions.cases import ChangeCase, Fault, ReadCase
from tests.contract.actions.cases_http import WRONG, connections
from tests.contract.actions.conftest import Served
from tests.contract.actions.service import TOKEN
from worlds.servers.process import free_port

STATUS = {
    "page": {"id": "x", "updated_at": "2026-11-23T03:15:00Z"},
    "status": {"indicator": "minor", "description": "Partial outage"},
    "components": [
        {"name": "API", "status": "operational", "group": False},
        {"name": "Batch", "status": "partial_outage", "group": False},
        {"name": "All", "status": "partial_outage", "group": True},
    ],
    "incidents": [
        {"name": "Slow batches", "status": "identified", "impact": "minor", "updated_at": "x"}
    ],
}
LIMITS = {"resources": {"core": {"limit": 5000, "used": 5000, "remaining": 0, "reset": 4102444800}}}


def batch(number: int, status: str) -> dict[str, Any]:
    return {
        "id": f"batch_{number}",
        "object": "batch",
        "status": status,
        "created_at": 1795396500,
        "failed_at": 1795396560 if status == "failed" else None,
        "request_counts": {"total": 4, "completed": 2, "failed": 2},
        "endpoint": "/v1/chat/completions",
        "input_file_id": f"file-in{number}",
        "output_file_id": f"file-out{number}",
        "error_file_id": f"file-err{number}",
        "errors": {"data": [{"code": "bad", "message": "a\nb", "line": 3}]},
    }


def result(name: str, status: int, error: Any = None) -> str:
    body = {"error": {"code": "rate_limit_exceeded", "message": "slow"}} if status == 429 else {}
    response = {"status_code": status, "body": body}
    return json.dumps({"custom_id": name, "response": response, "error": error})


OUT = "\n".join([result("a", 200), result("b", 429), "{half", result("c", 200)])
ERR = result("d", 500, {"code": "server_error", "message": "oops"}) + "\n"
PAGES: Mapping[str, Any] = {
    "/api/v2/summary.json": STATUS,
    "/rate_limit": LIMITS,
    "/v1/batches?limit=3": {
        "data": [batch(1, "failed"), batch(2, "completed")],
        "has_more": True,
    },
    "/v1/batches?limit=1&after=batch_2": {"data": [batch(3, "failed")], "has_more": False},
    "/v1/batches/batch_1": batch(1, "failed"),
    "/v1/files/file-out1/content": OUT.encode(),
    "/v1/files/file-err1/content": ERR.encode(),
}


def _case(action: Read[Any], check: Callable[[Any], None], **params: Any) -> Any:
    def build(request: pytest.FixtureRequest) -> ReadCase:
        served: Served = request.getfixturevalue("served")
        served.service.pages.update(PAGES)
        whole = {"connection": "api", **params}
        url = served.recorder.url
        faults = {
            "unreachable": Fault(
                Category.TRANSIENT, connections(f"http://127.0.0.1:{free_port()}"), whole
            ),
            "credentials": Fault(Category.CONFIGURATION, connections(url, WRONG), whole),
            "missing": Fault(Category.PERMANENT, connections(f"{url}/no/such"), whole),
        }
        return ReadCase(
            connections(url),
            whole,
            lambda: dict(served.service.pauses),
            served.recorder.http_writes,
            faults,
            [TOKEN, WRONG],
            action=action,
            check=check,
        )

    return build


def _status(output: Any) -> None:
    assert (output["indicator"], output["description"]) == ("minor", "Partial outage")
    assert (output["well"], output["watched"]) == (False, 1)
    assert output["troubled"] == [{"name": "Batch", "status": "partial_outage"}]
    assert output["incidents"][0]["name"] == "Slow batches"


def _api_is_well(output: Any) -> None:
    assert (output["well"], output["troubled"], output["indicator"]) == (True, [], "minor")


def _limit(output: Any) -> None:
    assert (output["remaining"], output["exhausted"], output["used"]) == (0, True, 5000)
    assert output["reset_at"] == "2100-01-01T00:00:00Z"
    assert output["resets_in"] > 0


def _batches(output: Any) -> None:
    assert [one["id"] for one in output["batches"]] == ["batch_1", "batch_3"]
    assert output["by_status"] == {"failed": 2, "completed": 1}
    assert (output["count"], output["truncated"]) == (2, False)


def _batch(output: Any) -> None:
    assert (output["status"], output["total"], output["failed"]) == ("failed", 4, 2)
    assert (output["created_at"], output["ended_at"]) == (
        "2026-11-23T01:15:00Z",
        "2026-11-23T01:16:00Z",
    )
    assert output["errors"] == [{"code": "bad", "message": "a b", "line": 3}]


def _results(output: Any) -> None:
    assert output["ids"] == ["d"]
    assert output["items"][0] == {
        "custom_id": "d",
        "status": 500,
        "code": "server_error",
        "message": "oops",
    }
    assert (output["failed"], output["succeeded"], output["unreadable"]) == (2, 2, 1)
    assert output["by_code"] == {"server_error": 1, "rate_limit_exceeded": 1}
    assert output["truncated"]


def asked(name: str) -> str:
    return json.dumps({"custom_id": name, "method": "POST", "url": "/v1/chat/completions"})


INPUT = "\n".join(asked(name) for name in "abcd").encode()


def _submitting(action: Any, **params: Any) -> Any:
    def build(request: pytest.FixtureRequest) -> ChangeCase:
        read = _case(action, lambda output: None, **params)(request)
        served: Served = request.getfixturevalue("served")
        # A proxy of the API has files elsewhere.
        for name, content in (("in1", INPUT), ("out1", OUT.encode()), ("err1", ERR.encode())):
            served.service.pages[f"/files/file-{name}/output"] = content
        known = {f"batch_{number}": batch(number, "failed") for number in (1, 2)}
        known["batch_7"] = {**batch(7, "in_progress"), "input_file_id": "none"}
        api = BatchApi(served.service, known)
        case = ChangeCase(
            read.connections,
            read.params,
            api.state,
            read.writes,
            read.faults,
            read.secrets,
            action=action,
            world=api,
        )
        if "batch_1" in params.values():

            def end() -> None:
                api.batches["batch_new1"]["status"] = "completed"

            case.meddle, case.conflict = end, "batch_new1 has completed already"
        return case

    return build


PROXY = "/files/{file}/output"
CHANGES = {
    "openai.retry_batch": _submitting(
        OpenaiRetryBatch(), batch="batch_1", content_path=PROXY, max_items=5
    ),
    "openai.split_batch": _submitting(
        OpenaiSplitBatch(), batch="batch_1", content_path=PROXY, chunk=3
    ),
    "openai.cancel_batch": _submitting(OpenaiCancelBatch(), batch="batch_7"),
}
READS = {
    "statuspage.read": _case(StatuspageRead(), _status, components=["B*"]),
    "statuspage.read: a component": _case(StatuspageRead(), _api_is_well, components=["API"]),
    "github.rate_limit": _case(GithubRateLimit(), _limit),
    "openai.batches": _case(OpenaiBatches(), _batches, statuses=["failed"], max_batches=3),
    "openai.batch": _case(OpenaiBatch(), _batch, batch="batch_1"),
    "openai.results": _case(OpenaiResults(), _results, batch="batch_1", max_items=1),
}
