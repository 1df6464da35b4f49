"""Patches, selectors, quantities, schedules and the arithmetic of rollouts: pure functions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worlds.cluster.controllers import rollouts
from worlds.cluster.controllers.rollouts import Side
from worlds.cluster.cron import parse_schedule
from worlds.cluster.ownership import as_fields, as_paths
from worlds.cluster.patches import json_patch, merge_patch, strategic_merge
from worlds.cluster.quantity import parse_quantity
from worlds.cluster.selectors import label_selector, object_selector, selector_text
from worlds.cluster.status import ApiError, go_value

# ---------------------------------------------------------------- patches


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": {"b": "c", "d": 1}}, {"a": {"b": None}}, {"a": {"d": 1}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ([1], {"a": "b"}, {"a": "b"}),
    ],
)
def test_merge_patch(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


@pytest.mark.parametrize(
    ("operations", "result"),
    [
        ([{"op": "add", "path": "/l/1", "value": 9}], {"l": [1, 9, 2], "m": {"a/b": 1}}),
        ([{"op": "add", "path": "/l/-", "value": 9}], {"l": [1, 2, 9], "m": {"a/b": 1}}),
        ([{"op": "remove", "path": "/l/0"}], {"l": [2], "m": {"a/b": 1}}),
        ([{"op": "replace", "path": "/m/a~1b", "value": 2}], {"l": [1, 2], "m": {"a/b": 2}}),
        ([{"op": "move", "from": "/l", "path": "/n"}], {"n": [1, 2], "m": {"a/b": 1}}),
        ([{"op": "copy", "from": "/l/0", "path": "/n"}], {"l": [1, 2], "m": {"a/b": 1}, "n": 1}),
    ],
)
def test_json_patch(operations: Any, result: Any) -> None:
    assert json_patch({"l": [1, 2], "m": {"a/b": 1}}, operations) == result


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "remove", "path": "/nope"},
        {"op": "replace", "path": "/nope", "value": 1},
        {"op": "add", "path": "/l/9", "value": 1},
    ],
)
def test_a_json_patch_that_does_not_apply(operation: Any) -> None:
    with pytest.raises(ApiError) as caught:
        json_patch({"a": 1, "l": []}, [operation])
    assert caught.value.code == 422


def pod(*containers: Any, **more: Any) -> Any:
    return {"spec": {"containers": list(containers), **more}}


@pytest.mark.parametrize(
    ("patch", "result"),
    [
        (
            pod({"name": "b", "image": "2"}),
            pod({"name": "a", "image": "1"}, {"name": "b", "image": "2"}),
        ),
        (pod({"name": "a", "image": "2"}), pod({"name": "a", "image": "2"})),
        (pod({"name": "a", "$patch": "delete"}), pod()),
        (pod({"$patch": "replace"}, {"name": "z"}), pod({"name": "z"})),
        (
            {"spec": {"tolerations": [{"key": "x"}]}},
            pod({"name": "a", "image": "1"}, tolerations=[{"key": "x"}]),
        ),
        (
            {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}},
            pod({"name": "a", "image": "1"}),
        ),
    ],
)
def test_strategic_merge(patch: Any, result: Any) -> None:
    assert strategic_merge(pod({"name": "a", "image": "1"}), patch, "Pod") == result


def test_strategic_merge_keeps_its_target() -> None:
    target = pod({"name": "a", "env": [{"name": "X", "value": "1"}]})
    patched = strategic_merge(
        target, pod({"name": "a", "env": [{"name": "X", "value": "2"}]}), "Pod"
    )
    assert target["spec"]["containers"][0]["env"][0]["value"] == "1"
    assert patched["spec"]["containers"][0]["env"] == [{"name": "X", "value": "2"}]


def test_field_sets_survive_their_written_form() -> None:
    paths = {("f:spec", "f:a"), ("f:spec", 'k:{"name":"x"}', "f:image"), ("f:metadata",)}
    assert as_paths(as_fields(paths)) == paths


def test_values_print_as_go_prints_them() -> None:
    assert go_value({"b": [1, None], "a": True}) == "map[a:true b:[1 <nil>]]"


# ---------------------------------------------------------------- selectors

LABELS = {"app": "etl", "tier": "2"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=etl", True),
        ("app==etl,tier", True),
        ("app!=etl", False),
        ("missing!=x", True),
        ("!missing", True),
        ("app in (etl, other)", True),
        ("app notin (etl)", False),
        ("tier>1", True),
        ("tier<2", False),
        ("missing", False),
        ("app=", False),
    ],
)
def test_label_selectors(text: str, matches: bool) -> None:
    assert label_selector(text)(LABELS) is matches


@pytest.mark.parametrize("text", ["app===", "app in etl", "app in (a", "=", "app=a,", "a b"])
def test_bad_label_selectors(text: str) -> None:
    with pytest.raises(ApiError, match="unable to parse requirement: found"):
        label_selector(text)


def test_object_selectors() -> None:
    rules = [
        {"key": "tier", "operator": "In", "values": ["1", "2"]},
        {"key": "gone", "operator": "DoesNotExist"},
    ]
    selector = {"matchLabels": {"app": "etl"}, "matchExpressions": rules}
    assert object_selector(selector)(LABELS)
    assert not object_selector(selector)(LABELS | {"gone": ""})
    assert not object_selector(None)(LABELS)
    assert object_selector({})(LABELS)
    assert selector_text(selector) == "app=etl,tier in (1,2),!gone"


# ---------------------------------------------------------------- quantities and schedules


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("1Ki", 1024), ("1.5Gi", 1.5 * 2**30), ("500m", 0.5), ("2e3", 2000), ("3E", 3e18)],
)
def test_quantities(text: str, value: float) -> None:
    assert float(parse_quantity(text)) == value


@pytest.mark.parametrize("text", ["", "8Gx", "Gi", "1 Gi", "--1"])
def test_no_quantities(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        parse_quantity(text)


START = datetime(2026, 11, 22, 5, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("0 * * * *", "2026-11-22T06:00"),
        ("*/15 * * * *", "2026-11-22T05:30"),
        ("20 5 * * *", "2026-11-23T05:20"),
        ("0 2 * * sun", "2026-11-29T02:00"),
        ("0 0 1 jan *", "2027-01-01T00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("0 0 13 * 5", "2026-11-27T00:00"),  # both day fields given: either of them
        ("@daily", "2026-11-23T00:00"),
        ("5-10/5,40 5 * * 0-6", "2026-11-22T05:40"),
    ],
)
def test_schedules(text: str, following: str) -> None:
    found = parse_schedule(text).after(START)
    assert found is not None
    assert found.strftime("%Y-%m-%dT%H:%M") == following


def test_a_schedule_keeps_to_its_zone() -> None:
    found = parse_schedule("0 9 * * *").after(START, ZoneInfo("America/New_York"))
    assert found == datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


def test_a_schedule_that_never_fires() -> None:
    assert parse_schedule("0 0 30 2 *").after(START) is None


@pytest.mark.parametrize(
    "text", ["* * * *", "60 * * * *", "a * * * *", "*/0 * * * *", "5-1 * * * *"]
)
def test_bad_schedules(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_schedule(text)


# ---------------------------------------------------------------- rollouts

sizes = st.integers(0, 20)


@given(
    replicas=st.integers(1, 20),
    new=st.tuples(sizes, sizes),
    old=st.lists(st.tuples(sizes, sizes), max_size=3),
    surge=st.integers(0, 5),
    unavailable=st.integers(0, 5),
)
def test_a_step_of_a_rollout_keeps_its_bounds(
    replicas: int,
    new: tuple[int, int],
    old: list[tuple[int, int]],
    surge: int,
    unavailable: int,
) -> None:
    most, fewest = rollouts.bounds(replicas, surge, unavailable)
    new_side = Side(new[0], min(new))
    sides = [Side(each[0], min(each)) for each in old]
    total = new_side.wanted + sum(side.wanted for side in sides)
    grown = rollouts.grow(new_side, sides, replicas, most)
    if grown > new_side.wanted:
        assert grown + sum(side.wanted for side in sides) <= replicas + most
    shrunk = rollouts.shrink(new_side, sides, replicas, fewest)
    assert all(0 <= size <= side.wanted for size, side in zip(shrunk, sides, strict=True))
    available = new_side.available + sum(side.available for side in sides)
    kept = new_side.available + sum(
        min(size, side.available) for size, side in zip(shrunk, sides, strict=True)
    )
    # It never takes an available pod that the minimum needs.
    assert kept >= min(available, replicas - fewest) or shrunk == [s.wanted for s in sides]
    assert total >= 0


def test_bounds_never_stand_still() -> None:
    assert rollouts.bounds(4, "25%", "25%") == (1, 1)
    assert rollouts.bounds(2, "25%", "25%") == (1, 0)
    assert rollouts.bounds(1, 0, "25%") == (0, 1)
    assert rollouts.bounds(0, "25%", "25%") == (0, 0)
    assert rollouts.spread([8, 5], 20, 10) == [15, 8]
