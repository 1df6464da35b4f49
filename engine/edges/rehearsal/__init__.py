"""Rehearsals: the same engine over a world that is played, on a clock that jumps."""
