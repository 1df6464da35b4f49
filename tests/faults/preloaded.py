"""Imports what `stanch serve` needs for a whole run, so that a fork of this process need not."""

from __future__ import annotations

import gc
from importlib.metadata import entry_points

import jsonschema.validators  # noqa: F401
import kubernetes.client
import kubernetes.config  # noqa: F401
import psycopg.rows  # noqa: F401
import uvicorn.protocols.http.httptools_impl  # noqa: F401
import uvloop  # noqa: F401

import engine.edges.cli.serving
import engine.edges.web.app
import engine.edges.web.front
import engine.edges.wiring
import engine.journal.migrate
import engine.journal.postgres
import engine.journal.sqlite
import engine.journal.sqlite_watch  # noqa: F401

for _one in entry_points(group="stanch.actions"):
    _one.load()
gc.freeze()  # what is shared stays shared
