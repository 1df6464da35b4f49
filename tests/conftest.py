"""Real servers for the tests; each pytest-xdist worker has its own, started when first asked for."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.emptied import Emptied
from worlds.servers import AlertmanagerServer, PostgresServer, PrometheusServer, S3Server
from worlds.servers.process import ServerProcess

_numbers = itertools.count(1)

# Properties say what holds, not how fast: a busy machine must not fail them.
settings.register_profile("stanch", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("stanch")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Look for garbage less often, and never through the thousands of tests that stay to the end."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def need(server: type[ServerProcess]) -> None:
    """Skip, saying which package to install, where the server's program is missing."""
    lacking = server.missing()
    if lacking:
        pytest.skip(f"needs {lacking}")


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    need(PostgresServer)
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def emptied_database(postgres_server: PostgresServer) -> Iterator[Emptied]:
    kept = Emptied(postgres_server)
    yield kept
    kept.close()


@pytest.fixture
def postgres_dsn(emptied_database: Emptied) -> str:
    """A database for one test, with nothing in it."""
    return emptied_database.fresh(f"test_{next(_numbers)}")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    need(S3Server)
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def prometheus_server_factory(tmp_path: Path) -> Iterator[Callable[..., PrometheusServer]]:
    """Call it with PrometheusServer's keywords; every server ends with the test."""
    need(PrometheusServer)
    with ExitStack() as stack:

        def start(**options: Any) -> PrometheusServer:
            folder = tmp_path / f"prometheus-{next(_numbers)}"
            return stack.enter_context(PrometheusServer(folder, **options))

        yield start


@pytest.fixture
def alertmanager_server_factory(tmp_path: Path) -> Iterator[Callable[..., AlertmanagerServer]]:
    """Call it with AlertmanagerServer's keywords; every server ends with the test."""
    need(AlertmanagerServer)
    with ExitStack() as stack:

        def start(**options: Any) -> AlertmanagerServer:
            folder = tmp_path / f"alertmanager-{next(_numbers)}"
            return stack.enter_context(AlertmanagerServer(folder, **options))

        yield start
