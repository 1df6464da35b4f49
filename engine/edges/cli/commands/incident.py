"""Commands about incidents and calls: ack, oncall, pages, and `stanch incident …`."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.edges.cli.session import session_of

Ref = Annotated[str, typer.Argument(metavar="INCIDENT", help="Its id, or a unique part of it.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; others read it.")]
MaybeReason = Annotated[str, typer.Option("--reason", "-m", help="For the record.")]


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    for name, function in (
        ("ack", ack),
        ("oncall", oncall),
        ("pages", pages),
        ("postmortem", postmortem),
    ):
        app.command(name, epilog=epilog, rich_help_panel="Incidents")(function)
    group = typer.Typer(
        name="incident",
        help="Change an incident: notes, severity, roles, artifacts, merging, its end.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    verbs: tuple[tuple[str, Callable[..., None]], ...] = (
        ("note", note),
        ("artifact", artifact),
        ("download", download),
        ("severity", severity),
        ("title", title),
        ("commander", commander),
        ("role", role),
        ("merge", merge),
        ("escalate", escalate),
        ("resolve", resolve),
        ("close", close),
        ("reopen", reopen),
    )
    for verb, does in verbs:
        group.command(verb, epilog=epilog)(does)
    app.add_typer(group, name="incident", rich_help_panel="Incidents")


def _act(context: typer.Context, incident: str, verb: str, **body: Any) -> None:
    session = session_of(context)
    with session.backend() as backend:
        session.show(backend.on_incident(incident, verb, **body), _shown)


def _shown(item: JsonObject) -> object:
    from engine.edges.cli.render import incident as render

    return render.page(item) if "subject" in item else render.incident(item)


def ack(
    context: typer.Context,
    target: Annotated[
        str, typer.Argument(metavar="ID", help="An incident, a page, or a run that needs a person.")
    ],
    note: Annotated[str, typer.Option("--note", "-m", help="What you will do.")] = "",
) -> None:
    """Say that you look: nobody else is called.

    \b
    Examples:
      stanch ack 9n4p --note "looking at the pool"
    """
    session = session_of(context)
    with session.backend() as backend:
        session.show(backend.acknowledge(target, note), _shown)


def oncall(context: typer.Context) -> None:
    """Show who is on call now and next, and whom each chain calls.

    \b
    Examples:
      stanch oncall
    """
    from engine.edges.cli.render import incident as render

    session = session_of(context)
    with session.backend() as backend:
        session.show(backend.on_call(), render.on_call)


def pages(
    context: typer.Context,
    over: Annotated[bool, typer.Option("--all", help="Those that are over too.")] = False,
) -> None:
    """List calls to people, and who has seen them.

    \b
    Examples:
      stanch pages
    """
    from engine.edges.cli.render import incident as render

    session = session_of(context)
    with session.backend() as backend:
        session.show(backend.pages(over=over), lambda data: render.pages(data["items"]))


def postmortem(
    context: typer.Context,
    incident: Ref,
    format_: Annotated[str, typer.Option("--format", help="md or html.")] = "md",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Write it there, charts beside it; what people wrote stays."
        ),
    ] = None,
    template: Annotated[
        str, typer.Option("--template", help="postmortem, batch-report, or your own.")
    ] = "postmortem",
    publish: Annotated[bool, typer.Option("--publish", help="It is done: reminders end.")] = False,
) -> None:
    """Write an incident's postmortem from the journal.

    Run it again whenever you like: what people wrote into their blocks of --out is taken in and kept.

    \b
    Examples:
      stanch postmortem 9n4p --out postmortem.md
      stanch postmortem 9n4p --format html --out postmortem.html
    """
    from engine.edges.cli.documents import given_by, write_document

    session = session_of(context)
    given = given_by(out) if out is not None and format_ == "md" else None
    with session.backend() as backend:
        answer = backend.postmortem(
            incident, format_=format_, template=template, given=given, publish=publish
        )
    if out is None:
        session.show(answer, lambda item: str(item["text"]))
    else:
        written = write_document(out, answer)
        session.show({**answer, "out": str(out)}, lambda _: written)
    if answer["conflicts"]:
        raise InvalidInput(
            f"others changed these blocks meanwhile: {', '.join(answer['conflicts'])}; both texts stand "
            "in the document, nothing of them is stored: settle them and run it again"
        )


def note(
    context: typer.Context,
    incident: Ref,
    text: Annotated[str, typer.Argument(help="The note; - reads it from the standard input.")],
) -> None:
    """Write a note into an incident's timeline.

    \b
    Examples:
      stanch incident note 9n4p "pool is full since 03:10"
    """
    _act(context, incident, "note", note=_stdin() if text == "-" else text)


def _stdin() -> str:
    import sys

    return sys.stdin.read()


def artifact(
    context: typer.Context,
    incident: Ref,
    file: Annotated[Path, typer.Argument(help="The file to attach.")],
    name: Annotated[str | None, typer.Option("--name", help="Default: the file's own.")] = None,
    content_type: Annotated[
        str | None, typer.Option("--type", help="Default: by the name's ending.")
    ] = None,
) -> None:
    """Attach a file to an incident.

    \b
    Examples:
      stanch incident artifact 9n4p errors.csv
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error
    guessed = content_type or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    _act(
        context,
        incident,
        "artifact",
        name=name or file.name,
        content_type=guessed,
        content=base64.b64encode(content).decode(),
        reference=None,
    )


