"""Answers that are large, come in pages, or break off."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actions.http import HttpDownload, HttpGet, HttpPages, HttpRequest
from engine.contract import ActionFailed, Category
from tests.contract.actions.cases_http import connections
from tests.contract.actions.conftest import Served
from tests.contract.actions.storing import add_store
from tests.contract.actions.worlds import Connections

ROOT = Path(__file__).parents[3]
download, pages = HttpDownload(), HttpPages()

# The peak is VmHWM, which starts anew with the program: ru_maxrss is inherited from the process that started it.
LOAD = """
import json, pathlib, sys
from actions.http import HttpDownload
from tests.contract.actions.test_http_streams import downloading, with_artifacts

url, folder, size = sys.argv[1:]
made, action = with_artifacts(url, folder), HttpDownload()
planned = action.plan(downloading(path=f"/lines/{size}", content="json_lines"), made.reading())
receipt = action.apply(planned, made.writing(), "key")
status = pathlib.Path("/proc/self/status").read_text().splitlines()
(peak,) = (int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
print(json.dumps({"peak": peak, **receipt.output}))
"""


def with_artifacts(url: str, folder: Path | str, **settings: Any) -> Connections:
    return add_store(connections(url), Path(folder), **settings)


def downloading(**given: Any) -> Any:
    return download.Params.model_validate({"connection": "api", "artifacts": "kept", **given})


def paging(**given: Any) -> Any:
    return pages.Params.model_validate({"connection": "api", "path": "/v1/list", **given})


@pytest.fixture(scope="module")
def streams() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.contract.actions.streams"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.kill()


def test_a_gigabyte_of_json_lines_takes_little_memory(streams: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOAD, streams, str(tmp_path), "1024"]
    found = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    artifact = tmp_path / found["artifact"]["name"]
    assert found["artifact"]["bytes"] == artifact.stat().st_size >= 2**30
    artifact.unlink()
    assert found["lines"] > 16_000
    assert found["peak"] < 200 * 2**20


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_an_answer_that_breaks_off_is_transient_and_leaves_nothing(
    streams: str, tmp_path: Path, how: str
) -> None:
    made = with_artifacts(streams, tmp_path)
    planned = download.plan(downloading(path=f"/cut/{how}"), made.reading())
    with pytest.raises(ActionFailed, match="broke off") as caught:
        download.apply(planned, made.writing(), "key")
    assert caught.value.category is Category.TRANSIENT
    assert not caught.value.effect_possible
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []
    get = HttpGet.Params.model_validate({"connection": "api", "path": f"/cut/{how}"})
    with pytest.raises(ActionFailed, match="broke off") as caught:
        HttpGet().read(get, made.reading())
    assert caught.value.category is Category.TRANSIENT
    made.close()


@pytest.mark.parametrize(
    ("path", "category", "after"),
    [
        ("/busy", Category.RATE_LIMIT, 7.0),
        ("/toolarge", Category.DATA, None),
        ("/broken", Category.TRANSIENT, None),
        ("/elsewhere", Category.CONFIGURATION, None),
    ],
)
def test_refusals_are_classified(
    served: Served, tmp_path: Path, path: str, category: Category, after: float | None
) -> None:
    made = with_artifacts(served.recorder.url, tmp_path)
    planned = download.plan(downloading(path=path), made.reading())
    with pytest.raises(ActionFailed) as caught:
        download.apply(planned, made.writing(), "key")
    assert (caught.value.category, caught.value.retry_after) == (category, after)
    params = {"connection": "api", "method": "POST", "path": path}
    asked = HttpRequest().plan(HttpRequest.Params.model_validate(params), made.reading())
    with pytest.raises(ActionFailed) as caught:
        HttpRequest().apply(asked, made.writing(), "key")
    assert (caught.value.category, caught.value.retry_after) == (category, after)
    made.close()


def test_what_is_no_json_lines_or_too_large_is_not_kept(served: Served, tmp_path: Path) -> None:
    served.service.pages["/v1/torn"] = b'{"id": 1}\n{"id": \n'
    for name, size in (("wide", 2000), ("long", 5000)):
        served.service.pages[f"/v1/{name}"] = b'{"id": "' + b"x" * size + b'"}\n'
    made = with_artifacts(served.recorder.url, tmp_path, max_bytes=4000)
    for given, message in (
        ({"path": "/v1/torn", "content": "json_lines"}, "line 2 is no JSON"),
        ({"path": "/v1/wide", "content": "json_lines", "max_line": 100}, "line 1 is longer"),
        ({"path": "/v1/long"}, "larger than max_bytes 4000"),
        ({"path": "/v1/long", "max_bytes": 1000}, "larger than 1000 bytes"),
    ):
        planned = download.plan(downloading(**given), made.reading())
        with pytest.raises(ActionFailed, match=message) as caught:
            download.apply(planned, made.writing(), "key")
        assert caught.value.category is Category.DATA
    assert [path.name for path in tmp_path.rglob("*.json*")] == []
    made.close()


def test_a_name_that_is_taken_is_refused_and_one_of_the_key_is_found_again(
    served: Served, tmp_path: Path
) -> None:
    served.service.pages["/v1/x"] = b"1"
    made = with_artifacts(served.recorder.url, tmp_path)
    planned = download.plan(downloading(path="/v1/x"), made.reading())
    first = download.apply(planned, made.writing(), "key-1")
    assert download.apply(planned, made.writing(), "key-1") == first
    other = download.apply(planned, made.writing(), "key-2")
    names = [one.output["artifact"]["name"] for one in (first, other)]
    assert names[0] != names[1]
    with pytest.raises(ActionFailed, match="there already") as caught:
        download.plan(downloading(path="/v1/x", name=names[0]), made.reading())
    assert caught.value.category is Category.DATA
    for bad in ("../x", "/x", ".meta/x", "a//b", ""):
        with pytest.raises(ValidationError):
            downloading(path="/v1/x", name=bad)
    made.close()


def linked(served: Served, url: str) -> None:
    served.service.pages["/v1/list?page=1"] = ([1, 2], {"Link": f'<{url}>; rel="next"'})
    served.service.pages["/v1/list?page=2"] = [3]


def test_pages_follow_links_below_the_connection_only(served: Served) -> None:
    made = connections(served.recorder.url)
    given = {"by": "link", "query": {"page": 1}}
    for url in (f"{served.recorder.url}/v1/list?page=2", "/v1/list?page=2"):
        linked(served, url)
        output = pages.read(paging(**given), made.reading())
        assert (output["items"], output["pages"], output["truncated"]) == ([1, 2, 3], 2, False)
    linked(served, "http://127.0.0.1:1/v1/list?page=2")
    with pytest.raises(ActionFailed, match="leads elsewhere") as caught:
        pages.read(paging(**given), made.reading())
    assert caught.value.category is Category.CONFIGURATION
    made.close()


def test_pages_by_number_end_with_an_empty_or_a_short_one(served: Served) -> None:
    made = connections(served.recorder.url)
    for number, page in ((1, [1, 2]), (2, [3, 4]), (3, [])):
        served.service.pages[f"/v1/list?page={number}"] = page
    given = {"by": "page", "parameter": "page"}
    assert pages.read(paging(**given), made.reading())["count"] == 4
    short = pages.read(paging(**given, size=3), made.reading())
    assert (short["count"], short["pages"], short["truncated"]) == (2, 1, False)
    for limits in ({"max_pages": 1}, {"max_items": 3}, {"max_bytes": 6}):
        assert pages.read(paging(**given, **limits), made.reading())["truncated"]
    made.close()


def test_pages_that_go_round_or_are_no_lists_are_refused(served: Served) -> None:
    made = connections(served.recorder.url)
    served.service.pages["/v1/list"] = {"data": [{"id": 7}], "has_more": True}
    served.service.pages["/v1/list?after=7"] = {"data": [{"id": 7}], "has_more": True}
    given = {"by": "cursor", "cursor": "last.id", "more": "has_more", "parameter": "after"}
    with pytest.raises(ActionFailed, match="leads back") as caught:
        pages.read(paging(**given, items="data"), made.reading())
    assert caught.value.category is Category.DATA
    for items in (None, "date"):
        with pytest.raises(ActionFailed, match="is no list"):
            pages.read(paging(**given, items=items), made.reading())
    for lacking in ({"by": "page"}, {"by": "cursor", "parameter": "after"}):
        with pytest.raises(ValidationError, match="needs"):
            paging(**lacking)
    made.close()
