"""The StarForge ETL's database in small: the tables that the runbook's SQL names, with a spike's rows.

Tables: `etl_errors`, `hero_snapshots`, `queue_jobs`, `backfill_jobs`, `catalog_items`, in schema `public`.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

ERRORS = {"DB_ERROR": 41, "PARSE_ERROR": 6, "FK_VIOLATION": 2}  # rows of each type in a fresh spike
MESSAGES = {
    "DB_ERROR": "remaining connection slots are reserved for roles with the SUPERUSER attribute",
    "PARSE_ERROR": "unexpected field 'loadout.relics'",
    "FK_VIOLATION": 'insert violates foreign key constraint "hero_items_item_id_fkey"',
}


def seed(dsn: str) -> None:
    """Make the tables and fill them as they look a few minutes into a failure spike.

    Two backfills run and one is pending; the queue holds 40 jobs, six of which are backfill work.
    Ids are the same each time; times are relative to the database's `now()`.
    """
    import psycopg

    with psycopg.connect(dsn) as connection:
        connection.execute(
            resources.files("worlds").joinpath("starforge.sql").read_text(encoding="utf-8")
        )
        _snapshots(connection)
        _jobs(connection)


def _snapshots(connection: Any) -> None:
    kinds = [kind for kind, count in ERRORS.items() for _ in range(count)]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO hero_snapshots (id, size_bytes, source, created_at, raw)"
            " VALUES (%s, %s, 'live', now() - make_interval(secs => %s), %s::jsonb)",
            [
                (f"snap-{n:04d}", 40_000 + 977 * n, 20 * n, f'{{"hero": {n}, "loadout": {{}}}}')
                for n in range(len(kinds))
            ],
        )
        cursor.executemany(
            "INSERT INTO etl_errors (snapshot_id, error_type, message, details, created_at)"
            " VALUES (%s, %s, %s, %s::jsonb, now() - make_interval(secs => %s))",
            [
                (f"snap-{n:04d}", kind, MESSAGES[kind], f'{{"attempt": {n % 3 + 1}}}', 18 * n)
                for n, kind in enumerate(kinds)
            ],
        )


def _jobs(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO backfill_jobs (id, name, status, total, done) VALUES (%s, %s, %s, %s, %s)",
            [
                (1, "season-12-heroes", "running", 120_000, 48_211),
                (2, "relic-remap", "running", 64_000, 3_902),
                (3, "guild-history", "pending", 300_000, 0),
                (4, "season-11-heroes", "done", 118_400, 118_400),
            ],
        )
        cursor.executemany(
            "INSERT INTO queue_jobs (id, kind, status, attempts, max_attempts, run_after)"
            " VALUES (%s, %s, %s, %s, 5, now() + make_interval(secs => %s))",
            [(n, "backfill" if n <= 6 else "snapshot", "pending", n % 3, n) for n in range(1, 41)],
        )
