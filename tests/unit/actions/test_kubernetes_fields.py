"""Objects as field paths: what a patch touches, and how exactly it can be taken back."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.kubernetes import DECLARATIONS, fields
from actions.kubernetes.changing import JSON_PATCH, MERGE, keyed
from actions.kubernetes.failures import shown
from actions.kubernetes.params import Named, grant
from actions.kubernetes.resources import read_path
from actions.kubernetes.rollouts import progress_of
from engine.contract import Change, Protection
from engine.contract.registry import Registry

POD: dict[str, Any] = {
    "metadata": {"name": "x", "labels": {"app": "a"}, "resourceVersion": "7", "uid": "u"},
    "spec": {
        "containers": [
            {"name": "app", "image": "i:1", "env": [{"name": "A", "value": "1"}]},
            {"name": "side", "image": "s:1"},
        ],
        "tolerations": [{"operator": "Exists"}, {"operator": "Exists"}],
    },
    "status": {"phase": "Running"},
}


def test_paths_read_as_people_write_them() -> None:
    found = {fields.write(path): value for path, value in fields.wanted_fields(POD).items()}
    assert found["spec.containers[name=app].env[name=A].value"] == "1"
    assert found["metadata.labels.app"] == "a"
    assert found["spec.tolerations"] == [{"operator": "Exists"}] * 2  # they have no key
    assert not any(
        name.startswith(("status", "metadata.uid", "metadata.resource")) for name in found
    )
    assert fields.write(("data", "batch.yaml")) == "data[batch.yaml]"


def test_paths_survive_json() -> None:
    for path in fields.flatten(POD):
        assert fields.from_json(fields.as_json(path)) == path


@pytest.mark.parametrize(
    ("patch", "touched"),
    [
        ({"spec": {"containers": [{"name": "app", "image": "i:2"}]}}, {"name", "image"}),
        ({"metadata": {"labels": {"gone": None}}}, set()),
    ],
)
def test_a_patch_touches_what_it_names(patch: Any, touched: set[str]) -> None:
    paths = fields.patched_paths(patch, POD, POD)
    assert {str(path[-1]) for path in paths} == touched


def test_a_json_patch_is_named_by_merge_keys() -> None:
    operations = [{"op": "replace", "path": "/spec/containers/1/image", "value": "s:2"}]
    (path,) = fields.pointed_paths(operations, POD, POD)
    assert fields.write(path) == "spec.containers[name=side].image"


def name_of(item: Any) -> str:
    return str(item["name"])


names = st.sampled_from(["a", "b", "c.d/e"])
leaf = st.one_of(st.integers(0, 3), st.sampled_from(["x", "y"]), st.booleans())
element: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"name": st.sampled_from(["p", "q", "r"])}, optional={"v": leaf, "w": leaf}
)
trees = st.recursive(
    leaf, lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3), max_leaves=6
)
objects = st.fixed_dictionaries(
    {
        "metadata": st.just({"name": "x"}),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "tree": st.dictionaries(names, trees, min_size=1, max_size=3),
                "keyed": st.lists(element, min_size=1, max_size=3, unique_by=name_of),
                "plain": st.lists(st.integers(0, 3), min_size=1, max_size=3),
            },
        ),
    }
)


def sets(value: Any) -> Any:
    """Return an object with keyed lists in one order: undo may append what it brings back."""
    if isinstance(value, dict):
        return {key: sets(item) for key, item in value.items()}
    if isinstance(value, list) and fields.merge_key(value):
        return sorted((sets(item) for item in value), key=name_of)
    return value


@settings(max_examples=80, deadline=None)
@given(before=objects, after=objects)
def test_what_differs_can_be_taken_back_exactly(before: Any, after: Any) -> None:
    paths = fields.differing(before, after)
    values = {path: fields.look(before, path) for path in paths}
    kept = copy.deepcopy(after)
    back = fields.restored(after, values)
    assert after == kept
    assert fields.flatten(sets(back)) == fields.flatten(sets(before))


@settings(max_examples=40, deadline=None)
@given(live=objects, wanted=objects)
def test_a_merge_difference_leads_from_one_to_the_other(live: Any, wanted: Any) -> None:
    from worlds.cluster.patches import merge_patch

    assert merge_patch(live, fields.merge_difference(live, wanted)) == wanted


def test_the_key_and_the_version_travel_in_the_patch() -> None:
    live = {"metadata": {"resourceVersion": "7"}}
    merged = keyed({"spec": {"a": 1}, "metadata": {"labels": {"l": "m"}}}, MERGE, live, "k")
    assert merged["metadata"] == {
        "labels": {"l": "m"},
        "annotations": {fields.KEY: "k"},
        "resourceVersion": "7",
    }
    operations = keyed([{"op": "remove", "path": "/spec/a"}], JSON_PATCH, live, "k")
    assert [each["path"] for each in operations] == [
        "/metadata/resourceVersion",
        "/metadata/annotations",
        "/spec/a",
        "/metadata/annotations/stanch.dev~1last-key",
    ]


def test_a_secret_is_veiled_and_tells_equal_from_different() -> None:
    path = ("data", "token")
    one, two = fields.veil("Secret", "u", path, "a"), fields.veil("Secret", "u", path, "b")
    assert one != two
    assert one == fields.veil("Secret", "u", path, "a")
    assert one != fields.veil("Secret", "other", path, "a")
    assert fields.veil("ConfigMap", "u", path, "a") == "a"
    assert fields.veil("Secret", "u", path, None) is None
    note = {"kubectl.kubernetes.io/last-applied-configuration": '{"data":{"t":"c2VjcmV0"}}'}
    item = {"kind": "Secret", "metadata": {"annotations": note}, "data": {"t": "c2VjcmV0"}}
    assert "c2VjcmV0" not in repr(fields.masked(item))


def test_the_servers_words_lose_the_object_they_carry() -> None:
    text = ' "" is invalid: patch: Invalid value: "{\\"data\\":\\"x\\"}": strict decoding error: no'
    assert shown(
        text
    ) == ' "" is invalid: the patched object is invalid: strict decoding error: no'.replace(
        ' "" is invalid: ', ""
    )
    assert len(shown("x" * 1000)) == 400


@pytest.mark.parametrize(
    ("path", "namespace", "plural", "subresource"),
    [
        ("/api/v1/namespaces/a/pods/b/exec", "a", "pods", "exec"),
        ("/api/v1/namespaces/a", "", "namespaces", ""),
        ("/apis/apps/v1/deployments", "", "deployments", ""),
        ("/api/v1/nodes/n/proxy/x/y", "", "nodes", "proxy/x/y"),
    ],
)
def test_paths_name_their_place(path: str, namespace: str, plural: str, subresource: str) -> None:
    place = read_path(path)
    assert place is not None
    assert (place.namespace, place.plural, place.subresource) == (namespace, plural, subresource)


@pytest.mark.parametrize(
    ("status", "complete", "reason"),
    [
        ({"observedGeneration": 1}, False, "the controller has not seen the change yet"),
        ({"observedGeneration": 2, "updatedReplicas": 1}, False, "1 of 2 pods are updated"),
        (
            {"observedGeneration": 2, "updatedReplicas": 2, "replicas": 3},
            False,
            "1 old pods are still there",
        ),
        (
            {"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 1},
            False,
            "1 of 2 pods are available",
        ),
        (
            {"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2},
            True,
            "",
        ),
    ],
)
def test_a_rollout_is_done_when_all_of_it_is(status: Any, complete: bool, reason: str) -> None:
    item = {
        "kind": "Deployment",
        "metadata": {"generation": 2},
        "spec": {"replicas": 2},
        "status": status,
    }
    found = progress_of(item)
    assert (found.complete, found.reason) == (complete, reason)


def test_the_plugin_declares_itself_soundly() -> None:
    registry = Registry()
    for declaration in DECLARATIONS:
        registry.add("plugin kubernetes", declaration)
    changes = [each for each in registry.actions.values() if isinstance(each, Change)]
    # Each is held by the object's own version, uid or name; a command by nothing.
    bare = [each.name for each in changes if each.protection is not Protection.CONDITIONAL]
    assert bare == ["kubernetes.exec"]
    assert all(name.startswith("kubernetes.") for name in registry.actions)


def test_grants_name_the_exact_right() -> None:
    params = Named(connection="c", namespace="n", kind="Deployment", name="x")
    assert grant(params, "Deployment", ["get", "patch"]).detail == {
        "verbs": ["get", "patch"],
        "group": "apps",
        "resource": "deployments",
        "namespace": "n",
    }
    assert grant(params, "Pod", ["get"], subresource="log").detail["resource"] == "pods/log"
