"""`stanch rehearse`: playbooks tried out on a laptop, in seconds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from engine.domain.canonical import JsonObject
from engine.edges.cli.session import Session, session_of
from engine.edges.problems import FAILED, OK

if TYPE_CHECKING:
    from engine.edges.rehearsal.chaos import Chaos
    from engine.edges.rehearsal.planting import Planted
    from engine.edges.rehearsal.stage import Ground
    from engine.edges.rehearsal.suite import Result
    from engine.language.rehearsalreading import Rehearsal

_MOST = 5  # differing ends that are shown
R = TypeVar("R")


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    app.command("rehearse", epilog=epilog, rich_help_panel="Write")(rehearse)


def rehearse(  # noqa: PLR0917  the command's own options
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATHS]...", help="Files or folders; left out, the configuration's playbooks."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("-k", metavar="WORDS", help="Only those with these words.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Processes side by side; one a core.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write the results as JUnit XML, for CI.")
    ] = None,
    mutations: Annotated[
        bool,
        typer.Option(
            "--mutations", help="Plant the listed faults; the rehearsals named for them must fail."
        ),
    ] = False,
    chaos: Annotated[
        bool,
        typer.Option(
            "--chaos",
            help="Let the engine die at every write and effect, and every call fail, one at a time.",
        ),
    ] = False,
    covers: Annotated[
        bool, typer.Option("--covers", help="Only list which rehearsals show which rows.")
    ] = False,
    watching: Annotated[
        bool, typer.Option("--watch", help="Again after every change; Ctrl-C ends it.")
    ] = False,
) -> None:
    """Play rehearsals: the engine as it is, a world that is played, hours in milliseconds.

    Rehearsals are files NAME.rehearsal.yaml beside the playbooks (docs/rehearsals.md).

    \b
    Examples:
      stanch rehearse playbooks/etl
      stanch rehearse -k "worker dies" --jobs 1
      stanch rehearse --junit report.xml
      stanch rehearse --chaos playbooks/etl/re-enable.rehearsal.yaml
    """
    from engine.edges.rehearsal import suite

    session = session_of(context)
    if watching:
        from engine.edges.cli.watching import keep_at_it

        def again() -> None:
            rehearse(context, paths, name, jobs, junit, mutations, chaos, covers)

        raise typer.Exit(keep_at_it(session, paths, again))
    config = session.configuration()
    found = suite.find(paths or config.playbooks, name)
    if covers:
        session.show(_index(found), _index_table)
        raise typer.Exit(OK)
    ground = suite.lay_ground(config)
    _hold_to_check(session, ground, found)
    if mutations:
        _plant(session, ground, found, paths or config.playbooks)
    if chaos:
        _disturb(session, ground, found, jobs)
    results = list(_watched(session, suite.play_all(ground, found, jobs=jobs), len(found)))
    if junit is not None:
        from engine.edges.rehearsal.junit import written

        junit.write_text(written(results), encoding="utf-8")
    failed = [one for one in results if not one.ok]
    data: JsonObject = {
        "ok": not failed,
        "rehearsals": len(results),
        "failed": len(failed),
        "results": [one.as_json() for one in results],
    }
    session.show(data, lambda _: _summary(results))
    raise typer.Exit(FAILED if failed or not results else OK)


def _hold_to_check(session: Session, ground: Ground, found: list[Rehearsal]) -> None:
    """Refuse rehearsals in which `stanch check` finds mistakes: they would miss for the wrong reason."""
    from engine.edges.checking import check_files
    from engine.language.diagnostics import InvalidProject

    files = list(dict.fromkeys(one.path for one in found))
    if not files:
        return
    diagnostics = check_files(files, config_path=session.config, registry=ground.registry)
    wrong = [one for one in diagnostics if one.is_error]
    if wrong:
        raise InvalidProject(wrong)


def _plant(session: Session, ground: Ground, found: list[Rehearsal], paths: list[Path]) -> None:
    """Plant every fault below the paths and tell which went unnoticed."""
    from functools import partial

    from engine.edges.rehearsal import planting, suite
    from engine.edges.rehearsal.sidebyside import side_by_side

    listed = planting.find_mutations(paths)
    with suite.prepared(ground, found) as service:
        tasks = [partial(planting.plant, ground, one, found, service) for one in listed]
        results = list(_watched(session, side_by_side(tasks), len(listed)))
    missed = [one for one in results if not one.ok]
    data: JsonObject = {
        "ok": not missed,
        "mutations": len(results),
        "unnoticed": len(missed),
        "results": [one.as_json() for one in results],
    }
    session.show(data, lambda _: _planted(results))
    raise typer.Exit(FAILED if missed or not results else OK)


def _disturb(session: Session, ground: Ground, found: list[Rehearsal], jobs: int | None) -> None:
    """Play every rehearsal under chaos and tell where the end differs."""
    from engine.edges.rehearsal import suite
    from engine.edges.rehearsal.chaos import disturb

    with suite.prepared(ground, found) as service:
        results = list(_watched(session, disturb(ground, found, service, jobs), len(found)))
    bad = [one for one in results if not one.ok]
    data: JsonObject = {
        "ok": not bad,
        "rehearsals": len(results),
        "results": [one.as_json() for one in results],
    }
    session.show(data, lambda _: _disturbed(results))
    raise typer.Exit(FAILED if bad or not results else OK)


def _disturbed(results: list[Chaos]) -> Any:
    from rich.text import Text

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
        for outcome in one.differing[:_MOST]:
            text.append(f"      {outcome.trouble}: {outcome.why}\n")
        if len(one.differing) > _MOST:
            text.append(f"      … and {len(one.differing) - _MOST} more\n")
    return text


def _planted(results: list[Planted]) -> Any:
    from rich.text import Text

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


def _watched(session: Session, results: Iterable[R], number: int) -> Iterable[R]:
    """Pass the results on, with a bar on a terminal."""
    if session.as_json or not session.is_terminal:
        yield from results
        return
    from rich.progress import Progress

    with Progress(console=session.console(error=True), transient=True) as progress:
        task = progress.add_task("rehearsing", total=number)
        for result in results:
            progress.advance(task)
            yield result


def _summary(results: list[Result]) -> Any:
    from rich.text import Text

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


def _append_failure(text: Any, one: Result) -> None:
    if one.error:
        text.append(f"      it cannot be played: {one.error}\n")
    for miss in one.misses:
        text.append(f"  {miss.place}: {miss.what}\n", style="bold")
        text.append(f"      expected  {miss.expected}\n      seen      {miss.seen}\n")
    if one.timeline:
        text.append("  what happened:\n", style="dim")
        for line in one.timeline:
            text.append(f"      {line}\n", style="dim")


def _index(rehearsals: list[Rehearsal]) -> JsonObject:
    rows: dict[str, list[JsonObject]] = {}
    for one in rehearsals:
        entry = {"rehearsal": one.name, "place": one.place}
        for row in one.form.covers if one.form is not None else ():
            rows.setdefault(row, []).append(entry)
    return {"rows": {row: rows[row] for row in sorted(rows, key=_natural)}}


def _natural(row: str) -> tuple[str, int, str]:
    letters = row.rstrip("0123456789")
    digits = row[len(letters) :]
    return letters, int(digits or 0), row


def _index_table(data: JsonObject) -> object:
    from engine.edges.cli.render.style import table

    rows = [
        (row, one["rehearsal"], one["place"])
        for row, found in data["rows"].items()
        for one in found
    ]
    return table(("ROW", "REHEARSAL", "PLACE"), rows)
