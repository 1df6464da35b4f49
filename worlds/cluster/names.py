"""Generated names. Suffixes grow, so that objects made later also sort later, in every run alike."""

from __future__ import annotations

import itertools
import random
import uuid

_ALPHABET = (
    "2456789bcdfghjklmnpqrstvwxz"  # what the server uses: no vowels, no digits that look like any
)


class Names:
    """Gives out name suffixes and uids; the same seed gives the same ones."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311  names, not secrets
        self._suffixes = itertools.count(27**4 * 5 + 98_765, 211)
        self._hashes = itertools.count(27**8 * 4 + 76_543_210_987, 27**7 * 5 + 987_654_321)

    def suffix(self) -> str:
        """Return five characters for a pod, an event or a `generateName`."""
        return _spell(next(self._suffixes), 5)

    def template_hash(self) -> str:
        """Return nine characters for a pod template."""
        return _spell(next(self._hashes), 9)

    def uid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


def _spell(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[rest])
    return "".join(reversed(letters))
