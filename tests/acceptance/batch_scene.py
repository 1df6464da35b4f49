"""The batch pack's world on real parts: PostgreSQL, an S3 server, Prometheus, a provider, IAM and a cluster.

The processor's scripts behave: what they say follows from the bucket, and what they do is done there.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from engine.domain.canonical import JsonObject
from engine.domain.clock import SystemClock
from worlds.batches import Batch, BatchProvider, Course, Failure
from worlds.batches.server import BatchServer
from worlds.cluster import ADMIN as ADMIN_USER
from worlds.cluster import Cluster
from worlds.cluster.programs import Ran
from worlds.cluster.server import ClusterServer
from worlds.exporter import Scripted
from worlds.iam import IamServer
from worlds.servers import PrometheusServer, S3Server
from worlds.servers.s3 import ADMIN

ROOT = Path(__file__).parents[2]
PACK = ROOT / "playbooks" / "batch"
BUCKET, PREFIX = "primarch-batch-exports", "openai/batches/"
ROLE = "arn:aws:iam::123456789012:role/batch-processor-role"
KEY, HOOK = "provider-key", "hook-key"
SECRETS = {
    "HOOK": HOOK,
    "KUBE": "robot",
    "OPENAI": KEY,
    "S3_KEY": ADMIN.access_key,
    "S3_SECRET": ADMIN.secret_key,
}
WELL = {"status": {"indicator": "none", "description": "All Systems Operational"}}
ITEMS = 100_000
FAILED = 1_500  # of them, the last ones


@dataclass
class Scene:
    """The parts, and what the processor's scripts were asked."""

    provider: BatchServer
    cluster: Cluster
    iam: IamServer
    boto: Any
    cluster_url: str = ""
    scripts: list[str] = field(default_factory=list)

    def keys(self, prefix: str = PREFIX) -> list[str]:
        listed = self.boto.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [one["Key"] for one in listed.get("Contents", ())]

    def script(self, pod: JsonObject, command: list[str]) -> Ran:
        """Run one of the processor's scripts."""
        del pod
        name = command[1].rpartition("/")[2]
        self.scripts.append(name)
        if name == "reprocess_exports.py":
            self.boto.put_object(Bucket=BUCKET, Key=f"{PREFIX}batch_2/out.jsonl", Body=b"{}\n")
        if name == "validate_exports.py":
            bad = len(self.keys(f"{PREFIX}corrupted/"))
            whole = f"{PREFIX}batch_2/out.jsonl" in self.keys()
            if bad or not whole:
                return Ran(1, stderr=f"{bad} exports are corrupted\n".encode())
        return Ran(stdout=b"done\n")


@contextmanager
def scene(s3: S3Server) -> Iterator[Scene]:
    """Start what is not a server of the session, and put the bucket as the incident left it."""
    boto = s3.client()
    boto.create_bucket(Bucket=BUCKET)
    boto.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for name in ("batch_1/out.jsonl", "corrupted/a.jsonl", "corrupted/2026/b.jsonl"):
        boto.put_object(Bucket=BUCKET, Key=PREFIX + name, Body=b"{half")
    cluster = Cluster(SystemClock())
    cluster.tokens[SECRETS["KUBE"]] = ADMIN_USER
    cluster.load([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "primarch"}}])
    cluster.load(yaml.safe_load_all((PACK / "processor.manifest").read_text()))
    pages = {"/api/v2/summary.json": {**WELL, "components": [_component("Batch API")]}}
    with ExitStack() as stack:
        provider = stack.enter_context(BatchServer(large_provider(), KEY, pages))
        iam = stack.enter_context(IamServer({ROLE: [("s3:PutObject", f"arn:aws:s3:::{BUCKET}/*")]}))
        url = stack.enter_context(ClusterServer(cluster)).url
        made = Scene(provider, cluster, iam, boto, url)
        cluster.programs.add("python3", made.script)
        yield made


def _component(name: str) -> JsonObject:
    return {"name": name, "status": "operational"}


