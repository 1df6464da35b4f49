"""The pipeline pack over a real Celery on a real Redis: workers are processes of their own, and one is killed."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.edges.cli.main import run
from tests.conftest import need
from tests.databases import put_database
from worlds.servers import CeleryWorker, RedisServer

pytestmark = [pytest.mark.real, pytest.mark.timeout(300), pytest.mark.xdist_group("celery")]
COVERS = ("C1", "C2", "C5", "C7")
ROOT = Path(__file__).parents[2]
CONFIG = """
store: sqlite:///stanch.db
roles: {{approver: ["{user}"]}}
playbooks: [{playbooks}]
connections:
  pipeline:
    kind: celery
    host: 127.0.0.1
    port: {port}
    results: 1
    separator: ":"
    priorities: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    reply_within: 20s
    allow: {{keys: ["batch.*"]}}
  classes: {{kind: patterns}}
"""


def until(what: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Ask again until it is so; a busy machine takes its time."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)
    return found


@dataclass
class Pipeline:
    """A shop with one worker, and Stanch beside it."""

    folder: Path
    worker: CeleryWorker
    app: Any
    redis: Any

    def send(self, name: str, *args: Any, queue: str, **more: Any) -> str:
        return str(self.app.send_task(name, args, queue=queue, **more).id)

    def state(self, task: str) -> str:
        raw = self.results().get(f"celery-task-meta-{task}")
        return json.loads(raw)["status"] if raw else "PENDING"

    def results(self) -> Any:
        import redis

        return redis.Redis(port=self.worker.port, db=1)

    def done(self) -> list[str]:
        record = self.folder / "record"
        return record.read_text().split() if record.exists() else []

    def told(self) -> list[str]:
        """The lines of the decisions log."""
        return (self.folder / "var" / "decisions.log").read_text().splitlines()

    def stanch(self, capsys: Any, playbook: str, **inputs: Any) -> Any:
        texts = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in inputs.items()
        }
        given = [part for name, text in texts.items() for part in ("-i", f"{name}={text}")]
        code = run(
            [
                "--config",
                str(self.folder / "stanch.yaml"),
                "--json",
                "run",
                playbook,
                "--auto",
                *given,
            ]
        )
        said = capsys.readouterr()
        assert code == 0, said.out[-3000:] + said.err[-3000:]
        return said.out


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    import redis
    from celery import Celery

    need(RedisServer)
    need(CeleryWorker)
    folder = tmp_path_factory.mktemp("pipeline")
    with RedisServer(folder) as server, CeleryWorker(folder, server.port) as worker:
        playbooks, user = ROOT / "playbooks" / "pipeline", getpass.getuser()
        text = CONFIG.format(playbooks=playbooks, port=server.port, user=user)
        (folder / "stanch.yaml").write_text(text)
        put_database(folder / "stanch.db")
        app = Celery("client", broker=f"redis://127.0.0.1:{server.port}/0", set_as_current=False)
        app.conf.broker_transport_options = {"sep": ":", "priority_steps": list(range(10))}
        client = redis.Redis(port=server.port)
        yield Pipeline(folder, worker, app, client)
        client.close()
        app.close()


def test_only_what_failed_of_a_batch_is_done_again(pipeline: Pipeline, capsys: Any) -> None:
    broken, record = pipeline.folder / "broken", str(pipeline.folder / "record")
    broken.touch()
    tasks = {
        name: pipeline.send(
            "documents.parse",
            name,
            str(broken) if name in ("b", "d") else None,
            record,
            queue="batch.normal",
            group_id="batch-123",
        )
        for name in "abcd"
    }
    until(lambda: all(pipeline.state(task) in ("SUCCESS", "FAILURE") for task in tasks.values()))
    assert [pipeline.state(tasks[name]) for name in "abcd"] == ["SUCCESS", "FAILURE"] * 2
    broken.unlink()
    inputs = {"group": "batch-123", "queue": "batch.high", "check_every": "1s"}
    pipeline.stanch(capsys, "pipeline/recover-batch", **inputs)
    assert {pipeline.state(task) for task in tasks.values()} == {"SUCCESS"}
    assert sorted(pipeline.done()) == ["a", "b", "b", "c", "d", "d"]
    pipeline.stanch(capsys, "pipeline/recover-batch", **inputs)
    assert len(pipeline.done()) == 6


def test_listed_documents_go_again_each_by_itself_and_nothing_else_of_the_batch(
    pipeline: Pipeline, capsys: Any
) -> None:
    """One of them fails again: it is given up at once, although it might have taken an hour, and told."""
    broken, record = pipeline.folder / "torn", str(pipeline.folder / "record")
    worse = pipeline.folder / "worse"
    broken.touch()
    worse.touch()
    names = ("k", "l", "m", "n", "o")
    tasks = {
        name: pipeline.send(
            "documents.parse",
            name,
            str(worse if name == "n" else broken),
            record,
            queue="batch.low",
            group_id="batch-200",
        )
        for name in names
    }
    until(lambda: all(pipeline.state(task) == "FAILURE" for task in tasks.values()))
    broken.unlink()
    documents = [{"document_uuid": f"doc-{name}", "task": tasks[name]} for name in "kmno"]
    said = pipeline.stanch(
        capsys,
        "pipeline/recover-documents",
        group="batch-200",
        documents=documents,
        check_every="1s",
        settle_within="1h",
    )
    outputs = json.loads(said)["outputs"]
    assert (outputs["good"], outputs["failed"]) == (["doc-k", "doc-m", "doc-o"], ["doc-n"])
    states = [pipeline.state(tasks[name]) for name in names]
    assert states == ["SUCCESS", "FAILURE", "SUCCESS", "FAILURE", "SUCCESS"]
    assert [pipeline.done().count(name) for name in names] == [2, 1, 2, 2, 2]
    (line,) = [one for one in pipeline.told() if "document_failed_again" in one]
    assert "DOCUMENT=doc-n | RESULT=FAILURE | ERROR=ConnectionError" in line
    # Their new results are still of the batch: what fails again is found again.
    kept = [pipeline.results().get(f"celery-task-meta-{task}") for task in tasks.values()]
    assert [json.loads(one)["group_id"] for one in kept] == ["batch-200"] * 5


def test_a_paused_queue_waits_and_a_resumed_one_is_done_lowest_priority_number_first(
    pipeline: Pipeline, capsys: Any
) -> None:
    record = str(pipeline.folder / "record")
    pipeline.stanch(capsys, "pipeline/pause", queues=["batch.low"])
    for priority in (9, 0, 5):
        name = f"p{priority}"
        pipeline.send("documents.parse", name, None, record, queue="batch.low", priority=priority)
    normal = pipeline.send("documents.parse", "other", None, record, queue="batch.normal")
    until(lambda: pipeline.state(normal) == "SUCCESS")
    assert not [name for name in pipeline.done() if name.startswith("p")]
    assert pipeline.redis.llen("batch.low") == 1  # step 0; the others are lists of their own
    pipeline.stanch(capsys, "pipeline/resume", queues=["batch.low"])
    until(lambda: len([name for name in pipeline.done() if name.startswith("p")]) == 3)
    assert [name for name in pipeline.done() if name.startswith("p")] == ["p0", "p5", "p9"]


def test_what_a_killed_worker_held_is_done_by_another(pipeline: Pipeline, capsys: Any) -> None:
    go = pipeline.folder / "go"
    second = CeleryWorker(
        pipeline.folder / "second", pipeline.worker.port, name="two", queues=["batch.extra"]
    )
    with second:
        task = pipeline.send("documents.wait", "x", str(go), queue="batch.extra")
        until(lambda: pipeline.redis.hlen("unacked") == 1)
        until(lambda: "documents.wait" in second.log.read_text())
        second.kill()
    go.touch()
    assert pipeline.state(task) == "PENDING"
    config = pipeline.folder / "stanch.yaml"
    config.write_text(config.read_text().replace("reply_within: 20s", "reply_within: 3s"))
    inputs = {"queues": ["batch.extra"], "lost_after": "0s", "check_every": "1s"}
    pipeline.stanch(capsys, "pipeline/lost-work", **inputs, expected=["one@shop"])
    assert pipeline.redis.hlen("unacked") == 0
    assert pipeline.redis.llen("batch.extra:5") + pipeline.redis.llen("batch.extra") == 1
    pipeline.stanch(capsys, "pipeline/resume", queues=["batch.extra"], workers=["one@shop"])
    until(lambda: pipeline.state(task) == "SUCCESS")
