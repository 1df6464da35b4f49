"""Result lines are sifted one at a time, whatever their number."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator

from actions.http.bodies import split
from actions.providers.results import sifted


def many(count: int) -> Iterator[bytes]:
    """Result lines in chunks that end anywhere, as a network gives them."""
    held, line = (
        b"",
        b'{"custom_id": "i%d", "response": {"status_code": %d, "body": {"t": "%s"}}}\n',
    )
    for number in range(count):
        held += line % (number, 200 if number % 10 else 500, b"x" * 400)
        if len(held) > 65_521:
            yield held[:65_521]
            held = held[65_521:]
    yield held


def test_memory_does_not_grow_with_the_lines() -> None:
    tracemalloc.start()
    lines = (line.decode() for line in split(many(100_000), 2**20) if line is not None)
    output = sifted(lines, 100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (output["failed"], output["succeeded"], output["unreadable"]) == (10_000, 90_000, 0)
    assert (len(output["items"]), output["truncated"]) == (100, True)
    assert peak < 4 * 2**20  # of some 50 MB that went by


def test_a_limit_ends_the_lines() -> None:
    assert list(split([b"ab\ncd", b"ef\n"], 3)) == [b"ab", None]
    whole = [bytes(line or b"") for line in split([b"a", b"b\n\nc"], 100)]
    assert whole == [b"ab", b"", b"c"]


def test_an_item_that_both_files_name_counts_once() -> None:
    line = json.dumps({"custom_id": "a", "response": {"status_code": 500}})
    assert sifted([line, line], 10)["failed"] == 1
    assert sifted(["", "7", '{"custom_id": 1}'], 10)["unreadable"] == 2
