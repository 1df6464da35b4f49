"""bench.mark: the trivial change. It tells the load generator, by a datagram on loopback, when it happened."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from engine.contract import (
    ActionParams,
    Applied,
    Change,
    Confirmation,
    ConnectionKind,
    NotApplied,
    Opening,
    Planned,
    Protection,
    Receipt,
    Target,
    World,
)


class ListenerSettings(BaseModel):
    """Settings of a listener: none."""

    model_config = ConfigDict(extra="forbid")


class Listener:
    """A socket to the load generator."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


class ListenerKind(ConnectionKind):
    """The connection `listener`."""

    kind = "listener"
    Settings = ListenerSettings

    def open(self, opening: Opening) -> Listener:
        return Listener()

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        return None


class MarkParams(ActionParams):
    """Parameters of a mark."""

    port: int = Field(description="UDP port of the listener", examples=[9000])
    id: str = Field(description="Which run this is", examples=["17"])
    step: str = Field("0", description="Which step of it", examples=["0"])


class Mark(Change[MarkParams]):
    """Sends `id step time key`. The listener counts a key once, as a provider's idempotency key would."""

    name = "bench.mark"
    summary = "Mark the moment of an effect"
    Params = MarkParams
    protection = Protection.PROVIDER_KEY

    def targets(self, params: MarkParams) -> Sequence[Target]:
        return (Target("listener", f"{params.id}/{params.step}"),)

    def plan(self, params: MarkParams, world: World) -> Planned:
        return Planned(
            action=self.name,
            target=Target("listener", f"{params.id}/{params.step}"),
            before={"marked": False},
            after={"marked": True},
            request={"port": params.port, "id": params.id, "step": params.step},
            summary="mark",
            reversible=False,
            why_irreversible="a datagram cannot be called back",
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        request = planned.request
        text = f"{request['id']} {request['step']} {time.monotonic_ns()} {key}"
        listener = world.client("listener", Listener)
        listener.socket.sendto(text.encode(), ("127.0.0.1", request["port"]))
        return Receipt(after={"marked": True})

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        return Applied(receipt) if receipt else NotApplied()


DECLARATIONS = (ListenerKind, Mark)
