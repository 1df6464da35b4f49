"""The in-memory cluster gives the answers that a real API server gave to the same 96 requests.

It is asked over HTTP as a process of its own, on a manual clock, so that nothing depends on how
fast this machine is. With STANCH_TEST_KUBECONFIG set, the other acceptance tests of Kubernetes run
on that cluster; this one cannot, since the recording needs a cluster that is empty and whose pods
follow annotations.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.kube_contract import Mapping, differences, in_order, settled

LINES = [
    json.loads(line)
    for line in (Path(__file__).parent / "kube-contract.jsonl").read_text().splitlines()
]
TOKENS = {"admin": "admin-token", "operator": "operator-token"}
# Before these requests the recorder had waited (the times in their answers say so), in seconds.
WAITED = {37: 2.5, 38: 0.5, 77: 5.0, 80: 0.5, 81: 2.0, 84: 2.0, 89: 1.0}


@pytest.fixture(scope="module")
def cluster() -> Iterator[httpx.Client]:
    command = [sys.executable, "-m", "worlds.cluster", "--clock", "manual"]
    command += ["--start", "2026-11-22T05:20:18Z"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with httpx.Client(base_url=url, timeout=10) as client:
            yield client
    finally:
        process.terminate()
        assert process.wait(10) == 0


def send(client: httpx.Client, line: dict[str, Any], mapping: Mapping) -> httpx.Response:
    headers = {"Authorization": f"Bearer {TOKENS[line['as']]}", "User-Agent": "unknown"}
    body = mapping.apply(line["body"])
    if line["content_type"]:
        headers["Content-Type"] = line["content_type"]
    return client.request(
        line["method"],
        mapping.apply(line["path"]),
        params={key: mapping.apply(value) for key, value in line["query"].items()},
        headers=headers,
        content=json.dumps(body) if body is not None else None,
    )


def advance(client: httpx.Client, seconds: float) -> None:
    client.post("/-/clock", json={"advance": seconds}).raise_for_status()


def ask(client: httpx.Client, line: dict[str, Any], mapping: Mapping) -> httpx.Response:
    advance(client, WAITED.get(line["n"], 0.0))
    response = send(client, line, mapping)
    waited = 0.0
    while line.get("settle") and waited < line["settle"]:
        if settled(response.json(), line["until"]):
            break
        advance(client, 0.25)
        waited += 0.25
        response = send(client, line, mapping)
    return response


def test_answers_are_those_of_a_real_server(cluster: httpx.Client) -> None:
    assert [line["n"] for line in LINES] == list(range(1, 97))
    mapping, wrong = Mapping(), []
    for line in LINES:
        response = ask(cluster, line, mapping)
        title = f"{line['n']} {line['name']}"
        if response.status_code != line["status"]:
            wrong.append(f"{title}: {response.status_code} {response.text[:300]}")
            continue
        assert response.headers["content-type"] == line["response_type"], title
        recorded = line["response"]
        mine = response.json() if line["response_type"] == "application/json" else response.text
        recorded, mine = in_order(recorded), in_order(mine)
        mapping.learn(recorded, mine)
        wrong += [f"{title}: {text}" for text in differences(mapping.apply(recorded), mine)]
    assert not wrong, f"{len(wrong)} differences:\n" + "\n".join(wrong)
