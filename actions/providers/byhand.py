"""curl against providers, for a person."""

from __future__ import annotations

from actions.byhand import curl, query_words
from engine.contract.byhand import ByHand, Given, Hand, command, note


def statuspage(_: object, given: Given, at: ByHand) -> Hand:
    return Hand([curl(at.of(given), "GET", str(given.get("path", "/api/v2/summary.json")))])


def rate_limit(_: object, given: Given, at: ByHand) -> Hand:
    line = curl(at.of(given), "GET", "/rate_limit")
    wanted = command("jq", f'.resources["{given.get("resource", "core")}"]')
    return Hand([f"{line} | {wanted}"])


def batches(_: object, given: Given, at: ByHand) -> Hand:
    return Hand([curl(at.of(given), "GET", "/v1/batches", *query_words({"limit": 100}))])


def _batch(given: Given) -> str:
    return f"/v1/batches/{given.get('batch', '<batch>')}"


def batch(_: object, given: Given, at: ByHand) -> Hand:
    return Hand([curl(at.of(given), "GET", _batch(given))])


def results(_: object, given: Given, at: ByHand) -> Hand:
    file = curl(at.of(given), "GET", "/v1/files/<error_file_id of the batch>/content")
    return Hand([curl(at.of(given), "GET", _batch(given)), file])


def cancel_batch(_: object, given: Given, at: ByHand) -> Hand:
    return Hand([curl(at.of(given), "POST", f"{_batch(given)}/cancel")])


def retry_batch(_: object, given: Given, at: ByHand) -> Hand:
    return Hand(
        [
            *results(_, given, at).do,
            note("put the failed requests into a file of their own, upload it, make a batch of it"),
            curl(
                at.of(given), "POST", "/v1/files", "-F", "purpose=batch", "-F", "file=@failed.jsonl"
            ),
            curl(at.of(given), "POST", "/v1/batches", body=_new()),
        ],
        [curl(at.of(given), "POST", "/v1/batches/<the new batch>/cancel")],
    )


def split_batch(_: object, given: Given, at: ByHand) -> Hand:
    chunk = given.get("chunk", 5000)
    return Hand(
        [
            curl(
                at.of(given),
                "GET",
                "/v1/files/<input_file_id of the batch>/content",
                "-o",
                "all.jsonl",
            ),
            command("split", "-l", chunk, "all.jsonl", "part-"),
            note("upload each part and make a batch of it"),
            curl(at.of(given), "POST", "/v1/files", "-F", "purpose=batch", "-F", "file=@part-aa"),
            curl(at.of(given), "POST", "/v1/batches", body=_new()),
        ],
        [curl(at.of(given), "POST", "/v1/batches/<each new batch>/cancel")],
    )


def _new() -> dict[str, str]:
    return {
        "input_file_id": "<id of the uploaded file>",
        "endpoint": "<as the old batch>",
        "completion_window": "24h",
    }
