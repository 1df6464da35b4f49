"""Carrying a run out: worker, stepper, retry, recovery, undo."""
