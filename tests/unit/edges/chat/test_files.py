"""Artifacts in the incident's channel: the file itself, once, whatever Slack or a crash does in between."""

from __future__ import annotations

import base64
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine.domain.people import Actor
from engine.incidents import artifacts
from engine.incidents.artifacts import ArtifactLimits
from tests.unit.edges.chat.kit import Stage
from worlds.slack import SlackServer
from worlds.slack.transcript import transcript

ALICE = Actor("alice", frozenset({"operator"}), "cli")
PNG = b"\x89PNG\r\n\x1a\n\x00\xff\xfe\r\n--x"


def attach(stage: Stage, name: str = "heap.png", content: bytes = PNG) -> None:
    kind = "image/png" if name.endswith("png") else "text/csv"
    text = base64.b64encode(content).decode()
    stage.chat.hearing._desk.artifact(ALICE, stage.incident.id, name, kind, text)


def files(stage: Stage) -> list[dict[str, Any]]:
    return [file for one in stage.channel.messages for file in one.get("files") or ()]


def test_a_file_lies_below_the_message_that_names_it(stage: Stage) -> None:
    stage.alert()
    attach(stage)
    attach(stage, "rows.csv", "id\nä\n".encode())
    attach(stage, "empty.csv", b"")
    stage.settle()
    image, rows = files(stage)
    assert image["content"] == PNG
    assert image["title"] == "heap.png"
    assert rows["content"] == "id\nä\n"
    named = stage.message("artifact heap.png")
    (under,) = (one for one in stage.channel.messages if one.get("files", [{}])[0] is image)
    assert under["thread_ts"] == named["ts"]
    assert "empty.csv" in transcript(stage.channel), "what has nothing in it is named"
    attach(stage)
    stage.settle()
    assert len(files(stage)) == 2, "the same file is one artifact"


def test_a_file_that_was_there_before_its_channel_comes_into_it(stage: Stage) -> None:
    stage.arrive()
    stage.app.settle()
    attach(stage)
    assert not stage.slack.channels
    stage.settle()
    assert [one["content"] for one in files(stage)] == [PNG]


def test_a_file_that_lies_elsewhere_is_named_alone(stage: Stage) -> None:
    stage.alert()
    where = {"connection": "dumps", "name": "core.1", "bytes": 9, "sha256": "0" * 64}
    stage.app.store.write(
        lambda tx: artifacts.refer(
            tx, stage.incident.id, "core.1", "application/octet-stream", where, ALICE
        )
    )
    stage.settle()
    assert "core.1" in transcript(stage.channel)
    assert not files(stage)


def test_files_are_named_alone_where_the_configuration_says_so(
    tmp_path: Path, slack: SlackServer
) -> None:
    stage = Stage(tmp_path, slack, upload=False)
    stage.alert()
    attach(stage)
    stage.settle()
    stage.close()
    assert "heap.png" in transcript(stage.channel)
    assert not files(stage)


@pytest.mark.parametrize("fault", ["lost", "dropped", "500", "internal_error", "429 7"])
@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "files.completeUploadExternal"])
def test_an_upload_whose_answer_is_lost_is_asked_about(
    stage: Stage, method: str, fault: str
) -> None:
    stage.alert()
    stage.slack.fault(method, fault, fault)
    attach(stage)
    stage.settle(300)
    assert [one["content"] for one in files(stage)] == [PNG]
    assert not stage.app.store.read(lambda tx: tx.outbox.waiting(stage.incident.id))


@pytest.mark.parametrize("taken", [True, False])
def test_who_dies_while_uploading_leaves_one_file(stage: Stage, taken: bool) -> None:
    """Killed before Slack was asked, and killed between Slack's taking the file and our noting that."""
    stage.alert()
    attach(stage)
    stage.chat.tell()
    while True:
        stage.clock.advance(2)
        found = stage.app.store.write(lambda tx: tx.outbox.claim("dead", 60))
        assert found is not None
        if found.parcel.kind == "upload":
            break
        settled = stage.chat.deliverer.chat.deliver(found)
        stage.app.store.write(partial(_settle, found, settled))
    if taken:
        stage.chat.deliverer.chat.deliver(found)
    stage.restart()
    stage.pass_time(200, step=1)
    assert [one["content"] for one in files(stage)] == [PNG]


def test_a_right_that_is_missing_is_named_and_the_file_comes_once_it_is_given(
    stage: Stage,
) -> None:
    stage.alert()
    stage.slack.scopes -= {"files:write"}
    attach(stage)
    stage.settle()
    assert "needs files:write" in stage.say(stage.alice, "status", channel="C00000000")
    stage.slack.scopes |= {"files:write"}
    stage.pass_time(400, step=10)
    assert [one["content"] for one in files(stage)] == [PNG]


def test_limits_hold_for_what_is_attached(stage: Stage) -> None:
    assert isinstance(stage.app.artifact_limits, ArtifactLimits)
    stage.alert()
    with pytest.raises(Exception, match="are kept here at most"):
        attach(stage, content=b"x" * 1001)
    stage.settle()
    assert not files(stage)


def _settle(delivery: Any, settled: Any, tx: Any) -> bool:
    return bool(tx.outbox.settle(delivery, settled))
