"""Web sessions: rows that stand for a token for some hours. A session ends with its token."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select

from engine.journal.casefile_tables import web_sessions
from engine.journal.codec import loads, micros
from engine.journal.repository import Repository
from engine.journal.statement import Statement, insert, p
from engine.journal.tables import tokens

T = web_sessions
K = tokens

ADD = Statement(insert(T))
FIND = Statement(
    select(K.c.name, K.c.roles)
    .join(T, T.c.token == K.c.hashed)
    .where(
        T.c.hashed == p("hashed"),
        T.c.expires_at > p("now"),
        K.c.revoked_at.is_(None),
        K.c.expires_at.is_(None) | (K.c.expires_at > p("now")),
    )
)
END = Statement(delete(T).where(T.c.hashed == p("hashed")))
SWEEP = Statement(delete(T).where(T.c.expires_at <= p("now")))


class WebSessions(Repository):
    def add(self, hashed: str, token: str, expires_at: datetime) -> None:
        self._s.run(SWEEP, now=self._now())
        self._s.run(
            ADD,
            hashed=hashed,
            token=token,
            created_at=self._now(),
            expires_at=micros(expires_at),
        )

    def find(self, hashed: str) -> tuple[str, tuple[str, ...]] | None:
        row = self._s.one(FIND, hashed=hashed, now=self._now())
        return None if row is None else (row[0], tuple(loads(row[1])))

    def end(self, hashed: str) -> bool:
        return self._s.run(END, hashed=hashed) > 0
