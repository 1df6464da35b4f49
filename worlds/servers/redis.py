"""A real Redis that keeps nothing."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Sequence

from worlds.servers.process import ServerProcess


class RedisServer(ServerProcess):
    """Redis on 127.0.0.1, in memory alone; the user `default` has no password and all rights."""

    title = "redis"

    @classmethod
    def missing(cls) -> str | None:
        """Return the package to install, or None."""
        if shutil.which("redis-server"):
            return None
        return "the Debian package redis-server (apt-get install redis-server)"

    def prepare(self) -> Sequence[str]:
        """Return the command; an empty configuration comes from no file."""
        return [
            *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no", "--dir", str(self.folder)),
        ]

    def is_ready(self) -> bool:
        """Whether it answers a PING."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith(b"+PONG")
        except OSError:
            return False
