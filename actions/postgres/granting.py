"""Rights as the statements that give them."""

from __future__ import annotations

from collections.abc import Sequence

from actions.postgres import tokentable
from actions.postgres.parsing import Table, quoted
from engine.contract import Grant


def statements(grants: Sequence[Grant], user: str, token_schema: str) -> list[str]:
    """Return what an administrator runs once; again, it changes nothing.

    The role itself is his to create, with its way to log in.
    """
    tables: dict[Table, set[str]] = {}
    roles: set[str] = set()
    for grant in grants:
        privilege, on = grant.detail["privilege"], grant.detail["on"]
        if privilege == "MEMBER":
            roles.add(on)
            continue
        table = (
            Table(token_schema, tokentable.TABLE) if on == tokentable.TOKENS else Table.parse(on)
        )
        tables.setdefault(table, set()).add(privilege)
    to = quoted(user)
    made = (
        tokentable.statements(token_schema)
        if Table(token_schema, tokentable.TABLE) in tables
        else []
    )
    made += [
        f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {to}"
        for schema in sorted({table.schema for table in tables} - {"pg_catalog"})
    ]
    made += [
        f"GRANT {', '.join(sorted(rights))} ON {table.quoted} TO {to}"
        for table, rights in sorted(tables.items(), key=lambda one: str(one[0]))
    ]
    return made + [f"GRANT {quoted(role)} TO {to}" for role in sorted(roles)]
