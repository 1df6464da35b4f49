"""The web application: intake, health, API. Wiring builds the engine; this puts doors into it."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from engine.domain.canonical import JsonObject
from engine.domain.errors import StanchError
from engine.edges.desk.acting import Desk
from engine.edges.problems import problem_of
from engine.edges.web import acts, events, hands, health, incidents, pagers, reads
from engine.edges.web.auth import Door
from engine.edges.web.metrics import Metrics
from engine.edges.web.middleware import BodyLimit, SecurityHeaders
from engine.edges.web.pages import routes as pages
from engine.edges.web.pages.sessions import Sessions
from engine.edges.web.ports import Application

_LOG = logging.getLogger("stanch.web")
HOOK = "/hooks/alertmanager"

_DESCRIPTION = """
Stanch takes alerts in, plans repairs exactly, asks the right people, journals before it acts.

Times are RFC 3339 in UTC. Lists are newest first: `{items, next}`; give `next` as `before` for the next
page. Ids may be shortened to a unique beginning or end. Every error is
`{"error": {"code", "message", "hint"}}`.

Send `Authorization: Bearer TOKEN` (`stanch token create NAME`). Roles: viewer < operator < approver roles
< admin; a gate asks for its own role.
"""


def create_app(
    application: Application, intake: BaseRoute | None = None, metrics: Metrics | None = None
) -> FastAPI:
    """Return the ASGI application. It starts no workers.

    Parameters:
        intake: the route of `POST /hooks/alertmanager`; None: this process takes no alerts in.
        metrics: where the intake's callbacks count; None: a new one.
    """
    app = FastAPI(
        title="Stanch",
        version="1",
        description=_DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # the usual pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.application = application
    app.state.desk = Desk(application)
    app.state.door = Door(application)
    app.state.sessions = Sessions(application)
    app.state.metrics = metrics or Metrics(
        application.store, application.triage, application.warmed
    )
    if intake is not None:
        app.router.routes.insert(0, intake)  # the hot path is matched first
    for room in (health, reads, acts, hands, incidents, pagers, events, pages):
        # Not included: each route, whole already, would be built once more at the first request.
        app.router.routes.extend(room.router.routes)
    app.add_middleware(BodyLimit, exempt=(HOOK,))
    app.add_middleware(SecurityHeaders)
    app.add_exception_handler(StanchError, _stanch_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _bug)
    return app


def _error(status: int, code: str, message: str, hint: str = "") -> JSONResponse:
    body: JsonObject = {"error": {"code": code, "message": message, "hint": hint}}
    return JSONResponse(body, status_code=status)


async def _stanch_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StanchError)
    problem = problem_of(error)
    headers = {401: {"www-authenticate": "Bearer"}, 503: {"retry-after": "1"}}.get(problem.status)
    return JSONResponse(problem.as_json(), status_code=problem.status, headers=headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = [
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()
    ]
    hint = "see /api/v1/openapi.json"
    if any(item["loc"][-1:] == ("fingerprint",) for item in error.errors()):
        gate = request.path_params.get("gate", "ID")
        hint = (
            "say which plan you approve: its `fingerprint`, as GET "
            f"/api/v1/approvals/{gate} shows it, whole or at least the first 16 characters"
        )
    return _error(422, "invalid_input", "; ".join(found), hint)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        message = f"there is no {request.url.path}"
        return _error(404, "not_found", message, "see /api/v1/openapi.json")
    answer = _error(error.status_code, "refused_request", str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


async def _bug(request: Request, error: Exception) -> JSONResponse:
    _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _error(
        500, "bug", "this is a fault of Stanch's own", "the server's log has the traceback"
    )
