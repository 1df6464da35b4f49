"""`stanch rehearse` for a terminal: what was played, planted, and disturbed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from engine.edges.rehearsal.chaos import Chaos
    from engine.edges.rehearsal.planting import Planted
    from engine.edges.rehearsal.suite import Result

_MOST = 5  # differing ends that are shown


def rehearsed(results: Sequence[Result]) -> Text:
    """Tell which rehearsals passed, and of each that did not what was expected, seen, and what happened."""
    if not results:
        return Text("no rehearsals were found; docs/rehearsals.md shows how to write one")
    text = Text()
    for one in results:
        text.append("ok    " if one.ok else "FAIL  ", style="green" if one.ok else "bold red")
        text.append(one.name)
        text.append(f"  {one.place}  {one.seconds * 1000:.0f} ms\n", style="dim")
        if not one.ok:
            _append_failure(text, one)
    failed = sum(not one.ok for one in results)
    spent = sum(one.seconds for one in results)
    number = "1 rehearsal" if len(results) == 1 else f"{len(results)} rehearsals"
    text.append(f"{number}, {failed} failed, {spent:.1f} s of work")
    return text


def _append_failure(text: Text, one: Result) -> None:
    if one.error:
        text.append(f"      it cannot be played: {one.error}\n")
    for miss in one.misses:
        text.append(f"  {miss.place}: {miss.what}\n", style="bold")
        text.append(f"      expected  {miss.expected}\n      seen      {miss.seen}\n")
    if one.timeline:
        text.append("  what happened:\n", style="dim")
        for line in one.timeline:
            text.append(f"      {line}\n", style="dim")


def planted(results: Sequence[Planted]) -> Text:
    """Tell which planted faults the rehearsals noticed."""
    text = Text()
    for one in results:
        text.append("ok    " if one.ok else "FAIL  ", style="green" if one.ok else "bold red")
        text.append(one.name)
        text.append(f"  {one.place}\n", style="dim")
        for name in one.unnoticed:
            text.append(f"      unnoticed by: {name}\n")
        if one.error:
            text.append(f"      {one.error}\n")
    text.append(f"{len(results)} faults planted, {sum(not one.ok for one in results)} unnoticed")
    return text


def disturbed(results: Sequence[Chaos]) -> Text:
    """Tell what each rehearsal came to under chaos, and where its end differed."""
    text = Text()
    for one in results:
        text.append("ok    " if one.ok else "FAIL  ", style="green" if one.ok else "bold red")
        text.append(one.name)
        played = one.same + one.honest + len(one.differing)
        text.append(
            f"  {one.place}  {played} times: {one.same} the same, {one.honest} stopped for a person, "
            f"{len(one.differing)} differ, {one.seconds:.1f} s\n",
            style="dim",
        )
        if one.end.error:
            text.append(f"      it cannot be played: {one.end.error}\n")
        if one.refused:
            text.append(
                f"      {played - one.branched} of them were played from the beginning, which takes longer: "
                f"no process could be forked ({one.refused})\n"
            )
        for outcome in one.differing[:_MOST]:
            text.append(f"      {outcome.trouble}: {outcome.why}\n")
        if len(one.differing) > _MOST:
            text.append(f"      … and {len(one.differing) - _MOST} more\n")
    return text
