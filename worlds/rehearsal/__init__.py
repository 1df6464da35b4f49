"""Worlds of rehearsals, one module a kind of connection. `kinds.WORLDS` says which there are."""
