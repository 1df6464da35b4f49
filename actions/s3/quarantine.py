"""s3.quarantine: objects moved out of the way, to where nobody reads them by mistake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import Field, model_validator

from actions.s3 import byhand, current
from actions.s3.connection import S3Client
from actions.s3.delete import Selection, delete_batch, listed, without_earlier
from actions.s3.listing import BUCKET
from engine.contract import (
    ActionFailed,
    Applied,
    Category,
    Change,
    Confirmation,
    Grant,
    NotApplied,
    Planned,
    Protection,
    Receipt,
    Target,
    World,
    Wrong,
)
from engine.domain.canonical import JsonObject

_ROUND = 80  # objects moved before somebody is asked whether to go on
_SAMPLE = 5
Move = tuple[tuple[str, str], tuple[str, str], str]  # from bucket and key, to bucket and key, ETag


class QuarantineParams(Selection):
    """Parameters of a quarantine."""

    to: str = Field(
        "quarantine/",
        description="What the keys of the moved objects start with; their own follow",
        examples=["quarantine/incident-17/"],
        pattern=r"^[^/].*/$",
    )
    to_bucket: str | None = Field(
        None,
        description="The other bucket; the same where missing",
        examples=["etl-quarantine"],
        pattern=BUCKET,
    )

    @model_validator(mode="after")
    def _elsewhere(self) -> Self:
        if self.to_bucket in (None, self.bucket) and (self.prefix or "").startswith(self.to):
            raise ValueError(f"{self.prefix} lies in the quarantine {self.to} already")
        return self


class S3Quarantine(Change[QuarantineParams]):
    """Moves objects whose ETags are still those of the plan: each is copied, then deleted.

    Undo moves them back where nothing else was written meanwhile.
    """

    name = "s3.quarantine"
    manual = byhand.quarantine
    summary = "Move objects into quarantine"
    Params = QuarantineParams
    protection = Protection.CONDITIONAL
    risk = "medium"

    def targets(self, params: QuarantineParams) -> Sequence[Target]:
        paths = [f"{params.bucket}/{path}" for path in params.keys or [params.prefix or ""]]
        paths.append(f"{params.to_bucket or params.bucket}/{params.to}")
        return tuple(Target(params.connection, path) for path in paths)

    def grants(self, params: QuarantineParams) -> Sequence[Grant]:
        arn, other = "arn:aws:s3:::", params.to_bucket or params.bucket
        needed = [("s3:ListBucket", arn + params.bucket), ("s3:ListBucket", arn + other)]
        paths = params.keys or [f"{params.prefix}*"]
        for path in [*(f"{params.bucket}/{one}" for one in paths), f"{other}/{params.to}*"]:
            rights = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
            needed += [(action, arn + path) for action in rights]
        return tuple(
            Grant(params.connection, "s3", {"action": action, "resource": on})
            for action, on in dict.fromkeys(needed)
        )

    def plan(self, params: QuarantineParams, world: World) -> Planned:
        client = world.client(params.connection, S3Client)
        found = listed(client, params)
        if len(found) > params.max_objects:
            what = f"{params.bucket}/{params.prefix or ''} holds more than max_objects "
            what += f"{params.max_objects} objects; nothing was moved"
            raise client.failure(Category.DATA, what)
        found = without_earlier(found, params, world.earlier)
        other = params.to_bucket or params.bucket
        if other == params.bucket:
            found = [item for item in found if not item["key"].startswith(params.to)]
        names = [params.to + item["key"] for item in found]
        for taken in current.standing(client, other, names, _within(params.to, params.prefix)):
            what = f"{other}/{taken} is there already; choose another `to`"
            raise client.failure(Category.DATA, what)
        size = sum(item["bytes"] for item in found)
        return Planned(
            action=self.name,
            target=self.targets(params)[0],
            before={item["key"]: {"bytes": item["bytes"], "etag": item["etag"]} for item in found},
            after={item["key"]: f"{other}/{params.to}{item['key']}" for item in found},
            counts={"objects": len(found)},
            request={
                "bucket": params.bucket,
                "other": other,
                "to": params.to,
                "prefix": params.prefix,
            },
            summary=f"move {len(found)} objects, {size} bytes, from {params.bucket} to "
            f"{other}/{params.to}",
            sample=tuple(found[:_SAMPLE]),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        del key  # what was moved before is not there to be moved again
        client = world.client(planned.target.connection, S3Client)
        request = planned.request
        there, kept = _sources(client, planned), _moved(client, planned)
        for name, seen in planned.before.items():
            if there[name]["etag"] != seen["etag"] if name in there else name not in kept:
                what = (
                    f"{request['bucket']}/{name} is no longer what the plan saw; nothing was moved"
                )
                raise client.failure(Category.DATA, what)
        pairs = [
            ((request["bucket"], name), (request["other"], request["to"] + name)) for name in there
        ]
        _move_all(client, world, [(*pair, there[pair[0][1]]["etag"]) for pair in pairs])
        return _receipt(planned)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        del key
        client = world.client(planned.target.connection, S3Client)
        bucket = planned.request["bucket"]
        there, kept = _sources(client, planned), _moved(client, planned)
        for name in planned.before:
            if name in there:
                left = f"{bucket}/{name} is there although it was moved"
                return Wrong(left) if receipt else NotApplied()  # moved ones are not moved again
            if name not in kept:
                return Wrong(f"{bucket}/{name} is neither there nor in quarantine")
        return Applied(receipt or _receipt(planned))

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        del receipt, key  # where the objects are tells what is left to do
        client = world.client(planned.target.connection, S3Client)
        request = planned.request
        there, kept = _sources(client, planned), _kept(client, planned)
        for name, seen in planned.before.items():
            if name in there and not _is_same(there[name], seen):
                what = (
                    f"{request['bucket']}/{name}, ETag: others wrote it since; nothing was restored"
                )
                raise client.failure(Category.DATA, what)
            if name not in there and name not in kept:
                what = f"{request['other']}/{request['to']}{name} is gone; nothing was restored"
                raise client.failure(Category.DATA, what)
        pairs = [
            ((request["other"], request["to"] + name), (request["bucket"], name)) for name in kept
        ]
        _move_all(client, world, [(*pair, kept[pair[1][1]]["etag"]) for pair in pairs])
        count = len(planned.before)
        return Receipt(dict(planned.before), {"objects": count}, None, {"restored": count})


def _within(to: str, prefix: str | None) -> str | None:
    return None if prefix is None else to + prefix


def _sources(client: S3Client, planned: Planned) -> dict[str, JsonObject]:
    """Return how those objects stand that are at their own place."""
    request = planned.request
    return current.standing(client, request["bucket"], planned.before, request["prefix"])


def _kept(client: S3Client, planned: Planned) -> dict[str, JsonObject]:
    """Return how those objects stand that are in quarantine, by the names they had."""
    request, to = planned.request, planned.request["to"]
    names = {to + name: name for name in planned.before}
    found = current.standing(client, request["other"], names, _within(to, request["prefix"]))
    return {names[place]: seen for place, seen in found.items()}


def _moved(client: S3Client, planned: Planned) -> dict[str, JsonObject]:
    kept = _kept(client, planned)
    return {name: seen for name, seen in kept.items() if _is_same(seen, planned.before[name])}


def _is_same(there: JsonObject, seen: JsonObject) -> bool:
    """Whether it is what the plan saw; of what was uploaded in parts a copy has another ETag."""
    if there["bytes"] != seen["bytes"]:
        return False
    return "-" in seen["etag"] or there["etag"] == seen["etag"]


def _move_all(client: S3Client, world: World, moves: Sequence[Move]) -> None:
    """Move some at a time, so that a failure or a person's word stops the rest."""
    for start in range(0, len(moves), _ROUND):
        if world.cancelled():
            what = f"given up after {start} of {len(moves)} objects"
            raise client.failure(Category.TRANSIENT, what, sent=start > 0)
        _move_round(client, moves, start)
        world.progress(min(len(moves), start + _ROUND), len(moves), "objects")


