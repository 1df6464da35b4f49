"""A metrics exporter that behaves like the StarForge ETL: its failures follow from the state it reads.

Workers and running backfills each hold database connections. While the sum fits the database's pool,
only a trickle of snapshots fails; above that, the share that finds no connection fails. A *fault* is a
leak that holds part of the pool. The exporter reads the real worker count (replicas of a Deployment,
over the Kubernetes API) and the real backfills (rows with status `running`), so pausing backfills and
scaling workers down does lower the failure rate, and nothing else does but the end of the leak.

    with Exporter(cluster="http://127.0.0.1:8001", dsn="postgresql://…") as exporter:
        exporter.break_down()      # the leak begins
        exporter.repair()          # the leak is fixed

`Scripted` serves what a test says instead.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from worlds.loopback import Loopback, QuietHandler

if TYPE_CHECKING:
    import psycopg

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Model:
    """How load turns into failures. Connections are counted, rates are a second."""

    per_worker: int = 4  # connections that one worker holds
    per_backfill: int = 8
    pool: int = 40
    leak: int = 28  # connections that the fault holds
    trickle: float = 0.002  # share that fails on a good day
    speed: float = 20.0  # snapshots a worker processes
    arriving: float = 100.0  # snapshots that are queued

    def failing(self, workers: int, backfills: int, *, leaking: bool) -> float:
        """Return the share of processed snapshots that fail, 0 to 1."""
        wanted = workers * self.per_worker + backfills * self.per_backfill
        free = self.pool - (self.leak if leaking else 0)
        return max(self.trickle, (wanted - free) / wanted if wanted else 0.0)


@dataclass
class Counters:
    """What the exporter shows."""

    processed: float = 0.0
    failed: float = 0.0
    waiting: float = 0.0
    workers: int = 0
    backfills: int = 0
    failures: dict[str, float] = field(
        default_factory=dict
    )  # when a snapshot failed last, by its id

    def advance(self, model: Model, seconds: float, *, leaking: bool) -> None:
        """Let the ETL work for `seconds`."""
        capacity = self.workers * model.speed
        done = min(capacity * seconds, self.waiting + model.arriving * seconds)
        self.waiting = max(0.0, self.waiting + model.arriving * seconds - done)
        self.processed += done
        self.failed += done * model.failing(self.workers, self.backfills, leaking=leaking)

    def text(self, namespace: str, deployment: str) -> str:
        """Return the metrics in Prometheus's text format."""
        own = f'{{namespace="{namespace}"}}'
        pods = "".join(
            "kube_pod_container_status_restarts_total"
            f'{{namespace="{namespace}",pod="{deployment}-{n}",container="worker"}} 0\n'
            for n in range(self.workers)
        )
        failures = "".join(
            "starforge_etl_last_failure_timestamp_seconds"
            f'{{namespace="{namespace}",snapshot_id="{snapshot}"}} {at:.3f}\n'
            for snapshot, at in self.failures.items()
        )
        return (
            "# TYPE starforge_etl_snapshots_processed_total counter\n"
            f"starforge_etl_snapshots_processed_total{own} {self.processed:.3f}\n"
            "# TYPE starforge_etl_snapshots_failed_total counter\n"
            f"starforge_etl_snapshots_failed_total{own} {self.failed:.3f}\n"
            "# TYPE starforge_queue_jobs_waiting_total gauge\n"
            f"starforge_queue_jobs_waiting_total{own} {self.waiting:.0f}\n"
            "# TYPE starforge_etl_workers gauge\n"
            f"starforge_etl_workers{own} {self.workers}\n"
            "# TYPE starforge_etl_last_failure_timestamp_seconds gauge\n"
            f"{failures}"
            "# TYPE kube_pod_container_status_restarts_total counter\n"
            f"{pods}"
        )


class Scripted(Loopback):
    """Serves as `/metrics`, on a free port of 127.0.0.1, what `metrics` returns."""

    def __init__(self, metrics: Callable[[], str]) -> None:
        super().__init__(_handler(metrics))


