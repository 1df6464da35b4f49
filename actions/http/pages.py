"""http.pages: a list that a service gives page by page, gathered within limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urljoin, urlsplit

from pydantic import Field, model_validator

from actions.http import byhand
from actions.http.bodies import Answer, field_of
from actions.http.connection import HttpClient
from actions.http.settings import StepHeaders, StepPath
from engine.contract import ActionFailed, ActionParams, Category, Grant, Read, Target, World
from engine.contract.fields import Bytes
from engine.domain.canonical import Json, JsonObject, canonical_json


class PagesParams(ActionParams):
    """Parameters of a paged read."""

    connection: str = Field(description="An http connection", examples=["batches"])
    path: StepPath = Field(
        description="Path below the connection's URL, starting with /", examples=["/v1/batches"]
    )
    query: dict[str, Any] = Field(
        default_factory=dict,
        description="Query parameters of every page; those that turn it are added",
        examples=[{"status": "failed"}],
    )
    headers: StepHeaders = Field(
        default_factory=dict, description="Headers", examples=[{"Accept": "application/json"}]
    )
    items: str | None = Field(
        None,
        description="The field (dotted) of a page that holds its list; the page itself where missing",
        examples=["data"],
    )
    by: Literal["link", "cursor", "page"] = Field(
        description="How the next page is found: the `Link: rel=next` header, a cursor that the page "
        "names, or a page number",
        examples=["cursor"],
    )
    cursor: str | None = Field(
        None,
        description="By cursor: the field (dotted) of a page that holds the next cursor; `last.NAME` is a "
        "field of the page's last item",
        examples=["next_cursor", "last.id"],
    )
    more: str | None = Field(
        None,
        description="By cursor: the field that is false on the last page, where there is one",
        examples=["has_more"],
    )
    parameter: str | None = Field(
        None,
        description="By cursor or page: the query parameter that takes it",
        examples=["after", "page"],
        min_length=1,
    )
    first: int = Field(1, ge=0, description="By page: the number of the first", examples=[1])
    size: int | None = Field(
        None,
        gt=0,
        description="By page: items of a full page; a smaller one is the last. Where missing, an empty one is",
        examples=[100],
    )
    max_pages: int = Field(50, gt=0, le=10_000, description="Most pages asked for", examples=[50])
    max_items: int = Field(1000, gt=0, le=100_000, description="Most items kept", examples=[1000])
    max_bytes: Bytes = Field(
        4 * 2**20, gt=0, description="Most that the items may take, as JSON", examples=["4Mi"]
    )

    @model_validator(mode="after")
    def _turned(self) -> Self:
        if self.by != "link" and self.parameter is None:
            raise ValueError(f"by {self.by} needs `parameter`, the query parameter that takes it")
        if self.by == "cursor" and self.cursor is None:
            raise ValueError("by cursor needs `cursor`, the field that holds the next one")
        return self


class HttpPages(Read[PagesParams]):
    """The items of a list over all its pages.

    Output: `items`, `count`, `pages` asked for, and `truncated` where a limit left more behind.
    """

    name = "http.pages"
    manual = byhand.pages
    summary = "Get a list page by page over HTTP"
    Params = PagesParams

    def targets(self, params: PagesParams) -> Sequence[Target]:
        return (Target(params.connection, f"GET {params.path}"),)

    def grants(self, params: PagesParams) -> Sequence[Grant]:
        return (Grant(params.connection, "http", {"method": "GET", "path": params.path}),)

    def read(self, params: PagesParams, world: World) -> Json:
        items: list[Json] = []
        pages, size, truncated = 0, 2, False
        for page, more in _pages(params, world):
            pages += 1
            for item in page:
                size += len(canonical_json(item).encode()) + 1
                if len(items) == params.max_items or size > params.max_bytes:
                    return _output(items, pages, truncated=True)
                items.append(item)
            truncated = more
            world.progress(len(items), None, "items")
            if pages == params.max_pages:
                break
        return _output(items, pages, truncated=truncated)


def _output(items: list[Json], pages: int, *, truncated: bool) -> JsonObject:
    return {"items": items, "count": len(items), "pages": pages, "truncated": truncated}


def _pages(params: PagesParams, world: World) -> Iterator[tuple[list[Json], bool]]:
    """Yield each page's list and whether there is another page."""
    client = world.client(params.connection, HttpClient)
    path, query, number = params.path, dict(params.query), params.first
    if params.by == "page":
        query[str(params.parameter)] = number
    seen: set[str] = set()
    while True:
        if world.cancelled():
            raise _failed(Category.TRANSIENT, f"GET {params.path}: given up in the middle")
        asked = canonical_json([path, query])
        if asked in seen:
            what = f"GET {path}: a page leads back to one before it; is `cursor` the right field?"
            raise _failed(Category.DATA, what)
        seen.add(asked)
        answer = client.send("GET", path, query=query, headers=params.headers)
        page = _list(params, answer)
        turned: tuple[str, JsonObject] | None
        if params.by == "link":
            turned = _linked(client, answer)
        elif params.by == "cursor":
            turned = _after(params, answer, page)
        else:
            number += 1
            done = not page or (params.size is not None and len(page) < params.size)
            turned = None if done else (path, {**params.query, str(params.parameter): number})
        yield page, turned is not None
        if turned is None:
            return
        path, query = turned


def _list(params: PagesParams, answer: Answer) -> list[Json]:
    found = answer.body if params.items is None else field_of(answer.body, params.items)
    if found is None and params.items is not None and isinstance(answer.body, dict):
        found = [] if _has(answer.body, params.items) else found
    if not isinstance(found, list):
        where = f"its field {params.items!r}" if params.items else "it"
        what = f"GET {params.path}: the page is no list: {where} is {type(found).__name__}"
        raise _failed(Category.DATA, what)
    return found


def _after(params: PagesParams, answer: Answer, page: list[Json]) -> tuple[str, JsonObject] | None:
    if params.more is not None and field_of(answer.body, params.more) is not True:
        return None
    name = str(params.cursor)
    if name.startswith("last."):
        cursor = field_of(page[-1], name.removeprefix("last.")) if page else None
    else:
        cursor = field_of(answer.body, name)
    if cursor is None or cursor == "":
        return None
    if isinstance(cursor, bool) or not isinstance(cursor, str | int):
        what = f"GET {params.path}: the cursor {name!r} is {type(cursor).__name__}, not text or a number"
        raise _failed(Category.DATA, what)
    return params.path, {**params.query, str(params.parameter): cursor}


def _linked(client: HttpClient, answer: Answer) -> tuple[str, JsonObject] | None:
    """Return path and query of the next page.

    Raises:
        ActionFailed: (configuration) it is not below the connection's URL.
    """
    if answer.following is None:
        return None
    base = client.settings.url.rstrip("/")
    there, here = urlsplit(urljoin(base + "/", answer.following)), urlsplit(base)
    same = (there.scheme, there.netloc) == (here.scheme, here.netloc)
    if not same or not there.path.startswith(here.path + "/"):
        what = "the next page's link leads elsewhere than below the connection's url; not followed"
        raise _failed(Category.CONFIGURATION, what)
    query: JsonObject = {
        name: values[0] if len(values) == 1 else values
        for name, values in parse_qs(there.query, keep_blank_values=True).items()
    }
    return there.path[len(here.path) :], query


def _has(body: Mapping[str, Any], name: str) -> bool:
    above, _, last = name.rpartition(".")
    holder = field_of(body, above) if above else body
    return isinstance(holder, Mapping) and last in holder


def _failed(category: Category, what: str) -> ActionFailed:
    return ActionFailed(category, what, effect_possible=False)
