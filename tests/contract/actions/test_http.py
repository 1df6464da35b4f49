"""What http.get and http.request promise beyond the contract."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from actions.http import HttpGet, HttpKind, HttpRequest
from actions.http.settings import check_path
from engine.contract import (
    ActionFailed,
    Applied,
    CannotTell,
    Category,
    NotApplied,
    Protection,
    Target,
    Wrong,
)
from tests.contract.actions.cases_http import connections
from tests.contract.actions.conftest import Served

get, request = HttpGet(), HttpRequest()


def asked(**params: Any) -> Any:
    return get.Params.model_validate({"connection": "api", **params})


def wanted(**params: Any) -> Any:
    return request.Params.model_validate({"connection": "api", "method": "POST", **params})


@pytest.mark.parametrize(
    "path",
    [
        "v1/x",
        "http://elsewhere/x",
        "//elsewhere/x",
        "/v1/../admin",
        "/v1/./x",
        "/v1/%2e%2e/admin",
        "/v1/%2Fadmin",
        "/v1/x?admin=1",
        "/v1/x#y",
        "/v1\\x",
        "/v1/x\r\nHost: y",
        "/v1/a b",
    ],
)
def test_a_path_that_could_mean_another_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="must"):
        check_path(path)
    with pytest.raises(ValidationError):
        asked(path=path)


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "x"}, {"host": "x"}, {"Cookie": "x"}, {"X-A": "b\r\nC: d"}, {"A b": "c"}],
)
def test_a_step_sets_no_header_of_the_connection(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="header"):
        asked(path="/x", headers=headers)


def test_the_allow_list_is_by_method_and_path(served: Served) -> None:
    allow = {"paths": ["GET /v1/*", "POST /v1/pauses"]}
    kind = HttpKind()
    made = connections(served.recorder.url, allow=allow)
    settings = made.checked("api")
    assert kind.refuses(settings, Target("api", "GET /v1/pauses/p1")) is None
    assert "DELETE /v1/pauses" in (kind.refuses(settings, Target("api", "DELETE /v1/pauses")) or "")
    with pytest.raises(ActionFailed, match="allow-list"):
        get.read(asked(path="/echo"), made.reading())
    assert served.recorder.requests() == []


@pytest.mark.parametrize(
    ("path", "category", "possible", "after", "message"),
    [
        ("/busy", Category.RATE_LIMIT, False, 7.0, "429"),
        ("/broken", Category.TRANSIENT, True, None, "502"),
        ("/elsewhere", Category.CONFIGURATION, False, None, "a redirect, which is not followed"),
        ("/huge", Category.DATA, True, None, "larger than"),
        ("/no/such", Category.PERMANENT, False, None, "404"),
    ],
)
def test_answers_are_classified(
    served: Served,
    path: str,
    category: Category,
    possible: bool,
    after: float | None,
    message: str,
) -> None:
    made = connections(served.recorder.url, max_bytes="1Mi")
    with pytest.raises(ActionFailed, match=message) as caught:
        get.read(asked(path=path), made.reading())
    assert caught.value.category is category
    assert caught.value.retry_after == after
    with pytest.raises(ActionFailed, match=message) as caught:
        request.apply(request.plan(wanted(path=path), made.reading()), made.writing(), "k")
    assert caught.value.category is category
    assert caught.value.effect_possible is possible


def test_of_people_an_error_quotes_no_answer(served: Served) -> None:
    for personal in (False, True):
        made = replace(connections(served.recorder.url), personal=personal)
        with pytest.raises(ActionFailed) as caught:
            get.read(asked(path="/no/such"), made.reading())
        told = str(caught.value)
        assert "GET /no/such: answered 404" in told
        assert told.endswith("answered 404") is personal, told


def test_an_expected_status_is_no_failure(served: Served) -> None:
    output = get.read(
        asked(path="/no/such", expect=[200, 404]), connections(served.recorder.url).reading()
    )
    assert output["status"] == 404


def test_no_answer_in_time_leaves_it_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        made = connections(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)
        planned = request.plan(wanted(path="/v1/pauses"), made.reading())
        with pytest.raises(ActionFailed, match="no answer within") as caught:
            request.apply(planned, made.writing(), "k")
    assert caught.value.category is Category.TRANSIENT
    assert caught.value.effect_possible


def test_protection_is_by_the_key_that_the_server_honours(served: Served) -> None:
    with_key = connections(served.recorder.url)
    without = connections(served.recorder.url, idempotency_header=None)
    planned = request.plan(wanted(path="/v1/pauses"), with_key.reading())
    assert request.protection_of(planned) is Protection.PROVIDER_KEY
    planned = request.plan(wanted(path="/v1/pauses"), without.reading())
    assert request.protection_of(planned) is Protection.UNPROTECTED
    found = request.confirm(planned, None, without.reading(), "k")
    assert isinstance(found, CannotTell)
    own = wanted(path="/v1/pauses", idempotency_header="Idempotency-Key")
    planned = request.plan(own, without.reading())
    assert request.protection_of(planned) is Protection.PROVIDER_KEY


def test_a_confirm_request_tells_whether_the_effect_is_there(served: Served) -> None:
    made = connections(served.recorder.url, idempotency_header=None)
    planned = request.plan(
        wanted(
            path="/v1/pauses",
            body={"pack": "etl"},
            confirm={"path": "/v1/pauses/p1", "equals": {"pack": "etl"}},
        ),
        made.reading(),
    )
    assert request.confirm(planned, None, made.reading(), "k") == NotApplied()
    receipt = request.apply(planned, made.writing(), "k")
    assert isinstance(request.confirm(planned, None, made.reading(), "k"), Applied)
    assert request.confirm(planned, receipt, made.reading(), "k") == Applied(receipt)
    served.service.pauses["p1"] = {"pack": "other"}
    assert isinstance(request.confirm(planned, receipt, made.reading(), "k"), Wrong)
    del served.service.pauses["p1"]
    assert isinstance(request.confirm(planned, receipt, made.reading(), "k"), Wrong)


def test_an_undo_without_the_field_it_needs_is_refused(served: Served) -> None:
    made = connections(served.recorder.url)
    undo = {"method": "DELETE", "path": "/v1/pauses/{number}"}
    planned = request.plan(wanted(path="/v1/pauses", body={}, undo=undo), made.reading())
    receipt = request.apply(planned, made.writing(), "k")
    with pytest.raises(ActionFailed, match="no 'number'"):
        request.undo(planned, receipt, made.writing(), "u")


def test_a_request_by_get_is_planned_without_being_sent(served: Served) -> None:
    made = connections(served.recorder.url)
    params = request.Params.model_validate(
        {"connection": "api", "method": "GET", "path": "/v1/pauses"}
    )
    planned = request.plan(params, made.reading())
    assert "http.get" in planned.notes[0]
    assert served.recorder.requests() == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "http://user:pw@host"}, "pattern"),
        ({"url": "ftp://host"}, "pattern"),
        ({"url": "http://h", "allow": {"paths": ["/v1/*"]}}, "METHOD /path"),
        (
            {
                "url": "http://h",
                "bearer": {"env": "A"},
                "header": {"name": "K", "value": {"env": "B"}},
            },
            "one of bearer",
        ),
        ({"url": "http://h", "bearer": "token"}, "bearer"),
        ({"url": "http://h", "bearer": {"env": "A", "file": "b"}}, "one of them"),
        ({"url": "http://h", "timeout": "soon"}, "not a duration"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        HttpKind.Settings.model_validate(settings)
