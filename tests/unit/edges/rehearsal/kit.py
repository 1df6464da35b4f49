"""A small project whose every connection is rehearsed, and short words for playing in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from engine.contract.registry import Registry, load_registry
from engine.edges.config import load_config
from engine.edges.rehearsal import suite
from engine.edges.rehearsal.stage import Ground
from engine.edges.rehearsal.suite import Result

CONFIG = """
rules: []
playbooks: [books]
connections:
  cluster: {kind: kubernetes, server: "https://k8s.invalid", token: {env: NOT_SET}, allow: {namespaces: [shop]}}
  metrics: {kind: prometheus, url: "http://prometheus.invalid:9090"}
  api: {kind: http, url: "https://api.invalid/base", bearer: {env: NOT_SET}}
  files: {kind: s3, endpoint_url: "http://s3.invalid", allow: {buckets: [out]}}
  post: {kind: mail, host: mail.invalid, sender: stanch@example.com, recipients: ["*@example.com"], records: var/mail}
  tools:
    kind: command
    records: var/tools
    programs: {queue: {path: /opt/none/queue, arguments: ["*"]}}
  warehouse: {kind: postgres, dsn: {env: NOT_SET}}
  classes: {kind: patterns}
roles: {sre: [alice]}
"""

BOOKS = {
    "shop/scale": """
playbook: shop/scale
defaults: {kubernetes: {connection: cluster, namespace: shop}, prometheus: {connection: metrics}}
steps:
  - id: rate
    on_failure: continue
    action: prometheus.query
    with: {query: "sum(rate(errors[5m]))"}
  - id: scale
    when: steps.rate.value | default(1) > 0.1
    action: kubernetes.scale
    with: {kind: Deployment, name: web, replicas: 2}
  - id: calm
    wait: {query: {query: "sum(rate(errors[5m]))"}, becomes: "< 0.1", within: 30m, every: 1m}
""",
    "shop/sql": """
playbook: shop/sql
defaults: {postgres: {connection: warehouse}}
steps:
  - id: due
    action: postgres.query
    with: {sql: "SELECT count(*) AS n, now()::text AS now FROM public.jobs WHERE run_after <= now()"}
  - id: later
    wait: {for: 1h}
  - id: due_later
    action: postgres.query
    with: {sql: "SELECT count(*) AS n FROM public.jobs WHERE run_after <= now()"}
  - id: reset
    action: postgres.execute
    with:
      sql: UPDATE public.jobs SET state = 'ready' WHERE run_after <= now()
      table: public.jobs
      key: [id]
      max_rows: 9
    bounds: {rows: {max: 9}}
outputs: {now: "{{ steps.due.row.now }}", before: "{{ steps.due.row.n }}", after: "{{ steps.due_later.row.n }}"}
""",
    "shop/keep": """
playbook: shop/keep
steps:
  - {id: file, action: incident.artifact, with: {name: errors.json, data: [{id: 7, error: boom}]}}
  - {id: again, action: incident.artifact, with: {name: errors.json, data: [{id: 7, error: boom}]}}
""",
    "shop/why": """
playbook: shop/why
defaults: {kubernetes: {connection: cluster, namespace: shop}}
steps:
  - id: job
    action: kubernetes.job_from_cronjob
    with: {name: nightly}
  - id: ended
    action: kubernetes.job_wait
    with: {name: "{{ steps.job.receipt.name }}"}
  - id: why
    action: classify.text
    with: {connection: classes, text: "{{ steps.ended.logs.text }}"}
outputs: {class: "{{ steps.why.class }}"}
""",
    "shop/all": """
playbook: shop/all
steps:
  - id: submit
    action: http.request
    with: {connection: api, method: POST, path: /v1/jobs, body: {name: nightly}}
  - id: wipe
    action: s3.delete
    with: {connection: files, bucket: out, prefix: tmp/}
  - id: pause
    action: command.run
    with: {connection: tools, program: queue, arguments: [pause, --queue=a]}
  - id: rows
    action: postgres.query
    with: {connection: warehouse, sql: "SELECT count(*) AS n FROM public.jobs"}
  - id: tell
    action: mail.send
    with: {connection: post, to: [team@example.com], subject: "{{ steps.rows.row.n }} jobs", text: paused}
""",
}


def make_ground(
    folder: Path, more: Mapping[str, str] | None = None, registry: Registry | None = None
) -> Ground:
    """Write the project, with more playbooks by name, and load it."""
    registry = registry or load_registry()
    (folder / "stanch.yaml").write_text(CONFIG)
    for name, text in {**BOOKS, **(more or {})}.items():
        path = folder / "books" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return suite.lay_ground(load_config(folder / "stanch.yaml", registry), registry)


def played(
    ground: Ground, folder: Path, text: str, service: Callable[[str], str] = lambda name: name
) -> Result:
    """Play the one rehearsal that a text holds."""
    path = folder / "one.rehearsal.yaml"
    path.write_text(text)
    (rehearsal,) = suite.find([path])
    return suite.play(ground, rehearsal, service)


def seen(result: Result) -> dict[str, str]:
    """What did not hold, by what it speaks of."""
    return {miss.what: miss.seen for miss in result.misses}
