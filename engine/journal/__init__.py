"""The append-only record and every durable row."""
