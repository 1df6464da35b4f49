"""The cluster as its API knows it: what requests are answered from."""

from __future__ import annotations

from datetime import datetime
from threading import RLock
from typing import Protocol

from engine.domain.clock import Clock
from worlds.cluster.deletion import Deleter
from worlds.cluster.logs import Logs
from worlds.cluster.programs import Programs
from worlds.cluster.rbac import Authorizer
from worlds.cluster.requests import Faults, RequestLog
from worlds.cluster.store import Store
from worlds.cluster.writes import Writer


class Parts(Protocol):
    """What the API uses of the cluster."""

    clock: Clock
    lock: RLock
    store: Store
    writer: Writer
    deleter: Deleter
    authorizer: Authorizer
    faults: Faults
    logs: Logs
    programs: Programs
    requests: RequestLog
    stopped: bool

    def now(self) -> datetime: ...

    def run(self) -> object: ...
