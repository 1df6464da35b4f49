"""Frozen programs, plans and before-images (larger texts outside the chain), and API tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, select, tuple_, update

from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import format_time
from engine.domain.errors import InvalidInput
from engine.journal import tables
from engine.journal.codec import dumps, instant, loads, maybe_micros, micros
from engine.journal.repository import Repository
from engine.journal.statement import (
    ONE,
    ZERO,
    Statement,
    dialect_insert,
    insert,
    insert_new,
    p,
    upsert,
)

G = tables.programs
L = tables.plans
M = tables.images
K = tables.tokens
R = tables.runs

PUT_PROGRAM = Statement(insert_new(G, "digest"))
PROGRAM = Statement(select(G.c.body).where(G.c.digest == p("digest")))


def _put_plan(dialect: str) -> Any:
    following = select(func.coalesce(func.max(L.c.n), ZERO) + ONE).where(L.c.run_id == p("run_id"))
    values = {
        "run_id": p("run_id"),
        "fingerprint": p("fingerprint"),
        "n": following.scalar_subquery(),
        "body": p("body"),
    }
    core = dialect_insert(dialect, L).values(values)
    return core.on_conflict_do_update(
        index_elements=[L.c.run_id, L.c.fingerprint],
        set_={"n": core.excluded.n, "body": core.excluded.body},
    )


PUT_PLAN = Statement(_put_plan)
PLAN = Statement(
    select(L.c.body).where(L.c.run_id == p("run_id"), L.c.fingerprint == p("fingerprint"))
)
LATEST_PLAN = Statement(
    select(L.c.body).where(L.c.run_id == p("run_id")).order_by(L.c.n.desc()).limit(ONE)
)
PUT_IMAGE = Statement(upsert(M, ["run_id", "key"], ["at", "digest", "key_id", "sealed"]))
IMAGE = Statement(
    select(M.c.digest, M.c.key_id, M.c.sealed).where(M.c.run_id == p("run_id"), M.c.key == p("key"))
)
_old = (
    select(M.c.run_id, M.c.key)
    .where(
        M.c.at < p("before"),
        M.c.sealed.is_not(None),
        ~exists().where(R.c.id == M.c.run_id, R.c.ended_at.is_(None)),
    )
    .order_by(M.c.at)
    .limit(p("limit"))
)
PRUNE = Statement(update(M).where(tuple_(M.c.run_id, M.c.key).in_(_old)).values(sealed=None))
_PRUNED = 200  # before-images forgotten at a time, so that no writer waits long


class Blobs(Repository):
    def put_program(self, digest: str, text: str) -> None:
        known = self._s.known
        if ("program", digest) not in known:  # a storm freezes one playbook many times
            self._s.run(PUT_PROGRAM, digest=digest, body=text)
            known["program", digest] = True

    def program(self, digest: str) -> str | None:
        row = self._s.one(PROGRAM, digest=digest)
        return None if row is None else str(row[0])

    def put_plan(self, run_id: str, fingerprint: str, body: Json) -> None:
        self._s.later(PUT_PLAN, run_id=run_id, fingerprint=fingerprint, body=dumps(body))

    def plan(self, run_id: str, fingerprint: str | None = None) -> Json:
        if fingerprint is None:
            row = self._s.one(LATEST_PLAN, run_id=run_id)
        else:
            row = self._s.one(PLAN, run_id=run_id, fingerprint=fingerprint)
        return None if row is None else loads(row[0])

    def put_image(self, run_id: str, key: str, image: Json) -> str:
        plain = dumps(image).encode()
        digest = hashlib.sha256(plain).hexdigest()
        used, sealed = self._tx.keys.images.encrypt(plain, _context(run_id, key))
        self._s.run(
            PUT_IMAGE,
            run_id=run_id,
            key=key,
            at=self._now(),
            digest=digest,
            key_id=used,
            sealed=sealed,
        )
        return digest

    def image(self, run_id: str, key: str) -> Json:
        """The before-image, or None where there is none or it was pruned.

        Raises:
            InvalidInput: its key is missing, or it was changed in the database.
        """
        row = self._s.one(IMAGE, run_id=run_id, key=key)
        if row is None or row[2] is None:
            return None
        plain = self._tx.keys.images.decrypt(row[1], bytes(row[2]), _context(run_id, key))
        if hashlib.sha256(plain).hexdigest() != row[0]:
            raise InvalidInput(f"the before-image {key} of run {run_id} is not what was journalled")
        return loads(plain.decode())

    def prune_images(self, before: datetime) -> int:
        return self._s.run(PRUNE, before=micros(before), limit=_PRUNED)


def _context(run_id: str, key: str) -> bytes:
    return dumps([run_id, key]).encode()


ADD_TOKEN = Statement(insert(K))
FIND_TOKEN = Statement(
    select(K.c.name, K.c.roles).where(
        K.c.hashed == p("hashed"),
        K.c.revoked_at.is_(None),
        K.c.expires_at.is_(None) | (K.c.expires_at > p("now")),
    )
)
REVOKE = Statement(
    update(K).where(K.c.name == p("name"), K.c.revoked_at.is_(None)).values(revoked_at=p("now"))
)
TOKENS = Statement(
    select(K.c.name, K.c.roles, K.c.created_at, K.c.expires_at, K.c.revoked_at).order_by(
        K.c.name, K.c.created_at
    )
)


class Tokens(Repository):
    def add(
        self, name: str, hashed: str, roles: Sequence[str], expires_at: datetime | None
    ) -> None:
        self._s.run(
            ADD_TOKEN,
            name=name,
            hashed=hashed,
            roles=dumps(list(roles)),
            created_at=self._now(),
            expires_at=maybe_micros(expires_at),
            revoked_at=None,
        )

    def find(self, hashed: str) -> tuple[str, tuple[str, ...]] | None:
        row = self._s.one(FIND_TOKEN, hashed=hashed, now=self._now())
        return None if row is None else (row[0], tuple(loads(row[1])))

    def revoke(self, name: str) -> int:
        return self._s.run(REVOKE, name=name, now=self._now())

    def list(self) -> Sequence[JsonObject]:
        """Every token without its hash: name, roles, created_at, expires_at, revoked_at."""
        return [
            {
                "name": row[0],
                "roles": loads(row[1]),
                "created_at": format_time(instant(row[2])),
                "expires_at": None if row[3] is None else format_time(instant(row[3])),
                "revoked_at": None if row[4] is None else format_time(instant(row[4])),
            }
            for row in self._s.all(TOKENS)
        ]
