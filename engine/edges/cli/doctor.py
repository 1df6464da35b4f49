"""Examines one installation and says how to mend what fails. Every check stands alone: one failing hides none."""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.domain.errors import StanchError
from engine.edges.cli.doctor_people import examine_people
from engine.edges.cli.findings import Finding, attempt
from engine.edges.cli.render.top import warmth
from engine.edges.cli.session import Session

MOST_SKEW = 2.0  # seconds between two clocks that leases and expiries still bear


def examine(session: Session) -> list[Finding]:
    """Return the findings: of the configured server, else of the local installation."""
    server = session.server or os.environ.get("STANCH_SERVER")
    if server:
        return list(_server(session, server))
    return list(_local(session))


def _local(session: Session) -> Iterator[Finding]:
    config: Any = None

    def load() -> str:
        nonlocal config
        config = session.configuration()
        return str(config.path or "the embedded default; there is no stanch.yaml here")

    yield attempt("configuration", load, "stanch check shows every mistake")
    if config is None:
        return
    yield from _files(config)
    application: Any = None

    def build() -> str:
        nonlocal application
        application = session.application()
        project = application.project
        return f"{len(project.rules)} rules, {len(project.playbooks)} playbooks"

    project = attempt("rules and playbooks", build, "stanch check shows every mistake")
    for broken in application.registry.broken if application is not None else ():
        mend = "mend it or take it away; everything else goes on without it"
        yield Finding(broken.plugin, False, broken.reason, mend)
    yield project
    if application is None:
        return
    try:
        yield attempt(
            "store", lambda: _store(application), "see that its folder exists and is writable"
        )
        yield _clock(application)
        for name, kind in application.world.names.items():
            work = functools.partial(_connection, application, name)
            mend = f"mend connections: {name}: in the configuration, or the way to that system"
            yield attempt(f"connection {name} ({kind})", work, mend)
        yield from examine_people(application)
    finally:
        application.stop()


def _store(application: Any) -> str:
    application.store.write(lambda tx: tx.timers.clear("doctor"))
    counts = application.store.read(lambda tx: tx.runs.counts())
    alive = application.store.read(lambda tx: tx.workers.alive())
    return f"writable; {sum(counts.values())} runs, {len(alive)} workers alive"


def _clock(application: Any) -> Finding:
    try:
        before = datetime.now(UTC)
        database = application.store.read(lambda tx: tx.now())
    except StanchError as error:
        return Finding("clock", False, str(error), "mend the store first")
    skew = abs((database - before).total_seconds())
    message = f"{skew:.1f} s from the store's"
    mend = (
        ""
        if skew <= MOST_SKEW
        else "set the clock by NTP on both machines (chrony, systemd-timesyncd)"
    )
    return Finding("clock", skew <= MOST_SKEW, message, mend)


def _connection(application: Any, name: str) -> str:
    facts = application.world.check(name)
    return ", ".join(f"{key} {value}" for key, value in facts.items()) or "answers"


def _files(config: Any) -> Iterator[Finding]:
    """Check that nobody else can read keys and the store, nor write the configuration."""
    for label, file, forbidden in _guarded(config):
        if not file.exists():
            continue
        mode = stat.S_IMODE(file.stat().st_mode)
        name = f"rights of {label}"
        if mode & forbidden:
            wish = "600" if forbidden & stat.S_IROTH else "go-w"
            yield Finding(
                name, False, f"{file} has mode {mode:o}: others reach it", f"chmod {wish} {file}"
            )
        else:
            yield Finding(name, True, f"{file} has mode {mode:o}")


_OTHERS = stat.S_IRWXO | stat.S_IRWXG
_OTHERS_WRITE = stat.S_IWOTH | stat.S_IWGRP


def _guarded(config: Any) -> Iterator[tuple[str, Path, int]]:
    """Yield what must be kept from others: a label, the file, the rights that nobody else may have."""
    if config.path is not None:
        yield "the configuration", config.path, _OTHERS_WRITE
    if isinstance(config.store, str) and config.store.startswith("sqlite:///"):
        yield "the store", Path(config.store.removeprefix("sqlite:///")), _OTHERS
    for name, reference in (("images", config.keys.images), ("seal", config.keys.seal)):
        if reference.file is not None:
            yield f"the key {name}", Path(reference.file), _OTHERS


def _server(session: Session, server: str) -> Iterator[Finding]:
    import httpx

    with httpx.Client(base_url=server.rstrip("/"), timeout=10, follow_redirects=False) as http:

        def healthy() -> str:
            http.get("/healthz").raise_for_status()
            return server

        yield attempt("server", healthy, "start it with stanch serve, or mend --server")

        def ready() -> str:
            answer = http.get("/readyz")
            if answer.status_code != 200:
                raise StanchError("; ".join(answer.json()["reasons"]))
            return "store writable, workers alive"

        yield attempt("ready", ready, "run stanch doctor on the server's machine")

    def token() -> str:
        with session.backend() as backend:
            backend.list("brakes")
        return "accepted"

    yield attempt("token", token, "set STANCH_TOKEN to a token of yours (stanch token create)")

    def warmup() -> str:
        with session.backend() as backend:
            return warmth(backend.warmup()) or "off"

    yield attempt("warm-up", warmup)
