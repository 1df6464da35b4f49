"""What one invocation shares: its options, its two outputs, its backend."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from engine.domain.canonical import Json

if TYPE_CHECKING:
    from rich.console import Console

    from engine.edges.cli.backend import Backend

PIPE_WIDTH = (
    160  # columns where the output is no terminal: wide enough not to break ids and reasons
)


@dataclass
class Session:
    """Options that every command understands. `config` None: $STANCH_CONFIG, else stanch.yaml."""

    as_json: bool = False
    debug: bool = False
    config: Path | None = None
    server: str | None = None

    def console(self, *, error: bool = False) -> Console:
        """Return the console for people; colours on a terminal only, and never with NO_COLOR."""
        from rich.console import Console

        stream = sys.stderr if error else sys.stdout
        terminal = stream.isatty()
        return Console(
            file=stream,
            highlight=False,
            emoji=False,
            no_color=bool(os.environ.get("NO_COLOR")) or not terminal,
            width=None if terminal else PIPE_WIDTH,
            soft_wrap=False,
        )

    @property
    def is_terminal(self) -> bool:
        return sys.stdin.isatty() and sys.stdout.isatty()

    def show(self, data: Json, render: Callable[[Any], object]) -> None:
        """Print `data` as one JSON document, or rendered for people."""
        if self.as_json:
            sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
        else:
            self.console().print(render(data))

    def tell(self, text: str) -> None:
        """Print a line for people; nothing with --json."""
        if not self.as_json:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def warn(self, text: str) -> None:
        """Print a line beside the output, on stderr."""
        sys.stderr.write(text + "\n")

    def backend(self) -> Backend:
        """Return the server's backend where one is configured, else the local store's."""
        server = self.server or os.environ.get("STANCH_SERVER")
        if server:
            from engine.edges.cli.remote import RemoteBackend

            return RemoteBackend(server, os.environ.get("STANCH_TOKEN"))
        from engine.edges.cli.local import LocalBackend

        return LocalBackend(self.application())

    def application(self) -> Any:
        """Build the whole engine from the configuration; starts nothing. Plugins left out are named."""
        from engine.edges.wiring import build

        built = build(self.configuration())
        for broken in built.registry.broken:
            self.warn(f"left out: {broken}")
        return built

    def configuration(self) -> Any:
        from engine.edges.config import load_config

        return load_config(self.config)


def session_of(context: typer.Context) -> Session:
    """Return the session that the main callback made."""
    session: Session = context.obj
    return session
