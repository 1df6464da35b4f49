"""The commands, a room a purpose: author, start, look, act, operate."""
