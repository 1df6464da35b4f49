"""Holds the net differences of a rehearsal's worlds against those that it expects: exactly these, no others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from engine.domain.canonical import Json
from engine.domain.rehearsed import NetChange
from engine.language.rehearsalforms import ChangeForm

ANY = "*"  # stands for any value

Difference = tuple[int | None, str, str, str]  # index of the expectation, what, expected, seen


def judge_changes(
    expected: Sequence[ChangeForm], seen: Sequence[tuple[str, NetChange]]
) -> Iterator[Difference]:
    """Yield every expected difference that is not there, and every one that is there unexpected."""
    left = list(seen)
    for index, form in enumerate(expected):
        same = [one for one in left if _is_target(form, one)]
        fitting = [one for one in same if why_not(form, one[1]) is None]
        wanted, counted = _count(form)
        got = sum(one[1].count for one in fitting) if counted else len(fitting)
        if fitting and got == wanted:
            left = [one for one in left if one not in fitting]
            continue
        left = [one for one in left if one not in same]
        yield index, f"the change of {form.target}", shown_form(form), _seen(form, same, got)
    for connection, change in left:
        yield None, f"a change of {connection}:{change.target}", "none", shown(change)


def _seen(form: ChangeForm, same: Sequence[tuple[str, NetChange]], got: int) -> str:
    if not same:
        return "nothing of it changed"
    reasons = [why for _, change in same if (why := why_not(form, change)) is not None]
    if reasons:
        return "; ".join(reasons[:3])
    return f"{got} of them: " + "; ".join(shown(change) for _, change in same[:3])


def _is_target(form: ChangeForm, one: tuple[str, NetChange]) -> bool:
    connection, change = one
    if form.connection is not None and form.connection != connection:
        return False
    return change.target == form.target or (
        "*" in form.target and fnmatchcase(change.target, form.target)
    )


def _count(form: ChangeForm) -> tuple[int, bool]:
    """How many there must be, and whether rows and requests are counted rather than targets."""
    if form.rows is not None:
        return form.rows, True
    if form.requests is not None:
        return form.requests, True
    for flag in (form.created, form.deleted):
        if not isinstance(flag, bool):
            return flag, True
    return 1, False


def why_not(form: ChangeForm, change: NetChange) -> str | None:
    """Return why a difference is not the expected one, or None where it is."""
    kind = (
        "created"
        if form.created
        else "deleted"
        if form.deleted
        else "called"
        if form.requests is not None
        else "changed"
    )
    if change.what != kind:
        return f"{change.target} was {change.what}, not {kind}"
    taken: set[str] = set()
    for name, value in form.set.items():
        paths = [path for path in change.fields if path == name or path.endswith(f".{name}")]
        if name in change.fields:
            paths = [name]
        if not paths:
            return f"{name} did not change; changed: {', '.join(change.fields) or 'no field'}"
        if len(paths) > 1:
            return f"{name} may be {' or '.join(paths)}; write more of the path"
        taken.add(paths[0])
        if (reason := _value(name, value, change.fields[paths[0]])) is not None:
            return reason
    if change.what == "changed" and (rest := set(change.fields) - taken):
        return "; ".join(
            f"{path} changed too: {change.fields[path][0]!r} -> {change.fields[path][1]!r}"
            for path in sorted(rest)
        )
    return None


def _value(name: str, wanted: Any, got: tuple[Json, Json]) -> str | None:
    """Compare `[before, after]`; a value alone is the after."""
    pair = wanted if isinstance(wanted, list) and len(wanted) == 2 else [ANY, wanted]
    fits = all(want in (ANY, one) or want == one for want, one in zip(pair, got, strict=True))
    return None if fits else f"{name}: {got[0]!r} -> {got[1]!r}"


def shown_form(form: ChangeForm) -> str:
    """Return an expected difference on one line."""
    if form.created or form.deleted:
        flag = form.created or form.deleted
        word = "created" if form.created else "deleted"
        return word if flag is True else f"{flag} {word}"
    if form.requests is not None:
        return f"{form.requests} requests"
    sets = ", ".join(f"{name}: {value}" for name, value in form.set.items())
    return (f"{form.rows} rows: " if form.rows is not None else "") + (sets or "changed")


def shown(change: NetChange) -> str:
    """Return a difference on one line."""
    fields = ", ".join(f"{path}: {old!r} -> {new!r}" for path, (old, new) in change.fields.items())
    number = f" {change.count} times" if change.count > 1 else ""
    return f"{change.what}{number}" + (f": {fields}" if fields else "")
