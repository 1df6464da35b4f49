"""aws s3 and s3api, for a person."""

from __future__ import annotations

from typing import Any

from engine.contract.byhand import ByHand, Given, Hand, command, note, option


def aws(given: Given, at: ByHand, *words: Any) -> str:
    settings = at.of(given)
    head: list[Any] = ["aws"]
    if settings is not None:
        head += option("--endpoint-url", settings.endpoint_url)
        head += option("--region", settings.region)
    return command(*head, *words)


def _uri(given: Given, bucket: str = "bucket", key: str = "key") -> str:
    return f"s3://{given.get(bucket, '<bucket>')}/{given.get(key) or ''}"


def listed(_: object, given: Given, at: ByHand) -> Hand:
    return Hand([aws(given, at, "s3", "ls", "--recursive", _uri(given, key="prefix"))])


def head(_: object, given: Given, at: ByHand) -> Hand:
    bucket, key = given.get("bucket", "<bucket>"), given.get("key")
    if not key:
        return Hand([aws(given, at, "s3api", "head-bucket", "--bucket", bucket)])
    return Hand([aws(given, at, "s3api", "head-object", "--bucket", bucket, "--key", key)])


def put(_: object, given: Given, at: ByHand) -> Hand:
    keep = aws(given, at, "s3", "cp", _uri(given), "before.bin")
    content = given.get("text", given.get("value", given.get("base64", "<content>")))
    send = f"{command('printf', '%s', content)} | {aws(given, at, 's3', 'cp', '-', _uri(given))}"
    return Hand(
        [note("keep what is there"), keep, send],
        [aws(given, at, "s3", "cp", "before.bin", _uri(given))],
    )


def copy(_: object, given: Given, at: ByHand) -> Hand:
    bucket = given.get("to_bucket") or given.get("bucket", "<bucket>")
    to = f"s3://{bucket}/{given.get('to_key', '<key>')}"
    return Hand([aws(given, at, "s3", "cp", _uri(given), to)], [aws(given, at, "s3", "rm", to)])


def _each(given: Given) -> list[str]:
    keys = given.get("keys")
    bucket = given.get("bucket", "<bucket>")
    return [f"s3://{bucket}/{key}" for key in keys] if isinstance(keys, list) else []


def delete(_: object, given: Given, at: ByHand) -> Hand:
    lines = [aws(given, at, "s3", "rm", uri) for uri in _each(given)]
    if given.get("prefix"):
        everything = _uri(given, key="prefix")
        lines += [
            note("look at what would go, then without --dryrun"),
            aws(given, at, "s3", "rm", "--recursive", "--dryrun", everything),
        ]
    return Hand(lines, [note("only in a versioned bucket: delete the delete markers")])


def quarantine(_: object, given: Given, at: ByHand) -> Hand:
    bucket = given.get("to_bucket") or given.get("bucket", "<bucket>")
    to = f"s3://{bucket}/{given.get('to', 'quarantine/')}"
    do, undo = [], []
    for uri in _each(given):
        key = uri.split("/", 3)[3]
        do.append(aws(given, at, "s3", "mv", uri, to + key))
        undo.append(aws(given, at, "s3", "mv", to + key, uri))
    if given.get("prefix"):
        everything, there = _uri(given, key="prefix"), to + str(given["prefix"])
        do.append(aws(given, at, "s3", "mv", "--recursive", everything, there))
        undo.append(aws(given, at, "s3", "mv", "--recursive", there, everything))
    return Hand(do, undo)


def download(_: object, given: Given, at: ByHand) -> Hand:
    return Hand([aws(given, at, "s3", "cp", _uri(given), given.get("name", "."))])


def upload(_: object, given: Given, at: ByHand) -> Hand:
    return Hand(
        [
            note("keep what is there first"),
            aws(given, at, "s3", "cp", "<file>", _uri(given)),
        ],
        [aws(given, at, "s3", "rm", _uri(given))],
    )
