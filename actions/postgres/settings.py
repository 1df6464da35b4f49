"""Settings of the `postgres` connection, and the allow-list of what statements may touch."""

from __future__ import annotations

from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict, Field, field_validator

from actions.postgres.parsing import Table
from engine.contract import SecretRef
from engine.contract.fields import Seconds


class PostgresAllow(BaseModel):
    """What statements may touch. Patterns may hold `*`. Leaving the whole list out leaves it to the role."""

    model_config = ConfigDict(extra="forbid")

    schemas: list[str] = Field(default_factory=list, description="Schemas, all their tables")
    tables: list[str] = Field(
        default_factory=list, description="Tables with their schema", examples=[["public.jobs"]]
    )
    functions: list[str] = Field(
        default_factory=list,
        description="Volatile functions that statements may call, known to act within the transaction",
        examples=[["public.touch"]],
    )

    def allows(self, table: Table) -> bool:
        return any(fnmatchcase(table.schema, schema) for schema in self.schemas) or any(
            fnmatchcase(str(table), pattern) for pattern in self.tables
        )


class PostgresSettings(BaseModel):
    """Settings of a `postgres` connection."""

    model_config = ConfigDict(extra="forbid")

    dsn: SecretRef | str = Field(
        description="libpq DSN or URL, by reference; as plain text only without a password",
        examples=[{"env": "STARFORGE_DSN"}, "postgresql://stanch@db.internal/starforge"],
    )
    password: SecretRef | None = Field(None, description="The password, where the DSN holds none")
    read_dsn: SecretRef | str | None = Field(
        None, description="DSN of a read-only role, used by postgres.query; `dsn` where missing"
    )
    token_schema: str = Field(
        "stanch", min_length=1, description="Schema of the table that holds applied keys"
    )
    lock_timeout: Seconds = Field(2.0, gt=0, description="Longest wait for one lock")
    statement_timeout: Seconds = Field(30.0, gt=0, description="Longest run of one statement")
    connect_timeout: Seconds = Field(5.0, ge=1, description="Longest wait for a connection")
    max_connections: int = Field(4, gt=0, le=50, description="Most connections held at one time")
    allow: PostgresAllow | None = Field(None, description="Schemas and tables it may touch")

    @field_validator("dsn", "read_dsn")
    @classmethod
    def _no_plain_password(cls, value: SecretRef | str | None) -> SecretRef | str | None:
        if isinstance(value, str):
            from psycopg import ProgrammingError
            from psycopg.conninfo import conninfo_to_dict

            try:
                holds_one = bool(conninfo_to_dict(value).get("password"))
            except ProgrammingError:
                raise ValueError("is no DSN that libpq reads") from None
            if holds_one:
                raise ValueError("holds a password; write {env: NAME} or {file: path} instead")
        return value
