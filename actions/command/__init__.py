"""Local programs from an allow-list, by argument list, bounded in time and output."""

from actions.command.connection import CommandKind
from actions.command.run import CommandRun

DECLARATIONS = (CommandKind, CommandRun)

__all__ = ["DECLARATIONS", "CommandKind", "CommandRun"]
