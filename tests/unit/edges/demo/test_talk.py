"""Waiting says what it waits for, and gives up with a reason."""

from __future__ import annotations

import io

import pytest

from engine.edges.demo.talk import DemoFailed, Talk


def test_a_wait_that_takes_too_long_names_what_it_waited_for() -> None:
    talk = Talk(io.StringIO())
    with pytest.raises(DemoFailed, match="waited 0 s for the moon, in vain"):
        talk.wait("the moon", lambda: False, within=0.05, every=0.01)


def test_a_wait_in_vain_says_why() -> None:
    talk = Talk(io.StringIO())
    with pytest.raises(DemoFailed, match="while waiting for the moon: stanch ended"):
        talk.wait("the moon", lambda: False, within=5, alive=lambda: "stanch ended")


def test_lines_carry_the_time() -> None:
    stream = io.StringIO()
    Talk(stream).say("here")
    assert stream.getvalue() == "[  0.0 s] here\n"
