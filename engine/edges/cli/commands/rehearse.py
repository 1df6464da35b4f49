"""`stanch rehearse`: playbooks tried out on a laptop, in seconds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from engine.domain.canonical import JsonObject
from engine.edges.cli.session import Session, session_of
from engine.edges.problems import FAILED, OK

if TYPE_CHECKING:
    from engine.edges.rehearsal.stage import Ground
    from engine.language.rehearsalreading import Rehearsal

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
    from engine.edges.cli.render.rehearsals import rehearsed
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
        _plant(session, ground, found, paths or config.playbooks, jobs)
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
    session.show(data, lambda _: rehearsed(results))
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


def _plant(
    session: Session,
    ground: Ground,
    found: list[Rehearsal],
    paths: list[Path],
    jobs: int | None,
) -> None:
    """Plant every fault below the paths and tell which went unnoticed."""
    from functools import partial

    from engine.edges.cli.render.rehearsals import planted
    from engine.edges.rehearsal import planting, suite
    from engine.edges.rehearsal.sidebyside import side_by_side

    listed = planting.find_mutations(paths)
    with suite.prepared(ground, found) as service:
        tasks = [partial(planting.plant, ground, one, found, service) for one in listed]
        results = list(_watched(session, side_by_side(tasks, jobs), len(listed)))
    missed = [one for one in results if not one.ok]
    data: JsonObject = {
        "ok": not missed,
        "mutations": len(results),
        "unnoticed": len(missed),
        "results": [one.as_json() for one in results],
    }
    session.show(data, lambda _: planted(results))
    raise typer.Exit(FAILED if missed or not results else OK)


def _disturb(session: Session, ground: Ground, found: list[Rehearsal], jobs: int | None) -> None:
    """Play every rehearsal under chaos and tell where the end differs."""
    from engine.edges.cli.render.rehearsals import disturbed
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
    session.show(data, lambda _: disturbed(results))
    raise typer.Exit(FAILED if bad or not results else OK)


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
