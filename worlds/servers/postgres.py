"""A real PostgreSQL of one's own: initdb and postgres with data, socket and port of their own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from worlds.servers.process import ServerFailed, ServerProcess, owner_ids

_USER = "postgres"


def programs() -> Path | None:
    """Return the folder with `initdb` and `postgres` of the newest installed version, or None."""
    found = [
        folder
        for folder in Path("/usr/lib/postgresql").glob("*/bin")
        if (folder / "postgres").exists() and (folder / "initdb").exists()
    ]
    if found:
        return max(found, key=lambda folder: float(folder.parent.name))
    beside = shutil.which("postgres")
    return Path(beside).resolve().parent if beside and shutil.which("initdb") else None


class PostgresServer(ServerProcess):
    """PostgreSQL on 127.0.0.1 with the superuser `postgres` and no password.

    PostgreSQL refuses to run as root. Where this program is root it runs as the system user
    `postgres`, with its data in a temporary folder which that user may enter.

    Args:
        folder: holds the log and, unless root, data and socket.
        fsync: False trades safety for speed; benchmarks leave it True.
        settings: further server settings, such as `max_connections`.
    """

    title = "postgres"
    ready_within = 30.0
    stop_signal = signal.SIGINT  # fast: ends sessions; SIGTERM would wait for every client
    death_signal = signal.SIGQUIT

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        fsync: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, port=port)
        self.fsync = fsync
        self.settings = dict(settings or {})
        self._home: Path | None = None
        self._identity: Mapping[str, Any] = {}

    @classmethod
    def missing(cls) -> str | None:
        """Return the package to install, or None."""
        if programs() is None:
            return "the Debian package postgresql (apt-get install postgresql)"
        return None

    @property
    def dsn(self) -> str:
        """The address of the database `postgres`."""
        return self.dsn_of("postgres")

    def dsn_of(self, database: str, *, user: str = _USER, password: str = "") -> str:
        """Return the address of a database for a user."""
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database}"

    @property
    def socket_folder(self) -> Path:
        """Where the unix socket lies, between `start` and `stop`."""
        assert self._home is not None, "the server is not running"
        return self._home

    def prepare(self) -> Sequence[str]:
        """Make the data folder (kept when it is there already) and return the command."""
        folder = programs()
        assert folder is not None
        ids = owner_ids(_USER)
        if self._home is None:
            # The path of a unix socket holds 107 characters; a test's folder is often longer.
            self._home = Path(tempfile.mkdtemp(prefix="stanch-pg-"))
        if ids:
            os.chown(self._home, ids[0], ids[1])
            self._identity = {"user": ids[0], "group": ids[1], "extra_groups": ids[2]}
        data = (self._home if ids else self.folder.resolve()) / "data"
        if not (data / "PG_VERSION").exists():
            self._initdb(folder, data)
        return [
            str(folder / "postgres"),
            *("-D", str(data)),
            *("-p", str(self.port)),
            *("-c", "listen_addresses=127.0.0.1"),
            *("-c", f"unix_socket_directories={self._home}"),
            *("-c", f"fsync={'on' if self.fsync else 'off'}"),
            *("-c", f"full_page_writes={'on' if self.fsync else 'off'}"),
            *(part for key, value in self.settings.items() for part in ("-c", f"{key}={value}")),
        ]

    def _initdb(self, programs_folder: Path, data: Path) -> None:
        command = [
            *(str(programs_folder / "initdb"), "-D", str(data), "-U", _USER, "-A", "trust"),
            *("-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        ]
        done = subprocess.run(  # noqa: S603 - an argument list of our own
            command, capture_output=True, text=True, check=False, cwd="/", **self._identity
        )
        if done.returncode:
            raise ServerFailed(f"initdb ended with code {done.returncode}\n{done.stderr[-2000:]}")

    def popen_options(self) -> Mapping[str, Any]:
        """Return the identity to run as; `cwd` is a folder that every user may enter."""
        return {"cwd": "/", **self._identity}

    def is_ready(self) -> bool:
        """Whether it takes connections: the port is open before recovery ends, so a query is asked."""
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)):
                return False
        import psycopg

        try:
            psycopg.connect(self.dsn, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """End the server and remove its temporary folder (and, when root, the data in it)."""
        super().stop()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def kill(self) -> None:
        """End it with SIGQUIT (an immediate shutdown, recovery at the next start): kill -9 would leave
        children that hold the data folder for a while. `start` may follow on the same data."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(10)
            self.process = None

    def create_database(self, name: str, *, replace: bool = False) -> str:
        """Create a database and return its address.

        Raises:
            ValueError: the name is not made of lower-case letters, digits and underscores.
        """
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
            raise ValueError(f"{name!r} is no plain database name")
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.dsn, autocommit=True) as connection:
            if replace:
                connection.execute(
                    sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
                )
            connection.execute(
                sql.SQL("CREATE DATABASE {} STRATEGY wal_log").format(sql.Identifier(name))
            )
        return self.dsn_of(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, ending its sessions."""
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