class Exporter:
    """Serves `/metrics` on a free port of 127.0.0.1.

    Args:
        cluster: base address of a Kubernetes API; `token` is sent as bearer where given.
        dsn: the StarForge database; None: there are no backfills (no database to ask).
        interval: seconds between two looks at cluster and database.
    """

    def __init__(
        self,
        cluster: str,
        dsn: str | None,
        *,
        namespace: str = "starforge",
        deployment: str = "etl-worker",
        token: str | None = None,
        model: Model | None = None,
        interval: float = 0.2,
    ) -> None:
        self.cluster = cluster.rstrip("/")
        self.dsn = dsn
        self.namespace = namespace
        self.deployment = deployment
        self.token = token
        self.model = model or Model()
        self.interval = interval
        self.counters = Counters()
        self.problem: str | None = None  # why the last look failed
        self._leaking = False
        # Kept from one look to the next: to open one costs the server more than what is asked.
        self._connection: psycopg.Connection[Any] | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._served = Scripted(self.metrics)
        self._thread = threading.Thread(target=self._work, daemon=True)

    @property
    def address(self) -> str:
        """`host:port`, as Prometheus wants it."""
        return self._served.address

    def break_down(self) -> None:
        """Let the leak begin."""
        self._leaking = True

    def repair(self) -> None:
        """End the leak, as the fixed release would."""
        self._leaking = False

    def failing(self) -> float:
        """Return the share of snapshots that fails at this moment, 0 to 1."""
        with self._lock:
            return self.model.failing(
                self.counters.workers, self.counters.backfills, leaking=self._leaking
            )

    def metrics(self) -> str:
        """Return what a scrape sees."""
        with self._lock:
            return self.counters.text(self.namespace, self.deployment)

    def __enter__(self) -> Self:
        self._look()
        self._served.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._served.__exit__(kind, error, trace)
        self._thread.join(5)
        self._hang_up()

    def _work(self) -> None:
        last = time.monotonic()
        while not self._stopped.wait(self.interval):
            self._look()
            now = time.monotonic()
            with self._lock:
                self.counters.advance(self.model, now - last, leaking=self._leaking)
            last = now

    def _look(self) -> None:
        """Read workers and backfills; what cannot be read keeps its last value."""
        try:
            workers, (backfills, failures) = self._workers(), self._database()
        except (OSError, ValueError, KeyError) as error:
            self.problem = f"{type(error).__name__}: {error}"
            return
        self.problem = None
        with self._lock:
            self.counters.workers, self.counters.backfills = workers, backfills
            self.counters.failures = failures

    def _workers(self) -> int:
        url = (
            f"{self.cluster}/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.deployment}"
        )
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - loopback, http
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
            return int(json.load(answer)["spec"]["replicas"])

    def _database(self) -> tuple[int, dict[str, float]]:
        """Return how many backfills run, and when the latest failing snapshots failed."""
        if self.dsn is None:
            return 0, {}
        import psycopg

        try:
            if self._connection is None:
                self._connection = psycopg.connect(self.dsn, connect_timeout=2, autocommit=True)
            row = self._connection.execute(
                "SELECT count(*) FROM backfill_jobs WHERE status = 'running'"
            ).fetchone()
            failed = self._connection.execute(
                "SELECT snapshot_id, extract(epoch FROM max(created_at))::float8 FROM etl_errors"
                " GROUP BY snapshot_id ORDER BY 2 DESC LIMIT 5"
            ).fetchall()
        except psycopg.Error as error:
            self._hang_up()
            raise OSError(str(error)) from None
        return int(row[0]) if row else 0, {str(snapshot): at for snapshot, at in failed}

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _handler(metrics: Callable[[], str]) -> type[QuietHandler]:
    class Handler(QuietHandler):
        def serve(self) -> None:
            self.whole(200, CONTENT_TYPE, metrics().encode())

    return Handler
