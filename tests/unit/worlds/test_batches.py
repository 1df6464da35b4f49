"""The provider of batches: what its API promises, with the real actions over it in memory and over HTTP."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx

from engine.domain.clock import ManualClock
from worlds.batches import Batch, BatchProvider, Course, Failure
from worlds.batches.api import answer
from worlds.batches.provider import request_line
from worlds.batches.server import BatchServer


def provider(*courses: Course) -> BatchProvider:
    made = BatchProvider(ManualClock(), courses)
    failures = {"item-2": Failure(429, "rate_limit_exceeded", "slow down")}
    created = made.clock.now() - timedelta(hours=2)
    made.put(Batch("batch_1", 3, created, "file-in-1", course=Course(failures=failures)))
    return made


def ask(
    of: BatchProvider, method: str, path: str, body: bytes = b"", **query: str
) -> httpx.Response:
    reply = answer(of, method, path, query, body)
    assert reply is not None
    return httpx.Response(reply.status, content=b"".join(reply.chunks()))


def test_results_are_parted_into_output_and_errors() -> None:
    api = provider()
    batch = ask(api, "GET", "/v1/batches/batch_1").json()
    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    out = ask(api, "GET", f"/v1/files/{batch['output_file_id']}/content").text.splitlines()
    assert [json.loads(line)["custom_id"] for line in out] == ["item-1", "item-3"]
    (error,) = ask(api, "GET", f"/v1/files/{batch['error_file_id']}/content").text.splitlines()
    assert json.loads(error)["response"]["status_code"] == 429


def test_a_batch_goes_its_course_by_the_clock() -> None:
    api = provider(Course(60, 600, "expired"), Course(60, 30, "failed", errors=[{"code": "bad"}]))
    uploaded = api.upload(f"{request_line('a')}\n{request_line('b')}\n".encode())
    asked = {"input_file_id": uploaded["id"], "endpoint": "/v1/embeddings", "metadata": {"k": "v"}}
    assert isinstance(api.clock, ManualClock)
    for identity, states in (
        ("batch_made1", ("validating", "in_progress", "expired")),
        ("batch_made2", ("validating", "failed", "failed")),
    ):
        created = ask(api, "POST", "/v1/batches", json.dumps(asked).encode()).json()
        assert (created["id"], created["metadata"]) == (identity, {"k": "v"})
        seen = [created["status"]]
        for wait in (60, 540):
            api.clock.advance(wait)
            seen.append(ask(api, "GET", f"/v1/batches/{identity}").json()["status"])
        assert tuple(seen) == states
    assert created["errors"] is None
    assert ask(api, "GET", "/v1/batches/batch_made2").json()["errors"]["data"] == [{"code": "bad"}]


def test_lists_are_paged_and_latest_first() -> None:
    api = provider()
    for number in range(2, 5):
        api.put(Batch(f"batch_{number}", 1, api.clock.now(), f"file-in-{number}"))
        assert isinstance(api.clock, ManualClock)
        api.clock.advance(1)
    first = ask(api, "GET", "/v1/batches", limit="3").json()
    assert [one["id"] for one in first["data"]] == ["batch_4", "batch_3", "batch_2"]
    assert first["has_more"]
    rest = ask(api, "GET", "/v1/batches", limit="3", after="batch_2").json()
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (["batch_1"], False)


def test_what_cannot_be_is_refused_as_the_provider_does() -> None:
    api = provider()
    assert ask(api, "GET", "/v1/batches/batch_9").status_code == 404
    assert ask(api, "GET", "/v1/files/file-9/content").status_code == 404
    assert ask(api, "POST", "/v1/batches/batch_1/cancel").status_code == 400
    api.put(Batch("batch_2", 1, api.clock.now(), "file-in-2"))
    assert ask(api, "GET", "/v1/files/file-out-batch_2/content").status_code == 404
    assert ask(api, "POST", "/v1/batches/batch_2/cancel").json()["status"] == "cancelled"
    assert answer(api, "DELETE", "/v1/batches/batch_1", {}, b"") is None


def test_over_http_it_wants_its_token_and_refuses_when_told() -> None:
    with BatchServer(provider(), "key", {"/api/v2/summary.json": {"status": {}}}) as server:
        bare = httpx.Client(base_url=server.url)
        known = httpx.Client(base_url=server.url, headers={"Authorization": "Bearer key"})
        with bare, known:
            assert bare.get("/v1/batches").status_code == 401
            assert bare.get("/api/v2/summary.json").json() == {"status": {}}
            files = {"file": ("a.jsonl", request_line("a").encode())}
            server.refusals["/v1/files"] = [429]
            first, second = (
                known.post("/v1/files", data={"purpose": "batch"}, files=files) for _ in range(2)
            )
            assert (first.status_code, second.status_code) == (429, 200)
            content = known.get(f"/v1/files/{second.json()['id']}/content").text
            assert json.loads(content)["custom_id"] == "a"
            assert known.get("/v1/models").status_code == 404
    assert server.calls.count("POST /v1/files") == 2
