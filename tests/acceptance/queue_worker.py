"""A worker of the queue that the queue pack operates: claims batches, works on them, marks what became of them.

    python queue_worker.py DSN INSTANCE BATCH work|hold

`hold` claims one batch, says so, and never works on it: it is there to be killed.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import psycopg

CLAIM = """
UPDATE public.processing_queue
SET status = 'processing', flow_instance_id = %(me)s, claimed_at = now(), updated_at = now()
WHERE id IN (
  SELECT id FROM public.processing_queue WHERE status = 'pending' ORDER BY id LIMIT %(batch)s
  FOR UPDATE SKIP LOCKED
)
RETURNING id, payload
"""
# Only who still holds a record may say what became of it.
MINE = "WHERE id = %(id)s AND status = 'processing' AND flow_instance_id = %(me)s"
DONE = f"UPDATE public.processing_queue SET status = 'completed', completed_at = now(), updated_at = now() {MINE}"
FAILED = (
    "UPDATE public.processing_queue SET status = 'failed', retry_count = retry_count + 1, "
    f"error_message = %(error)s, updated_at = now() {MINE}"
)


def work(
    connection: psycopg.Connection[Any], me: str, record: int, payload: dict[str, Any]
) -> None:
    """Process one record: the log of what was done and the record's new state are one transaction."""
    values = {"id": record, "me": me, "error": payload.get("error")}
    with connection.transaction():
        connection.execute(
            "INSERT INTO public.flow_execution_logs (record_id, flow_instance_id) VALUES (%(id)s, %(me)s)",
            values,
        )
        connection.execute(FAILED if payload.get("error") else DONE, values)


def main(dsn: str, me: str, batch: str, what: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        while claimed := connection.execute(CLAIM, {"me": me, "batch": int(batch)}).fetchall():
            if what == "hold":
                print("holding", flush=True)
                time.sleep(3600)
            for record, payload in claimed:
                work(connection, me, record, payload)


if __name__ == "__main__":
    main(*sys.argv[1:])
