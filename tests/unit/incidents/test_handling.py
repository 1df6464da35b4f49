"""What people do to an incident: each change with who and why in its chain, refused where it makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.domain.errors import InvalidInput, NotFound, Refused
from engine.domain.incident import IncidentState
from engine.domain.people import Actor
from engine.domain.run import RunState
from engine.incidents import artifacts, handling, lifecycle, views
from engine.incidents.artifacts import ArtifactLimits
from engine.journal.store import Tx
from tests.unit.incidents.conftest import MakeKit
from tests.unit.incidents.kit import Kit, firing, resolved, rule

ALICE = Actor("alice", frozenset({"operator"}), via="api")
BOB = Actor("bob", frozenset({"operator"}), via="cli")
LIMITS = ArtifactLimits(each=100, total=150)


@pytest.fixture
def kit(make: MakeKit) -> Kit:
    made = make(rule())
    made.post(firing())
    return made


def do(kit: Kit, work: Callable[..., Any], *given: Any, **more: Any) -> Any:
    incident = kit.incidents()[0].id
    return kit.store.write(lambda tx: work(tx, incident, *given, **more))


def seen(kit: Kit, incident: str | None = None) -> dict[str, Any]:
    name = incident or kit.incidents()[0].id
    return kit.store.read(lambda tx: views.incident(tx, name))


def told(kit: Kit) -> list[str]:
    return [line["text"] for line in seen(kit)["timeline"] if line["chain"].startswith("inc-")]


def test_each_change_is_told_with_who_and_why(kit: Kit) -> None:
    do(kit, handling.set_severity, "p0", "customers see it", ALICE)
    do(kit, handling.set_title, "ETL stands", "", ALICE)
    do(kit, handling.assign, "commander", "alice", ALICE)
    do(kit, handling.assign, "commander", "bob", ALICE, "end of shift")
    do(kit, handling.note, "pool is full", BOB)
    do(kit, lifecycle.acknowledge, BOB, "looking")
    item = seen(kit)
    assert (item["severity"], item["title"], item["state"]) == (
        *("P0", "ETL stands"),
        "acknowledged",
    )
    assert item["roles"] == {"commander": "bob"}
    assert told(kit)[1:] == [
        *[line for line in told(kit)[1:] if line.startswith("run ")],
        "severity went from P2 to P0 by alice: customers see it",
        "title is now: ETL stands by alice",
        "commander is alice by alice",
        "commander handed over from alice to bob by alice: end of shift",
        "pool is full (bob)",
        "incident went from open to acknowledged: acknowledged by bob: looking",
    ]


def test_what_is_so_already_is_not_told_again(kit: Kit) -> None:
    before = told(kit)
    do(kit, handling.set_severity, "P2", "so it is", ALICE)
    do(kit, handling.set_title, kit.incident().title, "", ALICE)
    assert told(kit) == before


@pytest.mark.parametrize(
    ("work", "given", "words"),
    [
        (handling.set_severity, ("P7", "why"), "P7' is no severity; there are: P0, P1, P2"),
        (handling.set_severity, ("P0", " "), "say why: severity needs a reason"),
        (handling.set_title, ("", ""), "a title has 1 to 300 characters"),
        (handling.set_title, ("x" * 301, ""), "this one has 301"),
        (handling.assign, ("chief", "alice"), "'chief' is no role in an incident"),
        (handling.assign, ("commander", "  "), "is no person's name"),
        (handling.note, ("  ",), "an empty note says nothing"),
        (handling.note, ("x" * 20_001,), "attach it as an artifact"),
        (handling.set_state, ("verified", ""), "verified comes from a verification query alone"),
        (handling.set_state, ("fixed", ""), "an incident is not set to 'fixed'"),
    ],
)
def test_bad_input_says_what_is_wrong(
    kit: Kit, work: Callable[..., Any], given: tuple[str, ...], words: str
) -> None:
    before = kit.story(kit.incident().id)
    with pytest.raises(InvalidInput, match=words):
        do(kit, work, *given, ALICE)
    assert kit.story(kit.incident().id) == before


def test_an_incident_that_is_not_there(kit: Kit) -> None:
    with pytest.raises(NotFound):
        kit.store.write(lambda tx: handling.note(tx, "inc-x", "hello", ALICE))


# ---------------------------------------------------------------- artifacts


def attach(kit: Kit, name: str, content: bytes, kind: str = "text/plain") -> Any:
    return do(kit, artifacts.attach, name, kind, content, ALICE, LIMITS)


def test_artifacts_are_kept_with_their_digest_once(kit: Kit) -> None:
    first = attach(kit, "errors.csv", b"a,b\n")
    again = attach(kit, "errors.csv", b"a,b\n")
    other = attach(kit, "errors.csv", b"c\n")
    assert first.id == again.id != other.id
    assert [one["bytes"] for one in seen(kit)["artifacts"]] == [4, 2]
    assert kit.story(kit.incident().id).count("incident.artifact") == 2
    assert kit.store.read(lambda tx: tx.artifacts.content(first.id)) == b"a,b\n"


@pytest.mark.parametrize(
    ("name", "content", "kind", "words"),
    [
        ("big", b"x" * 101, "text/plain", "100 are kept here at most; put it into object storage"),
        ("page", b"x", "text/", "are not taken"),
        ("run", b"x", "application/x-sh", "are not taken; there are: text/"),
        ("a/b", b"x", "text/plain", "no name for an artifact"),
        ("", b"x", "text/plain", "no name for an artifact"),
    ],
)
def test_artifacts_that_are_not_taken(
    kit: Kit, name: str, content: bytes, kind: str, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        attach(kit, name, content, kind)
    assert seen(kit)["artifacts"] == []


def test_all_artifacts_together_have_a_limit(kit: Kit) -> None:
    attach(kit, "one", b"x" * 100)
    with pytest.raises(InvalidInput, match="would have 151 bytes, 150 are kept at most"):
        attach(kit, "two", b"x" * 51)


REFERENCE = {"connection": "files", "name": "run-1/x.csv", "sha256": "a" * 64, "bytes": 10**9}


def test_what_lies_elsewhere_is_referred_to(kit: Kit) -> None:
    do(kit, artifacts.refer, "rows.csv", "text/csv", REFERENCE, ALICE)
    (kept,) = seen(kit)["artifacts"]
    assert kept["reference"] == REFERENCE
    assert "rows.csv attached (1000000000 bytes, on connection files)" in "\n".join(told(kit))


@pytest.mark.parametrize("missing", sorted(REFERENCE))
def test_a_reference_must_be_whole(kit: Kit, missing: str) -> None:
    given = {name: value for name, value in REFERENCE.items() if name != missing}
    with pytest.raises(InvalidInput, match=missing):
        do(kit, artifacts.refer, "rows.csv", "text/csv", given, ALICE)


# ---------------------------------------------------------------- its end, and coming back


def test_people_resolve_and_reopen(kit: Kit) -> None:
    with pytest.raises(Refused, match="is queued"):
        do(kit, lifecycle.resolve, ALICE, "upstream fixed it")
    kit.end(kit.runs()[0].id)
    do(kit, lifecycle.resolve, ALICE, "upstream fixed it")
    assert kit.incident().state is IncidentState.RESOLVED
    with pytest.raises(Refused, match="only an open one is acknowledged"):
        do(kit, lifecycle.acknowledge, ALICE)
    do(kit, lifecycle.reopen_by, BOB, "it is back")
    assert kit.incident().state is IncidentState.REOPENED
    assert kit.incident().resolved_at is None
    with pytest.raises(Refused, match="it is not over"):
        do(kit, lifecycle.reopen_by, BOB, "again")
    do(kit, lifecycle.acknowledge, BOB)
    assert kit.incident().state is IncidentState.ACKNOWLEDGED


def test_times_come_from_the_journal(kit: Kit) -> None:
    alert = firing()
    kit.clock.advance(60)
    do(kit, lifecycle.acknowledge, ALICE)
    kit.clock.advance(240)
    kit.end(kit.runs()[0].id)
    kit.clock.advance(300)
    kit.post(resolved(alert))
    times = seen(kit)["times"]
    assert times["seconds"] == {
        "detect": 0.0,
        "acknowledge": 60.0,
        "mitigate": 300.0,
        "recover": 600.0,
    }
    do(kit, lifecycle.reopen_by, ALICE, "it is back")
    times = seen(kit)["times"]
    assert (times["recovered"], times["seconds"]["recover"], times["reopened"]) == (None, None, 1)
    assert times["seconds"]["mitigate"] == 300.0


# ---------------------------------------------------------------- merging


@pytest.fixture
def two(make: MakeKit) -> Kit:
    """Two incidents; the second one is told as the same as the first."""
    kit = make(rule())
    kit.post(firing(ns="a"))
    kit.post(firing(ns="b"))
    return kit


def merge(kit: Kit, source: int = 1, into: int = 0) -> None:
    rows = kit.incidents()
    kit.store.write(
        lambda tx: handling.merge(tx, rows[source].id, rows[into].id, "same pool", ALICE)
    )


def test_merging_moves_alerts_runs_and_what_happens_later(two: Kit) -> None:
    first, second = two.incidents()
    two.store.write(lambda tx: handling.set_severity(tx, second.id, "P0", "it is worse", BOB))
    merge(two)
    kept, gone = two.incidents()
    assert (kept.state, kept.severity) == (IncidentState.OPEN, "P0")
    assert (gone.state, gone.body["merged_into"]) == (IncidentState.CLOSED, first.id)
    item = seen(two, first.id)
    assert {one["labels"]["ns"] for one in item["alerts"]} == {"a", "b"}
    assert len(item["runs"]) == 2
    assert f"{second.id} was merged into {first.id} by alice: same pool" in told(two)
    assert any(line["chain"] == second.id for line in item["timeline"])
    # What happens to the merged one's alert and run is the kept one's story now.
    for run in two.runs():
        two.end(run.id, RunState.SUCCEEDED, verified=True)
    assert two.incidents()[0].state is IncidentState.VERIFIED
    two.post(resolved(firing(ns="b")))
    assert two.incidents()[0].state is IncidentState.VERIFIED
    two.post(resolved(firing(ns="a")))
    assert two.incidents()[0].state is IncidentState.RESOLVED
    assert two.incidents()[1].state is IncidentState.CLOSED


def test_merging_reopens_what_was_over(two: Kit) -> None:
    first = two.incidents()[0]
    two.end(two.runs()[0].id)
    two.post(resolved(firing(ns="a")))
    assert two.incidents()[0].state is IncidentState.RESOLVED
    merge(two)
    assert two.incidents()[0].state is IncidentState.REOPENED
    assert first.id == two.incidents()[0].id


def test_merging_that_makes_no_sense(two: Kit) -> None:
    with pytest.raises(InvalidInput, match="into itself"):
        merge(two, 0, 0)
    merge(two)
    with pytest.raises(Refused, match=r"was merged into .* already"):
        merge(two)
    with pytest.raises(Refused, match=r"was itself merged into .*; merge into that"):
        merge(two, 0, 1)
    gone = two.incidents()[1].id
    with pytest.raises(Refused, match="reopen that one"):
        two.store.write(lambda tx: lifecycle.reopen_by(tx, gone, ALICE, "why not"))


def test_a_closed_one_takes_no_roles(kit: Kit) -> None:
    def end(tx: Tx, incident: str) -> None:
        lifecycle.close(tx, incident, ALICE)

    kit.end(kit.runs()[0].id)
    do(kit, end)
    with pytest.raises(Refused, match="is closed; reopen it first"):
        do(kit, handling.assign, "scribe", "bob", ALICE)
