"""The `patterns` connection: ordered patterns from YAML, one's own first and then the shipped ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.contract import ActionFailed, Category, ConnectionKind, Opening, Target

SHIPPED = Path(__file__).with_name("shipped.yaml")


class PatternsSettings(BaseModel):
    """Settings of a `patterns` connection."""

    model_config = ConfigDict(extra="forbid")

    files: list[Path] = Field(
        default_factory=list,
        description="YAML files with patterns of your own, asked in this order",
        examples=[["patterns.yaml"]],
    )
    shipped: bool = Field(True, description="Whether the shipped patterns are asked after them")


class Entry(BaseModel):
    """One class: what its lines look like, and what it means.

    Raises:
        ValueError: neither texts nor statuses are given, or a text is no RE2 pattern.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str = Field(alias="class", pattern=r"^[a-z][a-z0-9_]*$")
    category: Category
    text: list[str] = Field(default_factory=list)
    status: list[int] = Field(default_factory=list)
    advice: str = ""

    @model_validator(mode="after")
    def _sound(self) -> Entry:
        if not self.text and not self.status:
            raise ValueError(f"class {self.name} has neither text nor status")
        for text in self.text:
            compiled(text)
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    patterns: list[Entry]


@dataclass(frozen=True)
class Hit:
    """Which entry fits, by which pattern, and the named groups found."""

    place: int
    entry: Entry
    pattern: str
    found: Mapping[str, str]


class Patterns:
    """Ordered entries. Safe to share between threads."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        self._texts = [
            (place, entry, text, compiled(text))
            for place, entry in enumerate(self.entries)
            for text in entry.text
        ]

    def of_line(self, line: str) -> Hit | None:
        """Return the first entry that fits the line."""
        for place, entry, text, pattern in self._texts:
            match = pattern.search(line)
            if match:
                found = {name: value for name, value in match.groupdict().items() if value}
                return Hit(place, entry, text, found)
        return None

    def of_status(self, status: int) -> Hit | None:
        """Return the first entry that lists the HTTP status."""
        for place, entry in enumerate(self.entries):
            if status in entry.status:
                return Hit(place, entry, f"status {status}", {})
        return None


@lru_cache(maxsize=1024)
def compiled(text: str) -> Any:
    """Compile a pattern without regard to case; RE2 takes linear time whatever the text.

    Raises:
        ValueError: it is no RE2 pattern.
    """
    import re2

    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        raise ValueError(f"{text!r} is no RE2 pattern: {error}") from None


def read(path: Path) -> tuple[Entry, ...]:
    """Return the entries of a file.

    Raises:
        ActionFailed: (configuration) naming the file and what is wrong.
    """
    import yaml

    try:
        return _entries(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _wrong(path, error.strerror or "cannot be read") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _wrong(path, f"is not YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise _wrong(path, f"{place}: {first['msg']}") from None


@lru_cache(maxsize=16)
def _entries(text: str) -> tuple[Entry, ...]:
    """Read once a process: many connections name the shipped file, and each run opens its own."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple(_File.model_validate(yaml.load(text, Loader=loader)).patterns)  # noqa: S506  safe


def _wrong(path: Path, what: str) -> ActionFailed:
    message = f"patterns file {path}: {what}"
    return ActionFailed(Category.CONFIGURATION, message, effect_possible=False)


class PatternsKind(ConnectionKind):
    """Connections to patterns, which lie in files."""

    kind = "patterns"
    Settings = PatternsSettings
    outside = False

    def open(self, opening: Opening) -> Patterns:
        settings = cast(PatternsSettings, opening.settings)
        files = [*settings.files, *([SHIPPED] if settings.shipped else [])]
        return Patterns([entry for path in files for entry in read(path)])

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        del settings, target
        return None

    def check(self, client: Patterns) -> Mapping[str, str]:
        return {"classes": str(len(client.entries))}
