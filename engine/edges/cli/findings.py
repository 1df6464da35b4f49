"""What one check of `stanch doctor` found, and how a check is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.domain.canonical import JsonObject
from engine.domain.errors import StanchError
from engine.edges.problems import SEE_DOCTOR, problem_of


@dataclass(frozen=True)
class Finding:
    """One check's result; `mend` says what to do where it failed."""

    name: str
    ok: bool
    message: str = ""
    mend: str = ""

    def as_json(self) -> JsonObject:
        return {"name": self.name, "ok": self.ok, "message": self.message, "mend": self.mend}


def attempt(name: str, work: Callable[[], str], mend: str = "") -> Finding:
    """Run one check; whatever it raises is its finding.

    Args:
        mend: how to mend it, where the error itself does not say.
    """
    try:
        return Finding(name, True, work())
    except StanchError as error:
        problem = problem_of(error)
        hint = "" if problem.hint == SEE_DOCTOR else problem.hint  # this is the doctor
        return Finding(name, False, problem.message, hint or mend)
    except Exception as error:  # noqa: BLE001  a client library may raise anything; the others go on
        return Finding(name, False, f"{type(error).__name__}: {error}", mend)
