"""The pages at `/`: incidents, one incident, a run with its plan, a gate to decide at; login and logout."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput, NotFound, StanchError
from engine.edges.desk.acting import Desk
from engine.edges.desk.people import Level, level
from engine.edges.desk.reading import page_of
from engine.edges.problems import Unauthenticated, problem_of
from engine.edges.web.pages.sessions import Sessions, Visitor
from engine.edges.web.pages.showing import DOCUMENT, FOLDER, page
from engine.edges.web.reads import desk_of
from engine.incidents.postmortem.book import Request as PostmortemRequest

_LONGEST = 100_000  # bytes of a form


async def filled(request: Request) -> Mapping[str, str]:
    """Return a form's fields.

    Raises:
        InvalidInput: it is no form, or a longer one than ours.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = await request.body()
    if kind != "application/x-www-form-urlencoded" or len(raw) > _LONGEST:
        raise InvalidInput("this is no form of these pages")
    try:
        return dict(parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=20))
    except ValueError as error:
        raise InvalidInput(f"this form cannot be read: {error}") from None


Filled = Annotated[Mapping[str, str], Depends(filled)]
_ENTRIES = 500


class Page(APIRoute):
    """A route whose errors are pages too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                return await handler(request)
            except Unauthenticated:
                path = request.url.path if request.method == "GET" else "/"
                return RedirectResponse(f"/login?next={quote(path, safe='/')}", 303)
            except StanchError as error:
                problem = problem_of(error)
                return page("error", status=problem.status, problem=problem, visitor=None)

        return shown


router = APIRouter(route_class=Page, include_in_schema=False)


def sessions_of(request: Request) -> Sessions:
    sessions: Sessions = request.app.state.sessions
    return sessions


def _shown(request: Request, name: str, **scope: Any) -> Response:
    """Return a page for whoever is there; their forms' secret is set where it is missing."""
    sessions = sessions_of(request)
    visitor = sessions.visitor(request)
    if not visitor.mark and request.method == "GET":
        again = RedirectResponse(str(request.url.path) + _query(request), 303)
        sessions.prepare(request, again)
        if "prepared" not in request.query_params:
            return again
    desk = desk_of(request)
    common: dict[str, Any] = {
        "acts": level(visitor.actor) >= Level.OPERATOR,
        "engaged": [one for one in desk.brakes()["items"] if one["engaged"]],
        "now": desk.app.clock.now(),
        "path": request.url.path,
    }
    return page(name, visitor=visitor, **common, **scope)


def _query(request: Request) -> str:
    """The query, with a word that ends the redirection where a browser keeps no cookies."""
    known = "&".join(f"{quote(key)}={quote(value)}" for key, value in request.query_params.items())
    return f"?{known}&prepared=1" if known else "?prepared=1"


def _visitor(request: Request, form: Mapping[str, str]) -> Visitor:
    """Return who sent a form of ours."""
    sessions = sessions_of(request)
    visitor = sessions.visitor(request)
    sessions.check(request, form.get("mark", ""))
    return visitor


# ---------------------------------------------------------------- looking


@router.get("/")
def home(request: Request, live: bool = False) -> Response:
    sessions_of(request).visitor(request)
    desk = desk_of(request)
    incidents = desk.incidents(page_of(50, None))["items"]
    return _shown(
        request,
        "home",
        incidents=sorted(incidents, key=lambda one: one["state"] in {"resolved", "closed"}),
        gates=desk.approvals()["items"],
        pages=desk.pages()["items"],
        live=live,
    )


@router.get("/brakes")
def brakes(request: Request) -> Response:
    sessions_of(request).visitor(request)
    return _shown(request, "brakes", view=desk_of(request).brakes())


@router.get("/incidents/{ref}")
def incident(request: Request, ref: str, live: bool = False) -> Response:
    sessions_of(request).visitor(request)
    desk = desk_of(request)
    item = desk.incident(ref)
    gates = [one for one in desk.approvals()["items"] if one["incident"] == item["id"]]
    return _shown(request, "incident", item=item, gates=gates, live=live)


@router.get("/incidents/{ref}/postmortem")
def postmortem(request: Request, ref: str) -> Response:
    """The document itself: it runs nothing and asks for nothing."""
    visitor = sessions_of(request).visitor(request)
    answer = desk_of(request).postmortem(visitor.actor, ref, PostmortemRequest(format="html"))
    return HTMLResponse(answer["text"], headers={"content-security-policy": DOCUMENT})


