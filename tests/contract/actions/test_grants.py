"""Every registered action has its rights measured: exactly those are enough, and none is one too many.

The rights at Kubernetes, PostgreSQL, S3, Redis and over HTTP have suites of their own; the rest is here.
An action that names no right is listed with what shows that it needs none.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actions.artifacts import ArtifactsKind
from actions.iam import IamKind
from engine.contract import ActionFailed, Category, Grant
from engine.contract.registry import load_registry
from tests.contract.actions import (
    test_celery,
    test_kubernetes_grants,
    test_path_grants,
    test_redis,
    test_s3_grants,
    test_sql_grants,
)
from tests.contract.actions.cases import NotifyCase, changes, notifies, reads
from tests.contract.actions.gate import Gate
from tests.contract.actions.granted import carried_out
from tests.contract.actions.recorder import Recorder
from tests.contract.actions.worlds import Connections
from worlds.iam import IamServer

pytestmark = pytest.mark.real
BUILDERS = changes() | reads() | notifies()
SUITES = (
    test_celery.CASES,
    test_kubernetes_grants.CASES,
    test_path_grants.CASES,
    test_redis.CASES,
    test_s3_grants.CASES,
    test_sql_grants.CASES,
)
NOBODY = 65534
ROBOT = "arn:aws:iam::123456789012:role/robot"


def of(*systems: str) -> list[str]:
    """The labels of cases of these systems' actions."""
    return [label for label in BUILDERS if label.partition(".")[0] in systems]


# Their port is the run's own incident and chat: they have no connection, at which a right could be given.
PORTS = of("incident", "report", "slack")
LISTED = of("mail", "command", "webhook")
# It computes from what it is given, and touches nothing.
NOTHING = ["classify.levels"]
FILES = [label for label in of("classify", "log") if label not in NOTHING]


def granted(case: Any, kind: str | None = None) -> list[Grant]:
    named = case.action.grants(case.action.Params.model_validate(case.params))
    return [one for one in named if kind in (None, one.kind)]


def refused(case: Any, connections: Connections, key: str) -> ActionFailed | None:
    """Carry it out, the connection's list of targets enforced as the engine does, or return the refusal."""
    try:
        for target in case.action.targets(case.action.Params.model_validate(case.params)):
            kind, _ = connections.settings[target.connection]
            reason = kind.refuses(connections.checked(target.connection), target)
            if reason is not None:
                raise ActionFailed(Category.CONFIGURATION, reason, effect_possible=False)
        carried_out(case, connections, key)
    except ActionFailed as failure:
        return failure
    finally:
        connections.close()
    return None


def test_every_registered_action_has_its_rights_measured() -> None:
    elsewhere = {label for cases in SUITES for label in cases}
    here = {*PORTS, *NOTHING, *LISTED, *FILES, *of("prometheus", "iam")}
    measured = {label.partition(":")[0] for label in elsewhere | here}
    assert set(load_registry().actions) - measured == set()


@pytest.mark.parametrize("label", PORTS + NOTHING)
def test_what_has_no_connection_needs_no_right(request: pytest.FixtureRequest, label: str) -> None:
    case = BUILDERS[label](request)
    assert case.connections.settings == {}
    assert granted(case) == []
    carried_out(case, case.connections)


@pytest.mark.parametrize("label", LISTED)
def test_a_connection_that_lists_what_is_named_is_enough_and_nothing_less_is(
    request: pytest.FixtureRequest, label: str
) -> None:
    case = BUILDERS[label](request)
    if label.startswith("mail."):
        case.params = {**case.params, "to": ["oncall@example.org", "lead@example.org"]}
    grants = granted(case)
    assert grants
    assert refused(case, listing(case, grants), "key") is None
    for place in range(len(grants)):
        less = listing(case, grants[:place] + grants[place + 1 :])
        found = refused(case, less, f"key-{place}")
        assert found is not None
        assert found.category is Category.CONFIGURATION
        assert "list" in str(found)


def listing(case: Any, grants: Sequence[Grant]) -> Connections:
    """The case's connections with a list of exactly what is granted."""
    name = case.params["connection"]
    kind, settings = case.connections.settings[name]
    field, named = {
        "mail": ("recipients", "recipient"),
        "webhook": ("events", "event"),
        "command": ("programs", "program"),
    }[kind.kind]
    listed: Any = [one.detail[named] for one in grants]
    if kind.kind == "command":
        listed = {program: settings["programs"][program] for program in listed}
    if kind.kind == "mail" and not listed:
        listed = ["nobody@example.org"]  # a list of recipients is not empty
    return changed(case.connections, name, **{field: listed})


