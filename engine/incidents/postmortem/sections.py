"""What people write into a postmortem: blocks between marks, carried over whenever it is made again.

    <!-- people: summary -->
    Ingestion stood for forty minutes.
    <!-- /people: summary -->

The first line says for which incident and from which version of people's text a document was made:
`<!-- postmortem inc-1 version 3 -->`. A block that changed in the document and was saved by somebody else
meanwhile is a conflict: both texts are shown, neither is lost, and a person decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput

LONGEST = 100_000  # characters of one block
_HISTORY = 20  # earlier texts of a block that are kept to tell who changed what
NAMES = (
    *("summary", "impact", "root_cause", "contributing", "detection", "went_well", "went_badly"),
    *("follow_ups", "customer_impact", "prevention", "recovery", "conclusions"),
)
_HEAD = re.compile(r"<!-- postmortem (?P<incident>inc-[0-9a-z]+) version (?P<version>[0-9]+) -->")
_BLOCK = re.compile(
    r"<!-- people: (?P<name>[a-z_]+) -->\n(?P<text>.*?)\n?<!-- /people: (?P=name) -->", re.DOTALL
)
_MARK = re.compile(r"<!-- (/?)people: ([a-z_]+) -->")
_CLASH = re.compile(r"<!-- conflict: .*? -->")


_HINT = re.compile(r"_[^_\n]*_")


def is_written(text: str) -> bool:
    """Tell whether a block holds more than the hint that stands there at first."""
    return bool(text.strip()) and _HINT.fullmatch(text.strip()) is None


def head(incident_id: str, version: int) -> str:
    """Return the line that a document begins with."""
    return f"<!-- postmortem {incident_id} version {version} -->"


def block(name: str, text: str) -> str:
    """Return a block as it stands in a document. Marks inside the text lose their meaning."""
    return f"<!-- people: {name} -->\n{disarmed(text)}\n<!-- /people: {name} -->"


def disarmed(text: str) -> str:
    return _MARK.sub(lambda mark: mark.group().replace("<!--", "&lt;!--"), text)


@dataclass(frozen=True)
class Written:
    """A document as people left it."""

    incident_id: str
    version: int
    blocks: Mapping[str, str]


def parse(document: str, incident_id: str) -> Written:
    """Read people's blocks out of a document.

    Raises:
        InvalidInput: it is no postmortem, one of another incident, or its marks are broken; nothing of it
            is taken then, so that nothing is lost either.
    """
    found = _HEAD.search(document[:2000])
    if found is None:
        raise InvalidInput(
            "the file is no postmortem that stanch made: its first line is missing; write to another "
            "file, or put the line back"
        )
    if found["incident"] != incident_id:
        raise InvalidInput(f"the file is the postmortem of {found['incident']}, not {incident_id}")
    blocks: dict[str, str] = {}
    for item in _BLOCK.finditer(document):
        if item["name"] in blocks:
            raise InvalidInput(f"the block {item['name']!r} stands twice in the file; keep one")
        if len(item["text"]) > LONGEST:
            raise InvalidInput(f"the block {item['name']!r} is longer than {LONGEST:,} characters")
        text = item["text"].strip()
        blocks[item["name"]] = text if is_written(text) else ""
    marks = len(_MARK.findall(document))
    if marks != 2 * len(blocks):
        raise InvalidInput(
            "a mark of people's blocks is missing or broken; each begins with <!-- people: NAME --> "
            "and ends with <!-- /people: NAME -->, on lines of their own"
        )
    unsettled = [name for name, text in blocks.items() if _CLASH.search(text)]
    if unsettled:
        raise InvalidInput(
            f"conflicts are not settled yet in: {', '.join(unsettled)}; keep what is right and remove "
            "the <!-- conflict: … --> lines"
        )
    return Written(incident_id, int(found["version"]), blocks)


@dataclass(frozen=True)
class Merged:
    """What comes of a document and what is stored.

    Attributes:
        sections: what is to be stored, by name.
        changed: names of blocks that the document changed.
        conflicts: names of blocks that changed on both sides, with the document's text.
    """

    sections: JsonObject
    version: int
    changed: tuple[str, ...] = ()
    conflicts: Mapping[str, str] = field(default_factory=dict)


def merge(stored: JsonObject, version: int, written: Written, by: str) -> Merged:
    """Take what people changed in a document; keep both texts where somebody else was quicker.

    Parameters:
        stored: `{name: {text, version, by, was}}`; a section's version is the one that it last changed in,
            `was` its earlier texts with theirs.
        version: the stored one.
    """
    following = version + 1
    sections = dict(stored)
    changed: list[str] = []
    conflicts: dict[str, str] = {}
    for name, text in written.blocks.items():
        present = stored.get(name) or {"text": "", "version": 0, "by": "", "was": []}
        if text in {_as_shown(present["text"]), _as_shown(_base(present, written.version))}:
            continue  # as it is, or untouched since the document was made
        if present["version"] <= written.version:
            was = [*present["was"], [present["version"], present["text"]]][-_HISTORY:]
            sections[name] = {"text": text, "version": following, "by": by, "was": was}
            changed.append(name)
        else:
            conflicts[name] = text
    return Merged(sections, following if changed else version, tuple(changed), conflicts)


def _as_shown(text: str) -> str:
    return disarmed(text).strip()


def _base(section: JsonObject, version: int) -> str:
    """Return the text that a document of this version was made with."""
    if section["version"] <= version:
        return str(section["text"])
    known = [text for at, text in section["was"] if at <= version]
    return str(known[-1]) if known else ""


def shown(merged: Merged) -> dict[str, str]:
    """Return each block's text for the document; both texts where they conflict."""
    texts = {name: str(one["text"]) for name, one in merged.sections.items()}
    for name, text in merged.conflicts.items():
        present = merged.sections.get(name) or {"text": "", "by": "somebody"}
        texts[name] = (
            f"<!-- conflict: saved by {present['by']} -->\n{present['text']}\n"
            f"<!-- conflict: your text -->\n{text}"
        )
    return texts
