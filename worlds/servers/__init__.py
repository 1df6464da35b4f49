"""Starters of real servers on loopback, for the tests, the rehearsals and the demo.

Each is a context manager that owns its process: `with PostgresServer(folder) as server:`. Before that,
`PostgresServer.missing()` says which package is needed where the program is absent. A server's output
goes to a log file in its folder, and its last lines are part of the error when it does not come up.
"""

from worlds.servers.alertmanager import AlertmanagerServer
from worlds.servers.celery import CeleryWorker
from worlds.servers.postgres import PostgresServer
from worlds.servers.process import ServerFailed, ServerProcess, free_port, free_ports
from worlds.servers.prometheus import PrometheusServer
from worlds.servers.redis import RedisServer
from worlds.servers.s3 import Identity, S3Server

__all__ = [
    "AlertmanagerServer",
    "CeleryWorker",
    "Identity",
    "PostgresServer",
    "PrometheusServer",
    "RedisServer",
    "S3Server",
    "ServerFailed",
    "ServerProcess",
    "free_port",
    "free_ports",
]
