"""Before-images, read for an undo, which without them would restore nothing and call it done."""

from __future__ import annotations

from engine.domain.canonical import Json, digest
from engine.domain.errors import InvalidInput
from engine.planning.progress import ChangeState
from engine.running.services import Services


def before_image(services: Services, run_id: str, change: ChangeState) -> Json:
    """Return the before-image of a change, or None where it was made without one.

    Raises:
        InvalidInput: it was taken and is no longer kept, cannot be read, or is not what was journalled.
    """
    image = services.store.read(lambda tx: tx.blobs.image(run_id, change.key))
    if change.image is None:
        return image
    if image is None:
        raise InvalidInput(
            "its before-image is no longer kept (retention.images in the configuration says how long it "
            "is), so it cannot be undone; the plan of the run still says what was changed"
        )
    if digest(image) != change.image:
        raise InvalidInput(
            "its before-image is not the one that the journal names, so it is not restored; somebody "
            "changed the database: see `stanch audit verify`"
        )
    return image
