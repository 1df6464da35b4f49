"""What the demo says while it goes on: steps, waits with a sign of life, and blocks of output."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

_SIGN_EVERY = 5.0  # seconds of waiting after which a line says what is waited for


class DemoFailed(Exception):
    """The demo cannot go on; the message says what happened and what to do."""


class Talk:
    """Writes lines with the time since the start. With `--json` they go to stderr."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._start = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def say(self, text: str) -> None:
        """Write a line with the time."""
        self._stream.write(f"[{self.elapsed:5.1f} s] {text}\n")
        self._stream.flush()

    def head(self, text: str) -> None:
        """Write the heading of a part."""
        self._stream.write(f"\n== {text}\n")
        self._stream.flush()

    def block(self, renderable: object) -> None:
        """Write a table, a plan, a timeline."""
        from rich.console import Console

        terminal = self._stream.isatty()
        Console(
            file=self._stream,
            highlight=False,
            emoji=False,
            no_color=not terminal,
            width=None if terminal else 140,
        ).print(renderable)
        self._stream.flush()

    def wait(
        self,
        what: str,
        done: Callable[[], bool],
        *,
        within: float,
        sign: Callable[[], str] | None = None,
        alive: Callable[[], str | None] | None = None,
        every: float = 0.2,
    ) -> None:
        """Return once `done`; say every few seconds that it still waits.

        Args:
            within: seconds after which it gives up.
            sign: what to add to the sign of life (a rate, a state).
            alive: returns why waiting is in vain, or None.

        Raises:
            DemoFailed: it took too long, or waiting is in vain.
        """
        start = said = time.monotonic()
        while not done():
            problem = alive() if alive else None
            if problem:
                raise DemoFailed(f"while waiting for {what}: {problem}")
            now = time.monotonic()
            if now - start > within:
                raise DemoFailed(f"waited {within:.0f} s for {what}, in vain")
            if now - said >= _SIGN_EVERY:
                said = now
                extra = f": {sign()}" if sign else ""
                self.say(f"… waiting for {what}{extra}")
            time.sleep(every)
