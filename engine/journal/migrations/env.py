"""Alembic's environment: the connection is the one that `engine.journal.migrate` holds the lock on."""

from alembic import context

from engine.journal.columns import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