def changed(connections: Connections, name: str, **settings: Any) -> Connections:
    kind, there = connections.settings[name]
    given = {**connections.settings, name: (kind, {**there, **settings})}
    return replace(connections, settings=given, _open={})


@pytest.mark.parametrize("label", of("prometheus"))
def test_prometheus_behind_a_door_for_the_named_paths(
    request: pytest.FixtureRequest, metrics: Recorder, label: str
) -> None:
    case = BUILDERS[label](request)
    paths = [one.detail["path"] for one in granted(case)]
    assert paths
    with Gate(metrics.port, paths) as gate:
        assert refused(case, changed(case.connections, "metrics", url=gate.url), "key") is None
    for without in paths:
        with Gate(metrics.port, [one for one in paths if one != without]) as gate:
            found = refused(case, changed(case.connections, "metrics", url=gate.url), "key")
        assert found is not None
        assert found.category is Category.CONFIGURATION


@pytest.mark.parametrize("label", of("iam"))
def test_the_policy_lets_a_role_simulate(request: pytest.FixtureRequest, label: str) -> None:
    case = BUILDERS[label](request)
    server: IamServer = request.getfixturevalue("iam_server")
    text = IamKind().grant_text(case.connections.checked("iam"), granted(case), ROBOT)
    server.callers["admin"] = ROBOT
    found = refused(case, case.connections, "key")
    assert found is not None
    assert found.category is Category.CONFIGURATION
    assert "stanch grants" in str(found)
    server.policies[ROBOT] = [
        (action, resource)
        for statement in json.loads(text)["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    ]
    assert len(server.policies[ROBOT]) == 1
    assert refused(case, case.connections, "key") is None


LEAVING = [
    label
    for label in of("http", "s3", "postgres")
    if label.partition(":")[0]
    in ("http.download", "s3.download", "s3.upload", "postgres.backup", "postgres.restore")
    and "in memory" not in label
]


@pytest.mark.parametrize("label", LEAVING)
def test_an_artifact_of_another_name_is_refused(request: pytest.FixtureRequest, label: str) -> None:
    case = BUILDERS[label](request)
    (grant,) = granted(case, "artifacts")
    assert grant.connection == "kept"
    names = ArtifactsKind().grant_text(case.connections.checked("kept"), [grant], "").split()
    found = refused(case, changed(case.connections, "kept", allow=["others/*"]), "key-1")
    assert found is not None
    assert "allow-list" in str(found)
    assert refused(case, changed(case.connections, "kept", allow=names), "key-2") is None


@pytest.mark.parametrize("label", FILES)
def test_the_files_modes_are_enough_and_each_is_needed(
    request: pytest.FixtureRequest, label: str
) -> None:
    case = BUILDERS[label](request)
    modes = [one.detail["mode"] for one in granted(case)]
    assert modes
    assert as_nobody(case, modes) is None
    for without in modes:
        found = as_nobody(case, [one for one in modes if one != without])
        assert found is not None
        assert found.startswith("configuration: ")


def as_nobody(case: Any, modes: Sequence[str]) -> str | None:
    """What fails for a user who may do just this with the connection's file, None where nothing does."""
    ((name, (_, settings)),) = case.connections.settings.items()
    bits = sum({"read": 0o400, "append": 0o200}[mode] for mode in modes)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # pytest's own lets root alone in
        Path(folder).chmod(0o711)
        file = Path(folder) / "file"
        source = settings.get("files", [None])[0]
        file.write_bytes(source.read_bytes() if source else b"")
        file.chmod(bits)
        if os.getuid() == 0:
            os.chown(file, NOBODY, NOBODY)
        given = {"files": [file]} if source else {"path": file}
        return in_child(lambda: _said(case, changed(case.connections, name, **given)))


def _said(case: Any, connections: Connections) -> str:
    try:
        if isinstance(case, NotifyCase):
            params = case.action.Params.model_validate(case.params)
            assert case.action.sent(params, connections.reading(), "key") is False
        carried_out(case, connections)
    except ActionFailed as failure:
        return f"{failure.category}: {failure}"
    return ""


def in_child(ask: Callable[[], str]) -> str | None:
    """Call it in a process that has no rights but those of everybody."""
    with reading_from_child(ask) as answer:
        said = answer.decode()
    assert said.endswith("\0"), "the child ended before it had said anything"
    return said[:-1] or None


@contextmanager
def reading_from_child(ask: Callable[[], str]) -> Iterator[bytes]:
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.write(sink, ask().encode() + b"\0")
        finally:
            os._exit(0)
    os.close(sink)
    with os.fdopen(source, "rb") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    yield answer
