"""The `command` connection: which programs may be run, with which arguments, and how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator

from actions.command.process import Ended, run
from actions.records import Records
from engine.contract import (
    ActionFailed,
    Category,
    ConnectionKind,
    Opening,
    SecretRef,
    Target,
    World,
)
from engine.contract.fields import Bytes, Seconds
from engine.contract.redact import Redactor


class Program(BaseModel):
    """One program that may be run."""

    model_config = ConfigDict(extra="forbid")

    path: Path = Field(description="Where it lies", examples=["/usr/local/bin/drain-queue"])
    arguments: list[str] = Field(
        default_factory=list,
        description="What each argument must be like; * stands for any characters. None where missing",
        examples=[["--queue=*", "--dry-run"]],
    )
    timeout: Seconds = Field(60.0, gt=0, le=86400, description="Longest run")

    @field_validator("path")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if not value.is_absolute():
            raise ValueError(f"{value} must be absolute: nothing is looked for in PATH")
        return value


class CommandSettings(BaseModel):
    """Settings of a `command` connection. Its programs are its allow-list."""

    model_config = ConfigDict(extra="forbid")

    programs: dict[str, Program] = Field(description="Programs by the name that steps use")
    records: Path = Field(
        description="Folder that keeps which keys were run", examples=["var/commands"]
    )
    folder: Path = Field(Path("/"), description="The folder that programs run in")
    environment: dict[str, SecretRef | str] = Field(
        default_factory=dict,
        description="The environment, besides PATH and LANG; nothing is passed on",
    )
    max_output: Bytes = Field(
        64 * 1024, gt=0, le=2**20, description="Most bytes kept of each of output and errors"
    )


class Commands:
    """Runs the programs of one connection. Safe to share between threads."""

    def __init__(self, opening: Opening) -> None:
        self.name = opening.name
        self.settings = cast(CommandSettings, opening.settings)
        self.writable = opening.writable
        self.records = Records(self.settings.records)
        secrets: list[str] = []
        self._environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
        for name, value in self.settings.environment.items():
            if isinstance(value, SecretRef):
                secrets.append(opening.secret(value))
            self._environment[name] = secrets[-1] if isinstance(value, SecretRef) else value
        self._redactor = Redactor(secrets)
        # What ends a program in a rehearsal: (program, arguments, stdin) to code, output, errors, seconds.
        self._played = opening.transport

    def check(self, program: str, arguments: Sequence[str]) -> Program:
        """Return the program where it may be run with these arguments.

        Raises:
            ActionFailed: (configuration) it is not listed, an argument fits no pattern, or it is not there.
        """
        import os

        known = self.settings.programs.get(program)
        if known is None:
            names = ", ".join(sorted(self.settings.programs)) or "none"
            raise self.failure(Category.CONFIGURATION, f"no program {program!r}; it has {names}")
        for argument in arguments:
            if not any(fnmatchcase(argument, pattern) for pattern in known.arguments):
                what = f"argument {argument!r} of {program} fits none of its patterns"
                raise self.failure(Category.CONFIGURATION, what)
        there = known.path.is_file() and os.access(known.path, os.X_OK)
        if not there and self._played is None:
            what = f"{program}: {known.path} is not there, or this user may not run it"
            raise self.failure(Category.CONFIGURATION, what)
        return known

    def run(
        self,
        world: World,
        program: str,
        arguments: Sequence[str],
        stdin: str | None,
        timeout: float | None,
    ) -> Ended:
        """Run a program to its end, its process group with it.

        Raises:
            ActionFailed: (permanent) this client is read-only; (configuration) see `check`, or it cannot be
                started; (unclassified) it ran into its time-out or was given up, and its group was killed.
        """
        if not self.writable:
            raise self.failure(Category.PERMANENT, "this world is read-only; nothing was run")
        known = self.check(program, arguments)
        longest = min(timeout or known.timeout, known.timeout)
        if self._played is not None:
            return _played(self._played(program, arguments, (stdin or "").encode()))
        try:
            ended = run(
                [str(known.path), *arguments],
                folder=self.settings.folder,
                environment=self._environment,
                stdin=(stdin or "").encode(),
                timeout=longest,
                limit=self.settings.max_output,
                clock=world.clock,
                cancelled=world.cancelled,
            )
        except OSError as error:
            what = f"{program} cannot be started: {error.strerror}"
            raise self.failure(Category.CONFIGURATION, what) from None
        if ended.killed:
            what = f"{program} was killed with its process group: {ended.killed}"
            raise self.failure(Category.UNCLASSIFIED, what, ran=True)
        return ended

    def text(self, data: bytes) -> str:
        """Return what a program said, secrets masked."""
        return self._redactor.text(data.decode("utf-8", "replace"))

    def failure(self, category: Category, what: str, *, ran: bool = False) -> ActionFailed:
        message = self._redactor.text(f"command connection {self.name!r}: {what}")
        return ActionFailed(category, message, effect_possible=ran)


def _played(ended: Mapping[str, Any]) -> Ended:
    output, errors = ended["output"], ended["errors"]
    sizes = len(output), len(errors)
    return Ended(ended["code"], output, errors, *sizes, ended["seconds"], None)


class CommandKind(ConnectionKind):
    """Connections to local programs."""

    kind = "command"
    Settings = CommandSettings

    def open(self, opening: Opening) -> Commands:
        return Commands(opening)

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        assert isinstance(settings, CommandSettings)
        if target.path in settings.programs:
            return None
        return f"program {target.path} is not listed by connection {target.connection!r}"

    def check(self, client: Commands) -> Mapping[str, str]:
        for name in client.settings.programs:
            client.check(name, ())
        return {"programs": ", ".join(sorted(client.settings.programs))}
