"""`python -m bench.actions`: what planning and applying through an action cost over the client's bare call.

Each action and the bare call do the same change to the same target in the same run, in turn; times are
medians. A plan asks the target more than a bare call does (a dry run, a rehearsal, the object before), an
apply keeps what undo needs: the ratio shows what that costs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.contract.registry import load_registry
from engine.contract.testing import Connections
from worlds.cluster import ADMIN_TOKEN, Cluster
from worlds.cluster.server import ClusterServer
from worlds.loopback import Loopback, QuietHandler
from worlds.objects import ADMIN, Objects, ObjectsServer
from worlds.servers import PostgresServer
from worlds.servers.s3 import boto_client

_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Cost:
    """Medians in milliseconds: the bare call, the plan, the apply; and the two over the bare call."""

    action: str
    bare: float
    plan: float
    apply: float

    @property
    def ratio(self) -> float:
        return (self.plan + self.apply) / self.bare


@dataclass(frozen=True)
class Subject:
    """One action: its connections, fresh parameters for each round, and the same change made bare."""

    action: str
    connections: Connections
    params: Callable[[int], dict[str, Any]]
    bare: Callable[[int], object]


def measure(subject: Subject, rounds: int) -> Cost:
    """Return the medians over `rounds`; the first round, which opens the clients, is left out."""
    action: Any = load_registry().action(subject.action)
    times: dict[str, list[float]] = {"bare": [], "plan": [], "apply": []}
    for _ in range(rounds + 1):
        subject_bare, number = next(_NUMBERS), next(_NUMBERS)
        params = action.Params.model_validate(subject.params(number))
        marks = [time.perf_counter()]
        subject.bare(subject_bare)
        marks.append(time.perf_counter())
        planned = action.plan(params, subject.connections.reading())
        marks.append(time.perf_counter())
        action.apply(planned, subject.connections.writing(), f"bench-{number}")
        marks.append(time.perf_counter())
        for name, begin, end in zip(times, marks, marks[1:], strict=False):
            times[name].append((end - begin) * 1e3)
    medians = {name: statistics.median(found[1:]) for name, found in times.items()}
    return Cost(subject.action, **medians)


def subjects(folder: Path, stack: ExitStack) -> Iterator[Subject]:
    """Start the targets and yield what is measured over them; PostgreSQL only where it is installed."""
    kinds = load_registry().kinds
    yield _kubernetes(kinds, stack)
    yield _objects(kinds, stack)
    yield _http(kinds, stack)
    if PostgresServer.missing() is None:
        yield _postgres(kinds, folder, stack)


def _kubernetes(kinds: Any, stack: ExitStack) -> Subject:
    import httpx

    cluster = Cluster()
    cluster.load([_DEPLOYMENT])
    server = stack.enter_context(ClusterServer(cluster))
    settings = {"server": server.url, "token": {"env": "T"}}
    ways = Connections({"k": (kinds["kubernetes"], settings)}, {"T": ADMIN_TOKEN})
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    client = stack.enter_context(httpx.Client(base_url=server.url, headers=headers))
    headers = {"Content-Type": "application/merge-patch+json"}
    path = "/apis/apps/v1/namespaces/bench/deployments/web"

    def bare(number: int) -> object:
        body = json.dumps({"spec": {"replicas": number % 2}})
        return client.patch(path, content=body, headers=headers).raise_for_status()

    def params(number: int) -> dict[str, Any]:
        place = {"connection": "k", "namespace": "bench", "name": "web"}
        return {**place, "replicas": 2 + number % 3}

    return Subject("kubernetes.scale", ways, params, bare)


def _objects(kinds: Any, stack: ExitStack) -> Subject:
    objects = Objects()
    objects.create("bench")
    server = stack.enter_context(ObjectsServer(objects))
    settings = {"endpoint_url": server.url, "access_key": {"env": "A"}, "secret_key": {"env": "S"}}
    secrets = {"A": ADMIN.access_key, "S": ADMIN.secret_key}
    boto = boto_client(server.url, ADMIN)
    stack.callback(boto.close)

    def bare(number: int) -> object:
        return boto.put_object(Bucket="bench", Key=f"{number}", Body=b"x")

    def params(number: int) -> dict[str, Any]:
        return {"connection": "s", "bucket": "bench", "key": f"{number}", "text": "x"}

    return Subject("s3.put", Connections({"s": (kinds["s3"], settings)}, secrets), params, bare)


def _http(kinds: Any, stack: ExitStack) -> Subject:
    import httpx

    url = stack.enter_context(Loopback(_Created)).url
    client = stack.enter_context(httpx.Client(base_url=url))
    settings = {"url": url, "idempotency_header": "Idempotency-Key"}
    ways = Connections({"h": (kinds["http"], settings)})

    def params(number: int) -> dict[str, Any]:
        return {"connection": "h", "method": "POST", "path": "/v1", "body": {"number": number}}

    def bare(number: int) -> object:
        return client.post("/v1", json={"number": number}).raise_for_status()

    return Subject("http.request", ways, params, bare)


def _postgres(kinds: Any, folder: Path, stack: ExitStack) -> Subject:
    import psycopg

    server = stack.enter_context(PostgresServer(folder / "postgres", fsync=True))
    client = stack.enter_context(psycopg.connect(server.dsn, autocommit=True))
    client.execute("CREATE TABLE jobs (id int PRIMARY KEY, state int)")
    client.execute("INSERT INTO jobs SELECT n, 0 FROM generate_series(1, 100) AS n")
    ways = Connections({"p": (kinds["postgres"], {"dsn": server.dsn})})
    sql = "UPDATE public.jobs SET state = %(state)s WHERE id <= 10"

    def bare(number: int) -> object:
        return client.execute(sql, {"state": number})

    def params(number: int) -> dict[str, Any]:
        return {"connection": "p", "sql": sql, "params": {"state": number}, "key": ["id"]}

    return Subject("postgres.execute", ways, params, bare)


class _Created(QuietHandler):
    """Answers every request with 201."""

    wbufsize = -1  # one segment an answer

    def serve(self) -> None:
        self.content()
        self.document(201, {})


_LABELS = {"app": "web"}
_DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "bench"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": _LABELS},
        "template": {
            "metadata": {"labels": _LABELS},
            "spec": {"containers": [{"name": "web", "image": "registry.invalid/web:1"}]},
        },
    },
}


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.actions", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="how often each is done")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    costs = []
    with tempfile.TemporaryDirectory(prefix="stanch-bench-") as folder, ExitStack() as stack:
        for subject in subjects(Path(folder), stack):
            costs.append(measure(subject, options.rounds))
            subject.connections.close()
    if options.json:
        rows = [{**asdict(cost), "ratio": cost.ratio} for cost in costs]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    print(
        f"{'action':<20}{'bare ms':>10}{'plan ms':>10}{'apply ms':>10}{'(plan + apply) / bare':>24}"
    )
    for cost in costs:
        figures = f"{cost.bare:>10.2f}{cost.plan:>10.2f}{cost.apply:>10.2f}{cost.ratio:>24.1f}"
        print(f"{cost.action:<20}{figures}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