@router.get("/incidents/{ref}/artifacts/{name}")
def artifact(request: Request, ref: str, name: str) -> Response:
    """Always a download: what was attached is never shown as a page of ours."""
    sessions_of(request).visitor(request)
    item, content = desk_of(request).artifact_content(ref, name)
    if content is None:
        where = item["reference"]
        raise NotFound(f"{name} lies on connection {where['connection']} as {where['name']}")
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(item['name'])}"}
    return Response(content, media_type="application/octet-stream", headers=headers)


@router.get("/runs/{ref}")
def run(request: Request, ref: str, live: bool = False) -> Response:
    sessions_of(request).visitor(request)
    desk = desk_of(request)
    item = desk.run(ref)
    entries = desk.entries(item["id"], after=max(0, item["entries"] - _ENTRIES))["entries"]
    return _shown(
        request, "run", item=item, entries=entries, plan=_plan_of(desk, item["id"]), live=live
    )


def _plan_of(desk: Desk, ref: str) -> JsonObject | None:
    try:
        return desk.plan(ref)
    except NotFound:
        return None


@router.get("/gates/{ref}")
def gate(request: Request, ref: str) -> Response:
    sessions_of(request).visitor(request)
    desk = desk_of(request)
    item = desk.gate(ref)
    return _shown(request, "gate", item=item, plan=desk.plan(item["id"]))


@router.get("/static/pages.css")
def style() -> Response:
    return FileResponse(FOLDER / "static" / "pages.css", media_type="text/css")


# ---------------------------------------------------------------- acting


@router.post("/incidents/{ref}/acknowledge")
def acknowledge(request: Request, ref: str, form: Filled) -> Response:
    visitor = _visitor(request, form)
    desk_of(request).acknowledge(visitor.actor, ref, form.get("note", ""))
    return RedirectResponse(f"/incidents/{quote(ref, safe='')}", 303)


@router.post("/incidents/{ref}/note")
def note(request: Request, ref: str, form: Filled) -> Response:
    visitor = _visitor(request, form)
    desk_of(request).note(visitor.actor, ref, form.get("note", ""))
    return RedirectResponse(f"/incidents/{quote(ref, safe='')}", 303)


@router.post("/gates/{ref}/approve")
def approve(request: Request, ref: str, form: Filled) -> Response:
    """The form carries the fingerprint of the plan that it stood below: that one is approved."""
    visitor = _visitor(request, form)
    desk_of(request).approve(
        visitor.actor, ref, form.get("fingerprint", ""), form.get("comment", "")
    )
    return RedirectResponse(f"/gates/{quote(ref, safe='')}", 303)


@router.post("/gates/{ref}/reject")
def reject(request: Request, ref: str, form: Filled) -> Response:
    visitor = _visitor(request, form)
    desk_of(request).reject(visitor.actor, ref, form.get("comment", ""))
    return RedirectResponse(f"/gates/{quote(ref, safe='')}", 303)


@router.post("/brakes/pause")
def pause(request: Request, form: Filled) -> Response:
    visitor = _visitor(request, form)
    desk_of(request).pause(visitor.actor, form.get("reason", ""))
    return RedirectResponse("/brakes", 303)


@router.post("/brakes/resume")
def resume(request: Request, form: Filled) -> Response:
    visitor = _visitor(request, form)
    desk_of(request).resume(visitor.actor, form.get("reason", ""))
    return RedirectResponse("/brakes", 303)


# ---------------------------------------------------------------- coming and going


@router.get("/login")
def login(request: Request) -> Response:
    return page("login", visitor=None, trouble="", next=_inside(request.query_params.get("next")))


@router.post("/login")
def log_in(request: Request, form: Filled) -> Response:
    """No mark: whoever can send a form with somebody's token needs none. The origin is held to."""
    sessions = sessions_of(request)
    following = _inside(form.get("next"))
    target = RedirectResponse(following, 303)
    try:
        _own_origin(request)
        sessions.log_in(request, target, form.get("token", ""))
    except Unauthenticated as error:
        return page("login", status=401, visitor=None, trouble=str(error), next=following)
    sessions.prepare(request, target)
    return target


def _own_origin(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host", ""):
        raise Unauthenticated("the form came from another page")


@router.post("/logout")
def log_out(request: Request, form: Filled) -> Response:
    sessions = sessions_of(request)
    sessions.check(request, form.get("mark", ""))
    response = RedirectResponse("/login", 303)
    sessions.log_out(request, response)
    return response


def _inside(path: str | None) -> str:
    """Return a path of this server; anything else leads home."""
    if path is None or not path.startswith("/") or path.startswith(("//", "/\\")):
        return "/"
    return path if path.isprintable() else "/"
