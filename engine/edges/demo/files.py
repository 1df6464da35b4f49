"""The files of the demo: configuration, the shipped rules and alert rules with shorter times, the objects."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
NAMESPACE, DEPLOYMENT = "starforge", "etl-worker"
REPLICAS = 6
WINDOW = "5s"  # over which the demo takes rates; production takes 5m

# What the playbook takes minutes for, in seconds. Everything else is the shipped playbook's own.
SHORT: Mapping[str, Any] = {
    "window": WINDOW,
    "observe": "7s",
    "settle_within": "60s",
    "stable_for": "4s",
    "step_for": "3s",
    "watch_for": "6s",
    "check_every": "1s",
    # Nobody's chat, no image that could be run, and no workers that empty the queue.
    "tell": False,
    "debug": False,
    "process": False,
}


def shipped(path: str) -> Path:
    """Return a shipped file or folder.

    Raises:
        FileNotFoundError: it is not beside the package (the demo runs from a checkout).
    """
    found = ROOT / path
    if not found.exists():
        raise FileNotFoundError(
            f"{path} is not beside the installed package; run it from a checkout"
        )
    return found


def write_rules(folder: Path, *, sql: bool) -> Path:
    """Write the shipped rules with the demo's inputs; return their folder."""
    folder.mkdir(parents=True)
    for path in sorted(shipped("rules/etl").glob("*.yaml")):
        data = yaml.safe_load(path.read_text())
        for rule in data.get("rules", ()):
            rule["inputs"] = {**rule.get("inputs", {}), **SHORT, "sql": sql}
        (folder / path.name).write_text(yaml.safe_dump(data, sort_keys=False))
    return folder


def write_alert_rules(path: Path) -> Path:
    """Write the shipped Prometheus alert rules with the demo's window and a short pending time."""
    text = shipped("rules/alerts/etl.yaml").read_text()
    text = text.replace("[5m]", f"[{WINDOW}]")
    path.write_text(re.sub(r"(?m)^(\s*)for: \S+$", r"\1for: 2s", text))
    return path


def write_objects(path: Path) -> Path:
    """Write the cluster's objects: the namespace, the feature flags and the worker deployment."""
    labels = {"app": DEPLOYMENT}
    worker = {"name": "worker", "image": "starforge/etl:1.42.0"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [worker]}}
    flags = {"name": "starforge-flags", "namespace": NAMESPACE}
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": flags,
            "data": {"INGESTION_ENABLED": "true", "ETL_MAX_ATTEMPTS": "5"},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": DEPLOYMENT, "namespace": NAMESPACE, "labels": labels},
            "spec": {
                "replicas": REPLICAS,
                "selector": {"matchLabels": labels},
                "template": template,
            },
        },
    ]
    path.write_text(yaml.safe_dump_all(objects, sort_keys=False))
    return path


def write_config(
    path: Path,
    *,
    listen: str,
    rules: Path,
    kubeconfig: Path,
    prometheus: str,
    dsn: str,
) -> Path:
    """Write Stanch's configuration. JSON is YAML, and safe for any path."""
    folder = path.parent
    config = {
        "store": f"sqlite:///{folder / 'stanch.db'}",
        "listen": listen,
        "rules": [str(rules)],
        "playbooks": [str(shipped("playbooks/etl"))],
        "connections": {
            "cluster": {
                "kind": "kubernetes",
                "kubeconfig": str(kubeconfig),
                "context": "admin",
                "allow": {"namespaces": [NAMESPACE]},
            },
            "metrics": {"kind": "prometheus", "url": prometheus},
            "starforge": {
                "kind": "postgres",
                "dsn": dsn,
                "allow": {"schemas": ["public"], "tables": ["pg_catalog.pg_stat_activity"]},
            },
            # For payloads that cannot be parsed, which the demo has few of: never opened.
            "quarantine": {"kind": "s3", "endpoint_url": "http://127.0.0.1:9"},
        },
        "roles": {"sre": ["local"], "dba": ["local"]},
        "decisions_log": str(folder / "decisions.log"),
        "keys": {
            "images": {"file": str(folder / "images.key")},
            "seal": {"file": str(folder / "seal.key")},
        },
    }
    path.write_text(json.dumps(config, indent=2) + "\n")
    return path
