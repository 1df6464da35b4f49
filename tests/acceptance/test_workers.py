"""A worker that was killed for memory is repaired over real HTTP: on the cluster in memory, a process of its own, and
given STANCH_TEST_KUBECONFIG on that cluster, unchanged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml

from engine.domain.canonical import JsonObject
from tests.acceptance.test_kubernetes import REAL, clients, post, until
from tests.contract.actions.kube_scene import Sight
from tests.databases import put_database

COVERS = ("W1", "W2", "W6", "W8")
ROOT = Path(__file__).parents[2]
IMAGE = "registry.k8s.io/e2e-test-images/busybox:1.29-4"
# What it does on a cluster that runs containers; the one in memory follows FATES.
SCRIPT = (
    'if [ "$SCORING_BATCH_SIZE" -gt 100 ]; then echo "out of memory"; exit 137; fi; echo scored'
)
FATES = [
    {"times": 1, "exit_code": 137, "reason": "OOMKilled", "after": 0.2, "logs": "out of memory"},
    {"exit_code": 0, "after": 0.2, "logs": "scored"},
]
SIZE = {"configMapKeyRef": {"name": "deeptech-config", "key": "SCORING_BATCH_SIZE"}}
TEMPLATE: JsonObject = {
    "backoffLimit": 0,
    "template": {
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "scoring",
                    "image": IMAGE,
                    "command": ["sh", "-c", SCRIPT],
                    "resources": {"limits": {"memory": "64Mi"}},
                    "env": [{"name": "SCORING_BATCH_SIZE", "valueFrom": SIZE}],
                }
            ],
        }
    },
}


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    if REAL:
        yield Path(REAL)
        return
    path = tmp_path / "kubeconfig"
    command = [sys.executable, "-m", "worlds.cluster", "--pod-start", "0.1"]
    process = subprocess.Popen(
        [*command, "--kubeconfig", str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        script = {"owner": "scoring-daily", "fates": FATES}
        assert httpx.post(f"{url}/-/fates", json=script).status_code == 200
        yield path
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def sight(kubeconfig: Path) -> Sight:
    return clients(kubeconfig, os.environ.get("STANCH_TEST_CONTEXT"))


@pytest.fixture
def namespace(sight: Sight) -> Iterator[str]:
    """A namespace with a worker whose job has failed."""
    name = f"stanch-test-{uuid4().hex[:8]}"
    post(sight.writer, "/api/v1/namespaces", {"metadata": {"name": name}})
    try:
        sizes = {"SCORING_BATCH_SIZE": "200", "LINKING_BATCH_SIZE": "8"}
        config = {"metadata": {"name": "deeptech-config"}, "data": sizes}
        post(sight.writer, f"/api/v1/namespaces/{name}/configmaps", config)
        spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": TEMPLATE}}
        cronjob = {"metadata": {"name": "scoring-daily"}, "spec": spec}
        post(sight.writer, f"/apis/batch/v1/namespaces/{name}/cronjobs", cronjob)
        marks = {
            "name": "scoring-daily-1",
            "labels": {"stanch.dev/cronjob": "scoring-daily"},
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
        }
        post(sight.writer, _jobs(name), {"metadata": marks, "spec": TEMPLATE})
        until(lambda: states(sight, name) == {"scoring-daily-1": "Failed"})
        yield name
    finally:
        sight.writer.request("DELETE", f"/api/v1/namespaces/{name}")


def _jobs(namespace: str) -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


def states(sight: Sight, namespace: str) -> dict[str, str]:
    """Return how the jobs that have ended did, by name."""
    answer = json.loads(sight.reader.request("GET", _jobs(namespace)))
    return {
        job["metadata"]["name"]: condition["type"]
        for job in answer["items"]
        for condition in job.get("status", {}).get("conditions") or []
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True"
    }


def configure(folder: Path, kubeconfig: Path, namespace: str) -> None:
    """Write the configuration: the example's connections, this cluster, no other part."""
    example = yaml.safe_load((ROOT / "config.example.yaml").read_text())
    needed = ("classes", "deeptech", "github", "openai_status")
    cluster = {"kind": "kubernetes", "kubeconfig": str(kubeconfig)}
    context = os.environ.get("STANCH_TEST_CONTEXT")
    config = {
        "store": "sqlite:///var/stanch.db",
        "rules": [],
        "playbooks": [str(ROOT / "playbooks" / "workers")],
        "connections": {name: example["connections"][name] for name in needed}
        | {"cluster": cluster | ({"context": context} if REAL and context else {})},
        "secrets": example["secrets"],
        "roles": {"sre": ["local"]},
    }
    config["connections"]["cluster"]["allow"] = {"namespaces": [namespace]}
    (folder / "stanch.yaml").write_text(yaml.safe_dump(config))
    put_database(folder / "var/stanch.db")


def stanch(folder: Path, *arguments: str) -> Any:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("STANCH_")}
    done = subprocess.run(
        [sys.executable, "-m", "engine.edges.cli", "--json", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return json.loads(done.stdout)


@pytest.mark.timeout(300)
def test_a_failed_worker_is_diagnosed_repaired_and_run_again(
    tmp_path: Path, kubeconfig: Path, sight: Sight, namespace: str
) -> None:
    configure(tmp_path, kubeconfig, namespace)
    given = {"namespace": namespace, "cronjob": "scoring-daily", "check_every": "1s"}
    inputs = [word for name, value in given.items() for word in ("-i", f"{name}={value}")]
    result = stanch(tmp_path, "run", "--auto", "workers/job-failure", *inputs)
    assert result["state"] == "succeeded", result
    assert result["outputs"]["class"] == "memory"
    ended = states(sight, namespace)
    assert ended.pop("scoring-daily-1") == "Failed"
    assert list(ended.values()) == ["Complete"]
    path = f"/api/v1/namespaces/{namespace}/configmaps/deeptech-config"
    found = json.loads(sight.reader.request("GET", path))
    assert found["data"] == {"SCORING_BATCH_SIZE": "100", "LINKING_BATCH_SIZE": "8"}
    log = (tmp_path / "var" / "decisions.log").read_text()
    assert f"CRONJOB={namespace}/scoring-daily | CAUSE=memory" in log
