"""The real servers that some worlds need, started once for all rehearsals of an invocation."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from engine.domain.errors import InvalidInput
from engine.edges.rehearsal.stage import Ground
from engine.language.rehearsalreading import Rehearsal


class Servers:
    """Starts what the rehearsals need when entered, ends it when left."""

    def __init__(self, rehearsals: Sequence[Rehearsal], ground: Ground) -> None:
        del rehearsals, ground
        self._addresses: dict[str, str] = {}

    def service(self, name: str) -> str:
        """Return a server's address.

        Raises:
            InvalidInput: there is none.
        """
        try:
            return self._addresses[name]
        except KeyError:
            raise InvalidInput(f"this rehearsal needs a {name} server and there is none") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._addresses.clear()