def _move_round(client: S3Client, moves: Sequence[Move], start: int) -> None:
    def failure_of(move: Move) -> ActionFailed | None:
        try:
            _move(client, *move)
        except ActionFailed as failure:
            return failure
        return None

    results = current.at_once(failure_of, moves[start : start + _ROUND])
    failures = [one for one in results if one is not None]
    if not failures:
        return
    first, moved = failures[0], start + results.count(None)
    possible = moved > 0 or any(one.effect_possible for one in failures)
    what = (
        f"after {moved} of {len(moves)} objects, which stay moved: {first}" if moved else str(first)
    )
    raise ActionFailed(
        first.category, what, retry_after=first.retry_after, effect_possible=possible
    )


def _move(client: S3Client, source: tuple[str, str], place: tuple[str, str], etag: str) -> None:
    """Copy under the ETag, content type and metadata included, and delete what was copied."""
    with client.calling(writes=True) as boto:
        boto.copy_object(
            Bucket=place[0],
            Key=place[1],
            CopySource={"Bucket": source[0], "Key": source[1]},
            CopySourceIfMatch=f'"{etag}"',
        )
    delete_batch(client, source[0], [{"Key": source[1]}])


def _receipt(planned: Planned) -> Receipt:
    count = len(planned.before)
    size = sum(seen["bytes"] for seen in planned.before.values())
    image = {"moved": dict(planned.after)}
    return Receipt(dict(planned.after), {"objects": count}, image, {"moved": count, "bytes": size})