def large_provider() -> BatchProvider:
    """A provider with a small batch and one of 100,000 items, whose files are made as they are read."""
    clock = SystemClock()
    made = BatchProvider(clock, [Course(starts=0.0)])
    padding = "x" * 500  # what a model answers: the output is about 60 MB
    last = ITEMS - FAILED
    before = clock.now() - timedelta(hours=2)
    made.put(Batch("batch_big", ITEMS, before, "file-in-big", status="completed"))
    slow = {"item-2": Failure(429, "rate_limit_exceeded"), "item-5": Failure()}
    made.put(Batch("batch_1", 6, before, "file-in-1", course=Course(failures=slow)))
    made.files["file-in-big"] = lambda: (_asked(n) for n in range(ITEMS))
    made.files["file-out-batch_big"] = lambda: (
        _answered(n, padding) if n < last else _limited(n) for n in range(ITEMS)
    )
    return made


def _asked(number: int) -> str:
    return f'{{"custom_id": "i{number}", "method": "POST", "url": "/v1/chat/completions", "body": {{}}}}'


def _answered(number: int, text: str) -> str:
    response = f'{{"status_code": 200, "body": {{"text": "{text}"}}}}'
    return f'{{"custom_id": "i{number}", "response": {response}, "error": null}}'


def _limited(number: int) -> str:
    response = '{"status_code": 429, "body": {"error": {"code": "rate_limit_exceeded"}}}'
    return f'{{"custom_id": "i{number}", "response": {response}}}'


def write_alert_rules(path: Path) -> Path:
    """Write the shipped alert rules, without their pending times."""
    text = (ROOT / "rules" / "alerts" / "batch.yaml").read_text()
    path.write_text(re.sub(r"(?m)^(\s*)for: \S+$", r"\1for: 0s", text))
    return path


def until(what: Any) -> None:
    """Wait, generously, until something holds."""
    end = time.monotonic() + 120
    while not what():
        assert time.monotonic() < end, "not within 120 s"
        time.sleep(0.25)


class Metrics(Scripted):
    """What the processor would export: a queue, batches that complete and, once `slow`, one that does not."""

    def __init__(self) -> None:
        self.slow = False
        self._started = time.monotonic()
        super().__init__(self._text)

    def _text(self) -> str:
        done = int((time.monotonic() - self._started) * 100)
        text = "openai_batch_queue_depth 12\nopenai_batch_rate_limit_errors_total 0\n"
        text += f'openai_batch_completed_total{{status="completed",profile="p"}} {done}\n'
        if self.slow:
            text += 'openai_batch_oldest_seconds{profile="p",priority="normal"} 73000\n'
        return text


def configuration(made: Scene, dsn: str, s3: S3Server, prometheus: PrometheusServer) -> str:
    """Return Stanch's configuration: the example's allow-lists over these parts."""
    example = yaml.safe_load((ROOT / "config.example.yaml").read_text())["connections"]
    aws = {"access_key": {"env": "S3_KEY"}, "secret_key": {"env": "S3_SECRET"}}
    instead: Mapping[str, JsonObject] = {
        "cluster": {"kind": "kubernetes", "server": made.cluster_url, "token": {"env": "KUBE"}},
        "metrics": {"kind": "prometheus", "url": prometheus.url},
        "primarch": {"kind": "postgres", "dsn": dsn},
        "openai": {"kind": "http", "url": made.provider.url, "bearer": {"env": "OPENAI"}},
        "openai_status": {"kind": "http", "url": made.provider.url},
        "exports": {"kind": "s3", "endpoint_url": s3.url, **aws},
        "iam": {"kind": "iam", "endpoint_url": made.iam.url, **aws},
        "artifacts": {"kind": "artifacts", "folder": "var/artifacts"},
    }
    allowed = {
        name: {
            **settings,
            **({"allow": example[name]["allow"]} if "allow" in example[name] else {}),
        }
        for name, settings in instead.items()
    }
    return json.dumps(
        {
            "playbooks": [str(PACK)],
            "rules": [str(ROOT / "rules" / "batch")],
            "intake": {"auth": {"bearer": {"env": "HOOK"}}},
            "connections": allowed,
            "roles": {"sre": ["alice", "bob"]},
            "store": "sqlite:///var/stanch.db",
        }
    )