def download(
    context: typer.Context,
    incident: Ref,
    name: Annotated[str, typer.Argument(help="The artifact's name or id.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write it.")],
) -> None:
    """Write an incident's artifact to a file.

    \b
    Examples:
      stanch incident download 9n4p errors.csv --out errors.csv
    """
    session = session_of(context)
    with session.backend() as backend:
        item, content = backend.artifact(incident, name)
    if content is None:
        where = item["reference"]
        raise InvalidInput(
            f"{item['name']} is not kept here: it lies on connection {where['connection']} as "
            f"{where['name']}"
        )
    try:
        out.write_bytes(content)
    except OSError as error:
        raise InvalidInput(f"{out} cannot be written: {error.strerror}") from error
    session.show({**item, "out": str(out)}, lambda _: f"{item['name']}: {len(content)} bytes")


def severity(
    context: typer.Context,
    incident: Ref,
    to: Annotated[str, typer.Argument(metavar="SEVERITY", help="P0, P1 or P2.")],
    reason: Reason,
) -> None:
    """Change how bad it is, with a reason.

    \b
    Examples:
      stanch incident severity 9n4p P0 --reason "customers see it"
    """
    _act(context, incident, "severity", severity=to, reason=reason)


def title(
    context: typer.Context,
    incident: Ref,
    text: Annotated[str, typer.Argument(metavar="TITLE", help="One line.")],
    reason: MaybeReason = "",
) -> None:
    """Change an incident's title.

    \b
    Examples:
      stanch incident title 9n4p "ETL stands: schema v7"
    """
    _act(context, incident, "title", title=text, reason=reason)


Person = Annotated[str, typer.Argument(metavar="PERSON", help="Their name.")]


def commander(
    context: typer.Context, incident: Ref, person: Person, reason: MaybeReason = ""
) -> None:
    """Say who commands the incident, or hand that over.

    \b
    Examples:
      stanch incident commander 9n4p alice
    """
    _act(context, incident, "role", role="commander", person=person, note=reason)


def role(
    context: typer.Context,
    incident: Ref,
    name: Annotated[
        str, typer.Argument(metavar="ROLE", help="commander, communications, scribe, operations.")
    ],
    person: Person,
    reason: MaybeReason = "",
) -> None:
    """Give a role in the incident to a person.

    \b
    Examples:
      stanch incident role 9n4p communications bob
    """
    _act(context, incident, "role", role=name, person=person, note=reason)


def merge(
    context: typer.Context,
    incident: Ref,
    into: Annotated[str, typer.Argument(metavar="INTO", help="The incident that stays.")],
    reason: Reason,
) -> None:
    """Merge an incident into another: the same story, told once.

    \b
    Examples:
      stanch incident merge 9n4p 7k2m --reason "same pool"
    """
    _act(context, incident, "merge", into=into, reason=reason)


def escalate(
    context: typer.Context,
    incident: Ref,
    reason: Reason,
    level: Annotated[str, typer.Option("--level", help="warning, critical, emergency.")] = (
        "critical"
    ),
    chain: Annotated[str | None, typer.Option("--chain", help="Default: the level's.")] = None,
) -> None:
    """Call people about an incident now.

    \b
    Examples:
      stanch incident escalate 9n4p --level emergency --reason "data is being lost"
    """
    _act(context, incident, "escalate", level=level, reason=reason, chain=chain)


def resolve(context: typer.Context, incident: Ref, reason: Reason) -> None:
    """Say that an incident is over.

    \b
    Examples:
      stanch incident resolve 9n4p --reason "upstream fixed it"
    """
    _act(context, incident, "resolve", reason=reason)


def close(context: typer.Context, incident: Ref, reason: MaybeReason = "") -> None:
    """Close an incident: alerts that come later start afresh.

    \b
    Examples:
      stanch incident close 9n4p --reason "known, ticket 4711"
    """
    _act(context, incident, "close", reason=reason)


def reopen(context: typer.Context, incident: Ref, reason: Reason) -> None:
    """Reopen an incident that was over.

    \b
    Examples:
      stanch incident reopen 9n4p --reason "it is back"
    """
    _act(context, incident, "reopen", reason=reason)
