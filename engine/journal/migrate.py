"""Making and migrating the tables."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from engine.journal.tables import metadata


def migrate(url: str) -> None:
    parsed = make_url(url)
    path = Path(parsed.database or "")
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    engine = create_engine(parsed)
    metadata.create_all(engine)
    engine.dispose()
