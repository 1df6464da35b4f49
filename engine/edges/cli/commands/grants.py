"""`stanch grants`: the rights that the loaded playbooks need, as an administrator applies them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput, NotFound
from engine.edges.cli.session import session_of
from engine.edges.desk.inputs import typed


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    app.command("grants", epilog=epilog, rich_help_panel="Write")(grants)


def grants(
    context: typer.Context,
    playbooks: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PLAYBOOK]...", help="Left out, all playbooks and rules."),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", help="One input as name=value; repeat it."),
    ] = None,
    connection: Annotated[
        list[str] | None, typer.Option("--connection", "-c", help="Of this connection alone.")
    ] = None,
    user: Annotated[
        str,
        typer.Option(
            "--user", help="Who gets them: a user, a role, system:serviceaccount:NAMESPACE:NAME."
        ),
    ] = "stanch",
) -> None:
    """Print the exact rights that playbooks need: Roles, IAM policies, GRANT statements, paths.

    A right that depends on what only a run knows (an alert's label, an earlier output) is told on stderr;
    --input settles those that depend on inputs. With one -c the output can be applied as it is.

    \b
    Examples:
      stanch grants
      stanch grants etl/failure-spike -c cluster --user system:serviceaccount:stanch:stanch
      stanch grants etl/failure-spike -c starforge | psql
    """
    session = session_of(context)
    application = session.application()
    try:
        data = needed(application, playbooks or [], given or [], connection or [], user)
    finally:
        application.stop()
    if session.as_json:
        session.show(data, str)
        return
    for item in data["items"]:
        if len(connection or ()) != 1:  # of one alone the output can be applied as it is
            session.tell(f"# connection {item['connection']} ({item['kind']})")
        session.tell(item["text"])
    if notes := _notes(data):
        session.warn(notes)


def needed(
    application: Any,
    playbooks: list[str],
    given: list[str],
    connections: list[str],
    user: str,
) -> JsonObject:
    """Return the rights as data: by connection with the text to apply, the open ones, the undetermined.

    Raises:
        InvalidProject: rules or playbooks have mistakes. NotFound: no such playbook, connection or input.
    """
    from engine.planning.grants import Need, grants_needed

    project, world = application.project, application.world
    _known("playbook", playbooks, project.playbooks)
    _known("connection", connections, world.names)
    chosen = [project.playbooks[name] for name in playbooks or project.playbooks]
    rules = [rule for rule in project.rules if not playbooks or rule.playbook in playbooks]
    inputs = _inputs(given, chosen)
    found = grants_needed(chosen, rules, application.registry, world.names, inputs)

    def line(need: Need) -> JsonObject:
        return {
            "connection": need.grant.connection,
            "kind": need.grant.kind,
            "detail": need.grant.detail,
            "by": need.owner,
            "step": need.step,
            "action": need.action,
            "open": list(need.open),
            "assumed": list(need.assumed),
        }

    wanted = [one for one in found.needs if not connections or one.grant.connection in connections]
    settled = [one for one in wanted if not one.open]
    items = []
    for name in sorted({one.grant.connection for one in settled}):
        its = [one for one in settled if one.grant.connection == name]
        text = world.grant_text(name, [one.grant for one in its], user)
        kind = world.names[name]
        needs = [line(one) for one in its]
        items.append({"connection": name, "kind": kind, "text": text, "needs": needs})
    return {
        "items": items,
        "open": [line(one) for one in wanted if one.open],
        "undetermined": [dict(vars(one)) for one in found.undetermined],
    }


def _known(what: str, names: list[str], there: Any) -> None:
    for name in names:
        if name not in there:
            raise NotFound(f"there is no {what} {name!r}", near=tuple(sorted(there))[:5])


def _inputs(given: list[str], programs: list[Any]) -> JsonObject:
    schemas: JsonObject = {}
    for program in programs:
        schemas |= program.inputs.get("properties", {})
    values: JsonObject = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals:
            raise InvalidInput(f"--input {one!r}: write name=value")
        _known("input", [name], schemas)
        values[name] = typed(text, schemas[name])
    return values


def _notes(data: JsonObject) -> str:
    """Return what could not be settled, as text for people."""
    lines = []
    if data["open"]:
        lines.append(f"# {len(data['open'])} rights depend on what only a run knows:")
    for one in data["open"]:
        detail = " ".join(f"{key}={_shown(value)}" for key, value in one["detail"].items())
        where = " ".join(part for part in (one["by"], one["step"]) if part)
        lines.append(f"#   {one['connection']}: {detail}  ({where}: {one['action']})")
    if data["undetermined"]:
        lines.append("# the rights of these steps cannot be told before they run:")
    lines += [
        f"#   {one['owner']} {one['step']}: {one['action']}: {one['reason']}"
        for one in data["undetermined"]
    ]
    assumed = {(one["by"], one["step"], name) for one in _lines(data) for name in one["assumed"]}
    for owner, step, name in sorted(assumed):
        lines.append(
            f"# {owner} {step}: {name} depends on the run; its documented example was taken"
        )
    return "\n".join(lines)


def _lines(data: JsonObject) -> list[JsonObject]:
    return [*(need for item in data["items"] for need in item["needs"]), *data["open"]]


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value) or "-"
