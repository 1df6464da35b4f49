"""Tasks of a document pipeline in Celery, configured as such systems are: what `CeleryWorker` runs.

It is a program of its own (`celery -A worlds.servers.shop`), and reads where its broker is from the environment.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import Celery

app = Celery("shop", broker=os.environ["SHOP_BROKER"], backend=os.environ["SHOP_RESULTS"])
app.conf.update(
    task_default_queue="batch.normal",
    task_default_priority=5,
    task_queue_max_priority=10,
    broker_transport_options={
        "priority_steps": list(range(10)),
        "sep": ":",
        "queue_order_strategy": "priority",
    },
    result_extended=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
)


@app.task(name="documents.parse")  # type: ignore[untyped-decorator]  # Celery has no types
def parse(document: str, broken: str | None = None, record: str | None = None) -> str:
    """Read a document; it fails while the file `broken` is there. Who ran is added to the file `record`."""
    if record is not None:
        with Path(record).open("a", encoding="utf-8") as lines:
            lines.write(f"{document}\n")
    if broken is not None and Path(broken).exists():
        raise ConnectionError("connection reset by peer")
    return document


@app.task(name="documents.wait")  # type: ignore[untyped-decorator]  # Celery has no types
def wait(document: str, until: str) -> str:
    """Work until the file `until` is there."""
    while not Path(until).exists():
        time.sleep(0.02)
    return document
