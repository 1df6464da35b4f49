"""What stands in the way of an undo: asked of the targets before anything is restored, read-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from engine.contract.action import Change
from engine.domain.canonical import Json
from engine.domain.errors import InvalidInput
from engine.domain.plan import Planned, Receipt
from engine.planning.progress import ChangeState
from engine.running.changes import changes_of, named
from engine.running.images import before_image
from engine.running.services import Services


def wanted_changes(services: Services, run_id: str, steps: Sequence[str]) -> list[ChangeState]:
    """Return the changes of a run that are in force and that `steps` name (none: all)."""
    return [
        change
        for change in changes_of(services, run_id)
        if not change.undone and (not steps or named(change.address, steps))
    ]


def images_of(
    services: Services, run_id: str, changes: Sequence[ChangeState]
) -> tuple[Mapping[str, Json], Mapping[str, str]]:
    """Return the before-images of changes, by the key of each, and why those cannot be undone whose image is
    gone, by step address."""
    images: dict[str, Json] = {}
    lost: dict[str, str] = {}
    for change in changes:
        try:
            images[change.key] = before_image(services, run_id, change)
        except InvalidInput as error:
            lost[change.address] = str(error)
    return images, lost


def conflicts_of(
    services: Services, changes: Sequence[ChangeState], images: Mapping[str, Json]
) -> Mapping[str, Sequence[str]]:
    """Return what others changed since, by step address; steps without a conflict are left out.

    Args:
        images: as `images_of` returns them; changes whose image is gone are not asked about.

    Raises:
        ActionFailed: a target cannot be asked.
    """
    found: dict[str, Sequence[str]] = {}
    # The ways back of newer changes, which come first, each with the before-image that it restores.
    back: list[Planned] = []
    for change in reversed(changes):
        planned = Planned.from_json(services.connections.reveal(change.planned))
        if not planned.reversible or change.key not in images:
            continue
        action = services.registry.action(planned.action)
        assert isinstance(action, Change)
        image = images[change.key]
        receipt = Receipt.from_json(change.receipt, image)
        world = services.connections.world(writable=False, earlier=tuple(back))
        conflicts = action.conflicts(planned, receipt, world)
        if conflicts:
            found[change.address] = [str(services.connections.redact(text)) for text in conflicts]
        way_back = Planned(planned.action, planned.target, planned.after, planned.before)
        back.append(replace(way_back, request={"before_image": image}))
    return found
