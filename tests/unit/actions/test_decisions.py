"""The decisions log: no value forges a line, no crash tears one, no two writers mix."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actions.log import DecisionsKind, LogDecision
from actions.log.decision import escaped
from engine.domain.clock import ManualClock
from tests.contract.actions.worlds import Connections

log = LogDecision()


def world(path: Path) -> Any:
    clock = ManualClock(datetime(2026, 11, 23, 3, 15, tzinfo=UTC))
    return Connections({"decisions": (DecisionsKind(), {"path": path})}, clock=clock).writing()


def params(**fields: Any) -> Any:
    return log.Params.model_validate({"fields": fields})


def test_a_line_has_the_time_the_fields_in_order_and_the_key(tmp_path: Path) -> None:
    path = tmp_path / "decisions.log"
    log.send(
        params(operator="alice", chapter="E3", action="pause", incident="inc-1", ok=True, n=None),
        world(path),
        "k1",
    )
    assert path.read_text() == (
        "2026-11-23T03:15:00Z | OPERATOR=alice | CHAPTER=E3 | ACTION=pause | INCIDENT=inc-1 | "
        "OK=true | N= | KEY=k1\n"
    )


def test_a_torn_line_stays_and_ours_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "decisions.log"
    path.write_text("2026-11-23T03:15:00Z | OPERATOR=alice | KE")
    log.send(params(operator="alice"), world(path), "k1")
    lines = path.read_text().splitlines()
    assert lines[0].endswith("| KE")
    assert lines[1] == "2026-11-23T03:15:00Z | OPERATOR=alice | KEY=k1"
    log.send(params(operator="alice"), world(path), "k1")
    assert len(path.read_text().splitlines()) == 2


def test_a_line_whose_newline_was_lost_counts_as_sent(tmp_path: Path) -> None:
    path = tmp_path / "decisions.log"
    path.write_text("2026-11-23T03:15:00Z | OPERATOR=alice | KEY=k1")
    assert log.sent(params(operator="alice"), world(path), "k1") is True
    log.send(params(operator="bob"), world(path), "k2")
    assert [line.split("KEY=")[1] for line in path.read_text().splitlines()] == ["k1", "k2"]


def test_a_value_that_ends_in_a_key_is_not_one(tmp_path: Path) -> None:
    path = tmp_path / "decisions.log"
    log.send(params(note="x | KEY=k2\n2026 | KEY=k3"), world(path), "k1")
    assert len(path.read_text().splitlines()) == 1
    for key in ("k2", "k3", "1"):
        assert log.sent(params(note="x"), world(path), key) is False


def test_many_writers_and_keys(tmp_path: Path) -> None:
    path = tmp_path / "decisions.log"

    def write(number: int) -> None:
        for key in range(8):
            log.send(params(writer=number), world(path), f"k{key}")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    keys = sorted(line.split("KEY=")[1] for line in path.read_text().splitlines())
    assert keys == [f"k{number}" for number in range(8)]


@given(st.text())
def test_an_escaped_value_is_one_field_of_one_line(text: str) -> None:
    shown = escaped(text)
    assert "|" not in shown
    assert len(shown.splitlines()) <= 1
    assert all(char.isprintable() for char in shown)


@given(st.text(), st.text())
def test_different_values_stay_different(one: str, other: str) -> None:
    assert (escaped(one) == escaped(other)) == (one == other)


@pytest.mark.parametrize(
    "fields", [{}, {"key": "x"}, {"a b": "x"}, {"a": "x", "A": "y"}, {"a": [1]}]
)
def test_fields_that_no_line_can_hold(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        params(**fields)
