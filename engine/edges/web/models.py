"""What the API accepts. Unknown names are errors; every field says what it is for."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PlanBody(Body):
    """Which plan to preview."""

    playbook: str | None = Field(
        default=None,
        description="The playbook's name; left out, the rule that the alert matches says which.",
        examples=["etl/failure-spike"],
    )
    inputs: dict[str, Any] = Field(
        default={},
        description="The playbook's inputs; defaults are filled in.",
        examples=[{"namespace": "starforge"}],
    )
    alert: str | dict[str, Any] | None = Field(
        default=None,
        description="A stored alert's id, or an alert with `labels` and `annotations`, as Alertmanager "
        "sends one.",
        examples=[{"labels": {"alertname": "StarforgeETLFailureRateHigh"}}],
    )
    save: bool = Field(
        default=False,
        description="Answer also with `saved`, the content of a plan file that a run can be started from.",
    )


class StartBody(Body):
    """Which run to start."""

    playbook: str | None = Field(
        default=None,
        description="The playbook's name; left out, the rule that takes the alert says which, and its "
        "mode and priority hold.",
        examples=["etl/failure-spike"],
    )
    inputs: dict[str, Any] = Field(
        default={},
        description="The playbook's inputs; defaults are filled in.",
        examples=[{"namespace": "starforge"}],
    )
    alert: str | None = Field(default=None, description="The whole id of a stored alert.")

    mode: Literal["auto", "approve", "dry_run"] = Field(
        default="approve",
        description="`approve` puts a gate before the first change; `dry_run` plans and ends; `auto` "
        "skips that gate only, and needs an approver's role.",
    )
    priority: int = Field(default=5, ge=0, le=9, description="0 to 9, higher first; P0 is 9.")
    plan: dict[str, Any] | None = Field(
        default=None,
        description="The content of a plan file, instead of playbook, inputs and alert: refused where what "
        "would be done now is something else.",
    )


class ReasonBody(Body):
    """Why."""

    reason: str = Field(
        default="",
        max_length=2000,
        description="Told in the journal.",
        examples=["wrong namespace"],
    )


class PauseBody(Body):
    reason: str = Field(
        min_length=1,
        max_length=2000,
        description="Why; everybody who meets the brake reads it.",
        examples=["Sportradar is down, repairs make it worse"],
    )


class SwitchBody(PauseBody):
    let_undo: bool = Field(default=False, description="Undoing goes on all the same.")


class WhyBody(Body):
    reason: str = Field(
        min_length=1, max_length=2000, description="Why; others read it.", examples=["by hand"]
    )


class NoteBody(Body):
    note: str = Field(min_length=1, max_length=4000, description="What was done meanwhile.")


class PreemptBody(WhyBody):
    how: Literal["hand_over", "undo"] = Field(
        default="hand_over",
        description="`hand_over`: the holder is held and lets go of its locks; `undo`: its changes are "
        "undone first.",
    )


class ChooseBody(Body):
    fingerprint: str = Field(
        min_length=16, max_length=64, description="The fingerprint of the plan that you saw."
    )
    only: dict[str, list[str]] = Field(
        default={},
        description="By step address, the keys of the items to do; the others are skipped.",
        examples=[{"each": ["a", "b"]}],
    )
    without: dict[str, list[str]] = Field(
        default={}, description="By step address, the keys of the items to leave out."
    )
    reason: str = Field(default="", max_length=2000, description="Told at each item left out.")


class GlassBody(WhyBody):
    fingerprint: str = Field(
        min_length=16, max_length=64, description="The fingerprint of the plan that you saw."
    )


class DelegateBody(Body):
    role: str = Field(description="A role that you hold.", examples=["sre"])
    to: str = Field(description="Who is to hold it too.", examples=["bob"])
    seconds: float = Field(gt=0, le=14 * 86_400, description="For how long.", examples=[28800])
    reason: str = Field(default="", max_length=2000, description="Why.")


class RearmBody(WhyBody):
    name: str = Field(
        description="`breaker:PLAYBOOK`, `cooldown:PLAYBOOK`, `cooldown:rule:RULE` or "
        "`budget:SCOPE:UNIT`.",
        examples=["breaker:etl/failure-spike"],
    )


class BrakesAnswer(BaseModel):
    """All brakes in one view."""

    items: list[dict[str, Any]] = Field(description="Every brake that was set, and by whom.")
    budgets: list[dict[str, Any]] = Field(description="Used and limit, by scope and unit.")
    locks: list[dict[str, Any]] = Field(description="Targets, who holds them, who waits.")
    places: list[dict[str, Any]] = Field(description="Runs of a playbook at a time.")
    windows: list[dict[str, Any]] = Field(description="Maintenance windows, open or next.")
    held: list[dict[str, Any]] = Field(description="Runs that are held, and why.")
    delegations: list[dict[str, Any]] = Field(description="Roles that are lent now.")
    pages: list[dict[str, Any]] = Field(description="What nobody has seen yet.")
    next: str | None = None


class UndoBody(Body):
    steps: list[str] = Field(
        default=[], description="Addresses of the steps to undo; empty: all, newest first."
    )
    override: str = Field(
        default="",
        max_length=2000,
        description="Why what others changed since is restored as well; empty: that is refused.",
        examples=["the autoscaler's change goes, too"],
    )


class RecoverBody(Body):
    step: str | None = Field(
        default=None,
        description="The foreach whose failed items are recovered; needed where several have some.",
        examples=["documents"],
    )


class DoneBody(Body):
    address: str = Field(description="The manual step's address.", examples=["tell_support"])
    note: str = Field(max_length=4000, description="What was done or found.")


class ApproveBody(Body):
    fingerprint: str = Field(
        min_length=16,
        max_length=64,
        description="The fingerprint of the plan that you saw, whole or at least its first 16 "
        "characters: the approval counts for that plan alone.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    comment: str = Field(default="", max_length=4000, description="For the others and the record.")


class RejectBody(Body):
    comment: str = Field(default="", max_length=4000, description="Why not.")


class TokenBody(Body):
    name: str = Field(description="Whose token: the name that approvals carry.", examples=["alice"])
    roles: list[str] = Field(
        default=[],
        description="viewer, operator, admin or an approver's role; empty: the roles that the "
        "configuration gives to this name.",
        examples=[["operator", "sre"]],
    )
    expires_at: datetime | None = Field(
        default=None, description="RFC 3339 with a zone.", examples=["2027-01-01T00:00:00Z"]
    )


class ErrorBody(BaseModel):
    code: str = Field(examples=["not_found"])
    message: str = Field(examples=["no run is called 'run-x'"])
    hint: str = Field(examples=["near: run-01hq3v7x5k2m9n4p"])
    missing_role: str | None = Field(default=None, description="With code `refused`: who could.")
    near: list[str] | None = Field(default=None, description="With code `not_found`.")

    model_config = ConfigDict(extra="allow")


class ErrorAnswer(BaseModel):
    """Every answer that is not 2xx."""

    error: ErrorBody


class ListAnswer(BaseModel):
    """Newest first. `next`, given as `before`, lists the page after this one; null: this is the last."""

    items: list[dict[str, Any]]
    next: str | None = None
