"""Alembic's migrations of the journal. Run at open (`engine.journal.migrate`), never by hand."""
