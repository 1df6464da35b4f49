"""The real command in a real terminal: progress on long work, a summary, Ctrl-C, watching; plain text down a pipe."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.test_serve import PATIENCE, STANCH, Place

CTRL_C = b"\x03"
STEP = "{id: a, action: log.decision, with: {connection: decisions, fields: {a: b}}}"
PLAYBOOK = f"playbook: notes\nsteps: [{STEP}]\n"
REHEARSAL = (
    "rehearsal: number {}\nplaybook: notes\nexpect: {{run: succeeded, steps: {{a: succeeded}}}}\n"
)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
CURSOR_OFF, CURSOR_ON = "\x1b[?25l", "\x1b[?25h"


@dataclass
class Terminal:
    """A command in a terminal of its own, whose keys and screen are ours."""

    process: subprocess.Popen[bytes]
    master: int
    shown: str = ""

    def read(self, seconds: float) -> bool:
        """Take in what is shown within some time; False once the command has gone."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return True
        try:
            found = os.read(self.master, 65536)
        except OSError:  # the other end is closed
            return False
        self.shown += found.decode(errors="replace")
        return bool(found)

    def until(self, words: str, since: int = 0) -> int:
        """Wait until the words are shown after a place; return the place behind them."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.shown.find(words, since)) < 0:
            assert time.monotonic() < deadline, f"{words!r} is not shown:\n{self.shown[since:]}"
            assert self.read(0.2), f"it ended before {words!r}:\n{self.shown[since:]}"
        return found + len(words)

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def end(self) -> int:
        """Wait for the command's end; return its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self.read(0.2):
            assert time.monotonic() < deadline, f"it does not end:\n{self.shown}"
        return self.process.wait(PATIENCE)


@contextmanager
def terminal(folder: Path, *arguments: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [
            *("env", "--default-signal=INT"),  # it is ignored where the tests run in the background
            *("setsid", "--ctty"),  # the terminal is its own, so that Ctrl-C is a signal
            STANCH,
            *arguments,
        ],
        cwd=folder,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(master)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "stanch.yaml").write_text(
        "rules: []\nconnections: {decisions: {kind: decisions, path: var/decisions.log}}\n"
    )
    (tmp_path / "playbooks/notes.yaml").write_text(PLAYBOOK)
    write(tmp_path, 3)
    return tmp_path


def write(folder: Path, number: int) -> None:
    texts = map(REHEARSAL.format, range(number))
    (folder / "playbooks/notes.rehearsal.yaml").write_text("---\n".join(texts))


def folders_of(screen: Terminal) -> list[Path]:
    """Return where the command keeps what it rehearses with."""
    places = (Path("/dev/shm"), Path(tempfile.gettempdir()))
    name = f"stanch-rehearsal-{screen.process.pid}-*"
    return [folder for place in places for folder in place.glob(name)]


def test_rehearsing_shows_how_far_it_is_and_ends_with_a_summary(here: Path) -> None:
    with terminal(here, "rehearse") as screen:
        assert screen.end() == 0
    assert "rehearsing" in screen.shown
    assert "100%" in screen.shown
    stays = screen.shown.rpartition("\x1b[2K")[2]  # the bar has gone
    assert "3 rehearsals, 0 failed" in CONTROLS.sub("", stays), repr(stays)


def test_ctrl_c_ends_a_long_rehearsal_at_once_and_leaves_nothing_behind(here: Path) -> None:
    write(here, 200)
    with terminal(here, "rehearse", "--jobs", "2") as screen:
        screen.until("rehearsing")
        while not any(one for home in folders_of(screen) for one in home.glob("*/stanch.db")):
            assert screen.read(0.05), f"it ended before it began:\n{screen.shown}"
        screen.press(CTRL_C)
        code = screen.end()
    assert code == 130
    assert not folders_of(screen)
    assert "stopped" in screen.shown.rpartition("rehearsing")[2]
    assert "Traceback" not in screen.shown
    assert screen.shown.rfind(CURSOR_ON) > screen.shown.rfind(CURSOR_OFF)


def test_a_watch_checks_again_when_a_file_is_saved(here: Path) -> None:
    with terminal(here, "check", "--watch") as screen:
        at = screen.until("Ctrl-C ends it", screen.until("no mistakes"))
        (here / "playbooks/notes.yaml").write_text(PLAYBOOK.replace("action", "acton"))
        at = screen.until("1 mistake", screen.until("playbooks/notes.yaml:2", at))
        (here / "playbooks/notes.yaml").write_text(PLAYBOOK)
        screen.until("Ctrl-C ends it", screen.until("no mistakes", at))
        screen.press(CTRL_C)
        assert screen.end() == 0
    assert "Traceback" not in screen.shown


def test_a_watch_rehearses_again_when_the_playbook_is_saved(here: Path) -> None:
    """The author breaks what an expectation holds the playbook to, sees in what, and mends it."""
    playbook = here / "playbooks/notes.yaml"
    skipped = PLAYBOOK.replace("{id: a,", "{id: a, when: run.priority > 9,")
    with terminal(here, "rehearse", "--watch", "--jobs", "1") as screen:
        at = screen.until("Ctrl-C ends it", screen.until("3 rehearsals, 0 failed"))
        playbook.write_text(skipped)
        at = screen.until("playbooks/notes.rehearsal.yaml:3: step a", at)
        at = screen.until("seen      skipped", screen.until("expected  succeeded", at))
        at = screen.until("Ctrl-C ends it", screen.until("3 rehearsals, 3 failed", at))
        playbook.write_text(PLAYBOOK)
        screen.until("Ctrl-C ends it", screen.until("3 rehearsals, 0 failed", at))
        screen.press(CTRL_C)
        assert screen.end() == 0
    assert "Traceback" not in screen.shown


def test_down_a_pipe_nothing_but_plain_text_comes(here: Path) -> None:
    for arguments in (["rehearse"], ["check"]):
        done = Place(here).stanch(*arguments)
        assert done.returncode == 0, done.stderr
        assert not CONTROL.search(done.stdout + done.stderr), done.stdout
