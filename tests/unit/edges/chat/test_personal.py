"""Data of people: a channel and a postmortem show which fields change, and never from what to what (DESIGN 6)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.domain.people import Actor
from engine.incidents.acting import RunIncident
from engine.incidents.postmortem.book import Request
from tests.harness_programs import program
from tests.unit.edges.chat.kit import Stage
from worlds.slack import SlackServer
from worlds.slack.transcript import shown, transcript

OLD, NEW, MOVED = "ada@example.test", "grace@example.test", "mary@example.test"
PEOPLE = program(
    {"id": "now", "action": "toy.get", "with": {"name": "mail"}},
    {"id": "mail", "action": "toy.set", "with": {"name": "mail", "value": NEW}},
    *(
        {"id": f"more{n}", "action": "toy.set", "with": {"name": f"m{n}", "value": f"{n}{NEW}"}}
        for n in range(40)
    ),
    playbook="toys/raise",
)


@pytest.fixture(params=["personal", "internal"])
def seen(request: pytest.FixtureRequest, tmp_path: Path, slack: SlackServer) -> Iterator[Stage]:
    made = Stage(tmp_path, slack, personal=request.param == "personal")
    made.app.table.values |= {"mail": OLD}
    made.app.engine.programs["toys/raise"] = PEOPLE
    yield made
    made.close()


def everything(stage: Stage) -> str:
    """All that stands in Slack: messages with their files, and answers."""
    answers = "\n".join(str(one) for _, one in stage.slack.answers)
    return "\n".join((transcript(stage.channel), str(stage.channel.messages), answers))


def test_nobody_reads_a_persons_data_in_slack_or_in_the_postmortem(seen: Stage) -> None:
    """The same story on an internal connection shows the values, so that this can fail."""
    personal = bool(seen.app.world.personal)
    seen.alert()
    wanted = shown(seen.message("Approval wanted"))
    assert "mail: toy.set" in wanted or "mail" in wanted
    seen.app.table.values["mail"] = MOVED
    seen.press(seen.alice, "Approval wanted", "approve")
    assert "The world changed since" in shown(seen.message("Approval wanted"))
    seen.press(seen.bob, "Approval wanted", "approve")
    assert seen.state == "succeeded"
    for text in ("plan toys/raise to=5", f"show {seen.incident.id}", f"show {seen.run.id}"):
        seen.say(seen.alice, text)
    actor = Actor("alice", frozenset({"operator"}))
    written = seen.app.book.make(seen.incident.id, actor, Request(draw=False))["text"]
    told = everything(seen)
    for text in (told, written):
        assert "mail" in text
        assert ("masked" in text) is personal
        assert ("@example.test" in text) is not personal
    assert (MOVED in told) is not personal
    assert "The whole plan" in told, "a long plan is a file, which is looked at too"
    entries = seen.app.store.read(lambda tx: tx.journal.read(seen.run.id))
    assert MOVED in str([one.body for one in entries]), "the journal keeps what happened"


@pytest.mark.parametrize("connection", ["toy", "elsewhere"])
def test_files_of_a_run_that_draws_on_data_of_people_are_named_alone(
    tmp_path: Path, slack: SlackServer, connection: str
) -> None:
    stage = Stage(tmp_path, slack, personal=True)
    plan = program(
        {"id": "now", "action": "toy.get", "with": {"connection": connection, "name": "x"}},
        playbook="toys/raise",
    )
    stage.app.engine.programs["toys/raise"] = plan
    stage.alert()
    run = stage.run
    port = RunIncident(stage.app.store, run.id, run.incident_id)
    port.attach("key-1", "rows.csv", "text/csv", f"mail\n{OLD}\n".encode())
    stage.settle()
    uploaded = [one for one in stage.channel.messages if one.get("files")]
    named = shown(stage.message("artifact rows.csv attached"))
    assert (not uploaded) is (connection == "toy")
    assert ("draws on data of people" in named) is (connection == "toy")
    (kept,) = stage.app.store.read(lambda tx: tx.artifacts.of(stage.incident.id))
    assert kept.name == "rows.csv", "who looks at the incident by the page or the API finds it"
    stage.close()


def test_what_is_asked_again_names_the_field_alone(tmp_path: Path, slack: SlackServer) -> None:
    stage = Stage(tmp_path, slack, personal=True)
    stage.app.table.values |= {"mail": OLD}
    stage.app.engine.programs["toys/raise"] = PEOPLE
    stage.alert()
    stage.app.table.values["mail"] = MOVED
    stage.press(stage.alice, "Approval wanted", "approve")
    wanted = shown(stage.message("Approval wanted"))
    assert "mail: value (before) was (masked), is (masked, another)" in wanted
    assert "mail: value (before) changed" in stage.gate.body["reason"]
    stage.close()
