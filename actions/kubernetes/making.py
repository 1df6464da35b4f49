"""What actions share that make one object: named from the step's key, so that twice makes one."""

from __future__ import annotations

import hashlib
from typing import ClassVar, Generic, TypeVar

from actions.kubernetes import changing
from actions.kubernetes.changing import Object
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.failures import Refused
from actions.kubernetes.fields import KEY
from actions.kubernetes.resources import Resource, built_in
from engine.contract import (
    ActionFailed,
    ActionParams,
    Applied,
    Category,
    Change,
    Confirmation,
    NotApplied,
    NotYet,
    Planned,
    Protection,
    Receipt,
    World,
    Wrong,
)
from engine.domain.canonical import JsonObject

M = TypeVar("M", bound=ActionParams)
_LONGEST = 52  # characters of a name; the names of a job's pods are longer
_POLL = 2.0


class Making(Change[M], Generic[M]):
    """Makes an object of the kind `makes` from `request.body`, its name beginning with `request.prefix`.

    `request.object` names where; the field is the kind in small letters.
    """

    protection = Protection.CONDITIONAL
    risk = "medium"
    makes: ClassVar[str]

    @property
    def field(self) -> str:
        return self.makes.lower()

    @property
    def resource(self) -> Resource:
        resource = built_in(self.makes)
        assert resource is not None
        return resource

    def try_out(
        self, client: KubernetesClient, namespace: str, prefix: str, body: JsonObject
    ) -> None:
        """Let the server check what would be made.

        Raises:
            ActionFailed: it would refuse it.
        """
        client.create(self.resource.path(namespace), named(body, prefix, "plan"), dry_run=True)

    def pending(self, planned: Planned, live: JsonObject) -> bool:
        """Whether what was made is not yet as far as the step waits for."""
        del planned, live
        return False

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        about = Object.of(planned)
        client = changing.client_of(world, about.connection)
        body = named(planned.request["body"], planned.request["prefix"], key)
        try:
            made = client.create(self.resource.path(about.namespace), body)
        except Refused as error:
            if error.reason != "AlreadyExists":
                raise
            made = client.get(self.resource, about.namespace, body["metadata"]["name"])
            if changing.stamp_of(made) != key:
                raise self._foreign(planned, made) from None
        return self._receipt(planned, made)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        about = Object.of(planned)
        client = changing.client_of(world, about.connection)
        try:
            name = name_of(planned.request["prefix"], key)
            live = client.get(self.resource, about.namespace, name)
        except Refused as error:
            if error.code != 404:
                raise
            return Wrong(f"the {self.field} is gone again") if receipt else NotApplied()
        if changing.stamp_of(live) != key:
            return Wrong(str(self._foreign(planned, live)))
        if self.pending(planned, live):
            return NotYet(_POLL)
        return Applied(receipt or self._receipt(planned, live))

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        del key  # the uid tells which one is meant
        about = Object.of(planned)
        image: JsonObject = receipt.before_image or receipt.output
        client = changing.client_of(world, about.connection)
        path = self.resource.path(about.namespace, image["name"])
        options = {"preconditions": {"uid": image["uid"]}, "propagationPolicy": "Background"}
        try:
            client.delete(path, options)
        except Refused as error:
            if error.code == 409:
                what = f"{self.field} {image['name']} was deleted and made anew by somebody else"
                raise ActionFailed(
                    Category.DATA, f"{what}; look at it", effect_possible=False
                ) from None
            if error.code != 404:
                raise
        output = {"name": image["name"]}
        return Receipt(after={self.field: None}, counts=planned.counts, output=output)

    def _receipt(self, planned: Planned, made: JsonObject) -> Receipt:
        name, uid = made["metadata"]["name"], made["metadata"]["uid"]
        return Receipt(
            after={self.field: name},
            counts=planned.counts,
            before_image={"name": name, "uid": uid},
            output={"name": name, "uid": uid},
        )

    def _foreign(self, planned: Planned, live: JsonObject) -> ActionFailed:
        name = live["metadata"]["name"]
        what = f"{planned.target}: a {self.field} named {name} is there that this step did not make"
        return ActionFailed(Category.DATA, what, effect_possible=False)


def named(body: JsonObject, prefix: str, key: str) -> JsonObject:
    """Return the object with the name and the mark that the step's key gives it."""
    metadata = body["metadata"]
    annotations = {**(metadata.get("annotations") or {}), KEY: key}
    named_so = {**metadata, "name": name_of(prefix, key), "annotations": annotations}
    return {**body, "metadata": named_so}


def name_of(prefix: str, key: str) -> str:
    """Return the name of what the step with `key` makes; at most 52 characters."""
    mark = hashlib.sha256(key.encode()).hexdigest()[:10]
    return f"{prefix[: _LONGEST - len(mark) - 1].rstrip('-.')}-{mark}"
