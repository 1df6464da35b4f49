"""HTTP's cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from actions.http import HttpDownload, HttpGet, HttpKind, HttpPages, HttpRequest
from engine.contract import Category
from tests.contract.actions.cases import ChangeCase, Fault, ReadCase
from tests.contract.actions.conftest import Served
from tests.contract.actions.service import TOKEN
from tests.contract.actions.storing import overwrite, with_store
from tests.contract.actions.worlds import Connections
from worlds.servers.process import free_port

WRONG = "wr0ng+token/=&"


def connections(url: str, token: str = TOKEN, **settings: Any) -> Connections:
    raw: Mapping[str, Any] = {
        "url": url,
        "bearer": {"env": "TOKEN"},
        "idempotency_header": "Idempotency-Key",
        "timeout": 5,
        **settings,
    }
    return Connections({"api": (HttpKind(), raw)}, {"TOKEN": token})


def _parts(request: pytest.FixtureRequest, params: Mapping[str, Any]) -> tuple[Any, ...]:
    served: Served = request.getfixturevalue("served")
    whole = {"connection": "api", **params}
    url = served.recorder.url
    faults = {
        "unreachable": Fault(
            Category.TRANSIENT, connections(f"http://127.0.0.1:{free_port()}"), whole
        ),
        "credentials": Fault(Category.CONFIGURATION, connections(url, WRONG), whole),
        "missing": Fault(Category.PERMANENT, connections(url), {**whole, "path": "/no/such"}),
    }
    return (
        connections(url),
        whole,
        lambda: dict(served.service.pauses),
        served.recorder.http_writes,
        faults,
        [TOKEN, WRONG],
    )


def download_case(request: pytest.FixtureRequest) -> ChangeCase:
    served: Served = request.getfixturevalue("served")
    served.service.pages["/v1/results"] = b'{"id": 1}\n{"id": 2}'
    given = {
        "path": "/v1/results",
        "artifacts": "kept",
        "name": "run/results.jsonl",
        "content": "json_lines",
    }
    case = ChangeCase(*_parts(request, given), action=HttpDownload())
    folder = with_store(request, case)
    case.meddle = lambda: overwrite(folder / "run/results.jsonl")
    case.conflict = "run/results.jsonl, sha256"
    return case


def pages_case(request: pytest.FixtureRequest) -> ReadCase:
    def check(output: Any) -> None:
        assert output == {"items": [1, 2, 3], "count": 3, "pages": 2, "truncated": False}

    served: Served = request.getfixturevalue("served")
    pages: dict[str, Any] = {"/v1/list?limit=2": {"data": [1, 2], "next": "c/2"}}
    pages["/v1/list?limit=2&after=c%2F2"] = {"data": [3], "next": None}
    served.service.pages.update(pages)
    given = {
        "path": "/v1/list",
        "query": {"limit": 2},
        "items": "data",
        "by": "cursor",
        "cursor": "next",
        "parameter": "after",
    }
    return ReadCase(*_parts(request, given), action=HttpPages(), check=check)


def request_case(request: pytest.FixtureRequest) -> ChangeCase:
    params = {
        "method": "POST",
        "path": "/v1/pauses",
        "body": {"pack": "etl"},
        "expect": [201],
        "undo": {"method": "DELETE", "path": "/v1/pauses/{id}"},
    }
    return ChangeCase(*_parts(request, params), action=HttpRequest())


def get_case(request: pytest.FixtureRequest) -> ReadCase:
    def check(output: Any) -> None:
        assert output["status"] == 200
        assert set(output["body"]) == {"token", "coded"}  # masked; the suite looks for the values

    return ReadCase(*_parts(request, {"path": "/echo"}), action=HttpGet(), check=check)


CHANGES = {"http.request": request_case, "http.download": download_case}
READS = {"http.get": get_case, "http.pages": pages_case}
