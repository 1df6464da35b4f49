"""Files of an incident: their bytes here up to a limit, or a reference to where they lie."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput
from engine.domain.ids import new_id
from engine.domain.people import Actor
from engine.incidents.lifecycle import held
from engine.journal.casefiles import ArtifactRow
from engine.journal.store import Tx

_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*(?:; ?[a-z-]+=[a-z0-9._-]+)?\Z")
_SHA = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class ArtifactLimits:
    """How much is kept here; larger things are kept where they lie and referred to.

    Attributes:
        each: bytes of one artifact. total: bytes of all artifacts of one incident.
        types: content types that are taken, `text/*` meaning all of a kind.
    """

    each: int = 2**20
    total: int = 50 * 2**20
    types: tuple[str, ...] = (
        *("text/*", "image/png", "image/svg+xml", "application/json", "application/x-ndjson"),
        *("application/yaml", "application/gzip", "application/pdf", "application/octet-stream"),
    )

    def takes(self, content_type: str) -> bool:
        kind = content_type.partition(";")[0].strip()
        return kind in self.types or f"{kind.partition('/')[0]}/*" in self.types


def attach(
    tx: Tx,
    incident_id: str,
    name: str,
    content_type: str,
    content: bytes,
    actor: Actor,
    limits: ArtifactLimits,
) -> ArtifactRow:
    """Keep a file with the incident; the same name and content once.

    Raises:
        InvalidInput: its name or type is not taken, or it is too large. NotFound.
    """
    _name(name)
    if not _TYPE.match(content_type) or not limits.takes(content_type):
        raise InvalidInput(
            f"artifacts of type {content_type!r} are not taken; there are: {', '.join(limits.types)}"
        )
    if len(content) > limits.each:
        raise InvalidInput(
            f"{name} has {len(content):,} bytes, {limits.each:,} are kept here at most; put it into "
            "object storage and attach the reference"
        )
    _hold(tx, incident_id)
    total = tx.artifacts.total(incident_id) + len(content)
    if total > limits.total:
        raise InvalidInput(
            f"with {name} the artifacts of {incident_id} would have {total:,} bytes, "
            f"{limits.total:,} are kept at most"
        )
    row = ArtifactRow(
        id=new_id("art"),
        subject=incident_id,
        name=name,
        content_type=content_type,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        by=actor.name,
        at=tx.now(),
    )
    return _added(tx, row, content, actor)


def refer(
    tx: Tx,
    incident_id: str,
    name: str,
    content_type: str,
    reference: Mapping[str, object],
    actor: Actor,
) -> ArtifactRow:
    """Keep where a file lies: `{connection, name, sha256, bytes}`, as actions return it.

    Raises:
        InvalidInput: the reference is not whole. NotFound.
    """
    _name(name)
    told = dict(reference)
    size, sha = told.get("bytes"), told.get("sha256")
    if not isinstance(told.get("connection"), str) or not isinstance(told.get("name"), str):
        raise InvalidInput("a reference to an artifact names its connection and its name there")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InvalidInput("a reference to an artifact says its bytes, a whole number")
    if not isinstance(sha, str) or not _SHA.match(sha):
        raise InvalidInput("a reference to an artifact says its sha256, 64 hexadecimal digits")
    _hold(tx, incident_id)
    row = ArtifactRow(
        id=new_id("art"),
        subject=incident_id,
        name=name,
        content_type=content_type,
        bytes=size,
        sha256=sha,
        by=actor.name,
        at=tx.now(),
        reference=told,
    )
    return _added(tx, row, None, actor)


def _hold(tx: Tx, subject: str) -> None:
    """Hold the incident; a run that belongs to none keeps its own artifacts, which nobody else counts."""
    if tx.runs.get(subject) is None:
        held(tx, subject)


def _added(tx: Tx, row: ArtifactRow, content: bytes | None, actor: Actor) -> ArtifactRow:
    kept = tx.artifacts.add(row, content)
    if kept.id == row.id:
        body = {"artifact": row.id, "name": row.name, "bytes": row.bytes, "sha256": row.sha256}
        if row.reference is not None:
            body["connection"] = str(row.reference["connection"])
        told = {**body, "actor": actor.name, "via": actor.via}
        tx.journal.append(row.subject, [Entry("incident.artifact", told)])
    return kept


def _name(name: str) -> None:
    if not name or len(name) > 200 or not name.isprintable() or "/" in name or "\\" in name:
        raise InvalidInput(
            f"{name!r} is no name for an artifact: 1 to 200 characters without slashes"
        )
