"""The `postgres` connection: opened, held to its allow-list, checked, warmed, granted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from actions.postgres.client import PostgresClient
from actions.postgres.parsing import Table
from actions.postgres.settings import PostgresSettings
from engine.contract import ConnectionKind, Grant, Opening, Target
from engine.domain.canonical import JsonObject


class PostgresKind(ConnectionKind):
    """Connections to PostgreSQL databases."""

    kind = "postgres"
    Settings = PostgresSettings

    def open(self, opening: Opening) -> PostgresClient:
        return PostgresClient(opening)

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        assert isinstance(settings, PostgresSettings)
        if settings.allow is None or settings.allow.allows(Table.parse(target.path)):
            return None
        return f"table {target.path} is not in the allow-list of connection {target.connection!r}"

    def check(self, client: PostgresClient) -> Mapping[str, str]:
        with client.reading(role="write") as work:
            row = work.run(
                "SELECT current_setting('server_version') AS v, current_user::text AS u"
            )[0]
        return {"version": row["v"], "role": row["u"]}

    def grant_text(self, settings: BaseModel, grants: Sequence[Grant], user: str) -> str:
        from actions.postgres.granting import statements

        assert isinstance(settings, PostgresSettings)
        made = statements(grants, user, settings.token_schema)
        return "".join(f"{statement};\n" for statement in made)

    def warm(self, client: PostgresClient, wanted: Sequence[JsonObject]) -> int:
        """One idle connection as each role that this client acts as."""
        del wanted
        for role in ("write",) if client.writable else ("read", "write"):
            with client.reading(role=role):
                pass
        return 0

    def close(self, client: PostgresClient) -> None:
        client.close()
