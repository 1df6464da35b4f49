"""What the S3 actions promise beyond the contract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actions.s3 import S3Copy, S3Delete, S3Kind, S3List, S3Put, S3Quarantine
from engine.contract import ActionFailed, Applied, Category, NotApplied, Target, Wrong
from tests.contract.actions.bares3 import BareS3
from tests.contract.actions.cases_s3 import connections
from tests.contract.actions.conftest import Buckets
from tests.contract.actions.recorder import Recorder
from tests.contract.actions.worlds import OneWorld
from worlds.objects import Objects, ObjectsServer
from worlds.servers import S3Server
from worlds.servers.s3 import ADMIN, Identity

pytestmark = pytest.mark.real
put, delete, listing = S3Put(), S3Delete(), S3List()


@pytest.fixture(params=["buckets", "memory_buckets"], ids=["real", "in memory"])
def buckets(request: pytest.FixtureRequest) -> Buckets:
    found: Buckets = request.getfixturevalue(request.param)
    return found


def putting(buckets: Buckets, **params: Any) -> Any:
    return put.Params.model_validate({"connection": "s3", "bucket": buckets.plain, **params})


def deleting(bucket: str, **params: Any) -> Any:
    return delete.Params.model_validate({"connection": "s3", "bucket": bucket, **params})


def test_a_put_never_overwrites_what_the_plan_did_not_see(buckets: Buckets) -> None:
    made = connections(buckets.recorder.url)
    over = put.plan(putting(buckets, key="keep", text="mine"), made.reading())
    fresh = put.plan(putting(buckets, key="new", text="mine"), made.reading())
    for name in ("keep", "new"):
        buckets.boto.put_object(Bucket=buckets.plain, Key=name, Body=b"others")
    before = buckets.state()
    for planned in (over, fresh):
        with pytest.raises(ActionFailed, match="no longer what the plan saw") as caught:
            put.apply(planned, made.writing(), "k")
        assert caught.value.category is Category.DATA
        assert not caught.value.effect_possible
        assert isinstance(put.confirm(planned, None, made.reading(), "k"), Wrong)
    assert buckets.state() == before


def test_equal_content_is_no_change(buckets: Buckets) -> None:
    made = connections(buckets.recorder.url)
    buckets.boto.put_object(
        Bucket=buckets.plain, Key="same", Body=b'{"a":1}', ContentType="application/json"
    )
    assert put.plan(putting(buckets, key="same", value={"a": 1}), made.reading()).is_no_op


def test_puts_and_deletes_of_one_object_are_chained(buckets: Buckets) -> None:
    made = connections(buckets.recorder.url)
    first = put.plan(putting(buckets, key="keep", text="one"), made.reading())
    second = put.plan(putting(buckets, key="keep", text="two"), made.reading([first]))
    assert dict(second.before) == dict(first.after)
    gone = delete.plan(deleting(buckets.plain, keys=["keep"]), made.reading())
    third = put.plan(putting(buckets, key="keep", text="two"), made.reading([gone]))
    assert dict(third.before) == {"exists": False}
    assert delete.plan(deleting(buckets.plain, keys=["keep"]), made.reading([gone])).is_no_op


def test_large_previous_content_is_irreversible_without_versions(buckets: Buckets) -> None:
    made = connections(buckets.recorder.url)
    planned = put.plan(putting(buckets, key="keep", text="x", keep_bytes=3), made.reading())
    assert not planned.reversible
    assert "over keep_bytes 3" in (planned.why_irreversible or "")
    kept = put.plan(
        putting(buckets, bucket=buckets.versioned, key="keep", text="x", keep_bytes=3),
        made.reading(),
    )
    assert kept.reversible


def test_a_write_over_ours_is_a_conflict_unless_a_person_overrides_it(buckets: Buckets) -> None:
    made = connections(buckets.recorder.url)
    for bucket, gives_way in ((buckets.plain, True), (buckets.versioned, False)):
        planned = put.plan(putting(buckets, bucket=bucket, key="keep", text="ours"), made.reading())
        before = buckets.boto.get_object(Bucket=bucket, Key="keep")["Body"].read()
        receipt = put.apply(planned, made.writing(), f"k-{bucket}")
        assert put.conflicts(planned, receipt, made.reading()) == ()
        buckets.boto.put_object(Bucket=bucket, Key="keep", Body=b"theirs")
        (conflict,) = put.conflicts(planned, receipt, made.reading())
        assert "ETag: others changed it since" in conflict
        overriding = replace(made.writing(), overriding=True)
        with pytest.raises(ActionFailed, match="others changed it since"):
            put.undo(planned, receipt, made.writing() if gives_way else overriding, "u")
        if gives_way:
            put.undo(planned, receipt, overriding, "u")
            assert buckets.boto.get_object(Bucket=bucket, Key="keep")["Body"].read() == before


def test_a_delete_touches_only_what_the_plan_listed(buckets: Buckets) -> None:
    made = connections(buckets.recorder.url)
    planned = delete.plan(deleting(buckets.plain, prefix="tmp/"), made.reading())
    assert planned.counts == {"objects": 2}
    assert planned.sample[0]["bytes"] == 7
    buckets.boto.put_object(Bucket=buckets.plain, Key="tmp/later", Body=b"x")
    delete.apply(planned, made.writing(), "k")
    left = {name for name in buckets.state() if name.startswith(buckets.plain)}
    assert left == {f"{buckets.plain}/keep", f"{buckets.plain}/tmp/later"}
    again = delete.plan(deleting(buckets.plain, keys=["keep"]), made.reading())
    buckets.boto.put_object(Bucket=buckets.plain, Key="keep", Body=b"others")
    with pytest.raises(ActionFailed, match="no longer what the plan saw"):
        delete.apply(again, made.writing(), "k")


def test_a_half_done_delete_is_finished_by_the_same_key(buckets: Buckets) -> None:
    made = connections(buckets.recorder.url)
    before = buckets.state()
    planned = delete.plan(deleting(buckets.versioned, prefix="tmp/"), made.reading())
    buckets.boto.delete_object(Bucket=buckets.versioned, Key="tmp/a")  # as far as it came
    assert delete.confirm(planned, None, made.reading(), "k") == NotApplied()
    receipt = delete.apply(planned, made.writing(), "k")
    assert receipt.counts == {"objects": 2}
    delete.undo(planned, receipt, made.writing(), "u")
    assert buckets.state() == before


def test_a_listing_is_paged_and_limited(buckets: Buckets) -> None:
    made = connections(buckets.recorder.url)
    params = {"connection": "s3", "bucket": buckets.plain, "max_keys": 2}
    output = listing.read(listing.Params.model_validate(params), made.reading())
    assert [item["key"] for item in output["objects"]] == ["keep", "tmp/a"]
    assert output["truncated"]
    with pytest.raises(ActionFailed, match="more than max_objects 1"):
        delete.plan(deleting(buckets.plain, prefix="tmp/", max_objects=1), made.reading())


def test_the_allow_list_is_by_bucket_and_prefix(buckets: Buckets) -> None:
    allow = {"prefixes": [f"{buckets.plain}/tmp/"]}
    made = connections(buckets.recorder.url, allow=allow)
    kind, settings = S3Kind(), made.checked("s3")
    assert kind.refuses(settings, Target("s3", f"{buckets.plain}/tmp/a")) is None
    for path in (f"{buckets.plain}/keep", f"{buckets.plain}/tm", f"{buckets.versioned}/tmp/a"):
        assert "allow-list" in (kind.refuses(settings, Target("s3", path)) or "")
    delete.plan(deleting(buckets.plain, prefix="tmp/"), made.reading())
    with pytest.raises(ActionFailed, match="allow-list"):
        delete.plan(deleting(buckets.plain, keys=["keep"]), made.reading())


def test_errors_inside_a_200_answer_are_seen(tmp_path: Path) -> None:
    if S3Server.missing():
        pytest.skip(f"needs {S3Server.missing()}")
    limited = Identity("limited", "limited-key", "limited-secret", ("Read:box", "List:box"))
    with S3Server(tmp_path / "s3", identities=(ADMIN, limited)) as server:
        boto = server.client()
        boto.create_bucket(Bucket="box")
        boto.put_object(Bucket="box", Key="a", Body=b"x")
        made = connections(server.url, limited.secret_key)
        made.secrets = {"ACCESS": limited.access_key, "SECRET": limited.secret_key}
        planned = delete.plan(deleting("box", keys=["a"]), made.reading())
        with pytest.raises(ActionFailed, match="AccessDenied") as caught:
            delete.apply(planned, made.writing(), "k")
        assert caught.value.category is Category.CONFIGURATION
        assert not caught.value.effect_possible
        assert boto.get_object(Bucket="box", Key="a")["Body"].read() == b"x"


@pytest.mark.parametrize(
    ("action", "params", "message"),
    [
        (put, {"key": "a"}, "exactly one of text"),
        (put, {"key": "a", "text": "x", "value": 1}, "exactly one of text"),
        (put, {"key": "a", "base64": "?"}, "not base64"),
        (put, {"key": "", "text": "x"}, "at least 1"),
        (delete, {}, "keys or prefix"),
        (delete, {"keys": ["a"], "prefix": "b"}, "keys or prefix"),
        (delete, {"prefix": ""}, "at least 1"),
    ],
)
def test_parameters_that_cannot_be_meant(action: Any, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        action.Params.model_validate({"connection": "s3", "bucket": "box", **params})


def test_what_earlier_steps_move_away_is_not_planned_again(buckets: Buckets) -> None:
    made, quarantine = connections(buckets.recorder.url), S3Quarantine()
    given = {"connection": "s3", "bucket": buckets.plain, "keys": ["tmp/a"]}
    moved = quarantine.plan(quarantine.Params.model_validate(given), made.reading())
    later = made.reading(earlier=[moved])
    assert list(delete.plan(deleting(buckets.plain, prefix="tmp/"), later).before) == ["tmp/b"]
    whole = quarantine.Params.model_validate({**given, "keys": ["tmp/a", "tmp/b"]})
    assert list(quarantine.plan(whole, later).before) == ["tmp/b"]
    assert put.plan(putting(buckets, key="tmp/a", text="x"), later).before == {"exists": False}


def test_a_copy_takes_nothing_from_beyond_the_allow_list(buckets: Buckets) -> None:
    allow = {"prefixes": [f"{buckets.plain}/tmp/"]}
    made, copy = connections(buckets.recorder.url, allow=allow), S3Copy()
    client = made.client("s3", writable=True)
    for source in (f"{buckets.plain}/keep", {"Bucket": buckets.versioned, "Key": "tmp/a"}):
        with pytest.raises(ActionFailed, match="not in the allow-list"), client.calling() as boto:
            boto.copy_object(Bucket=buckets.plain, Key="tmp/c", CopySource=source)
    given = {"connection": "s3", "bucket": buckets.plain, "key": "keep", "to_key": "tmp/c"}
    params = copy.Params.model_validate(given)
    refused = [S3Kind().refuses(made.checked("s3"), target) for target in copy.targets(params)]
    assert [bool(reason) for reason in refused] == [True, False]


def test_fifty_thousand_objects_are_listed_and_deleted_by_pages() -> None:
    objects = Objects()
    objects.create("box", versioned=True)
    for number in range(50_000):
        objects.put("box", f"tmp/{number:05d}", b"x")
    objects.put("box", "keep", b"x")
    with ObjectsServer(objects) as server, Recorder(server.port) as recorder:
        made = connections(recorder.url)
        params = {"connection": "s3", "bucket": "box", "prefix": "tmp/", "max_keys": 100_000}
        output = listing.read(listing.Params.model_validate(params), made.reading())
        assert (output["count"], output["truncated"]) == (50_000, False)
        asked = deleting("box", prefix="tmp/", max_objects=60_000)
        planned = delete.plan(asked, made.reading())
        receipt = delete.apply(planned, made.writing(), "key")
        assert list(objects.current("box")) == ["keep"]
        assert len(receipt.before_image["markers"]) == 50_000
        assert delete.confirm(planned, receipt, made.reading(), "key") == Applied(receipt)
        assert len(recorder.requests()) < 300  # by pages, none an object
        made.close()


def test_many_objects_are_quarantined_some_at_a_time_and_what_is_broken_off_goes_on() -> None:
    objects, names = Objects(), [f"tmp/{number:03d}" for number in range(200)]
    objects.create("box")
    for name in names:
        objects.put("box", name, name.encode())
    moved = {f"bad/{name}": name.encode() for name in names}
    with ObjectsServer(objects) as server, Recorder(server.port) as recorder:
        made, quarantine = connections(recorder.url), S3Quarantine()
        given = {"connection": "s3", "bucket": "box", "prefix": "tmp/", "to": "bad/"}
        planned = quarantine.plan(quarantine.Params.model_validate(given), made.reading())
        with pytest.raises(ActionFailed, match="given up after 80 of 200") as caught:
            quarantine.apply(planned, GivenUp(made, True), "key")
        assert (caught.value.category, caught.value.effect_possible) == (Category.TRANSIENT, True)
        assert len([name for name in objects.current("box") if name.startswith("bad/")]) == 80
        assert quarantine.confirm(planned, None, made.reading(), "key") == NotApplied()
        before = len(recorder.requests())
        receipt = quarantine.apply(planned, made.writing(), "key")
        assert (
            len(recorder.requests()) - before <= 2 * 120 + 4
        )  # a copy and a deletion, and listings
        assert {name: bytes(one.data) for name, one in objects.current("box").items()} == moved
        assert quarantine.confirm(planned, None, made.reading(), "key") == Applied(receipt)
        objects.put("box", "bad/tmp/007", b"others")
        assert isinstance(quarantine.confirm(planned, receipt, made.reading(), "key"), Wrong)
        objects.put("box", "bad/tmp/007", b"tmp/007")
        quarantine.undo(planned, receipt, made.writing(), "undo")
        assert list(objects.current("box")) == names
        made.close()


@dataclass
class GivenUp(OneWorld):
    """An attempt that is given up once something was done."""

    done: int = 0

    def progress(self, done: int, total: int | None, text: str = "") -> None:
        del total, text
        self.done = done

    def cancelled(self) -> bool:
        return self.done > 0


def test_more_than_a_page_at_the_real_server(
    s3_server: S3Server, two_buckets: tuple[str, str]
) -> None:
    bucket, rows = two_buckets[1], 1010
    bare = BareS3(s3_server.url)
    names = [f"many/{number:04d}" for number in range(rows)]
    for name in names:
        bare.put(bucket, name, b"")
    made = connections(s3_server.url, timeout=120)
    planned = delete.plan(deleting(bucket, prefix="many/", max_objects=5000), made.reading())
    assert planned.counts == {"objects": rows}
    receipt = delete.apply(planned, made.writing(), "key")
    lost = delete.confirm(planned, None, made.reading(), "key")  # the markers are looked for
    assert lost == Applied(receipt)
    delete.undo(planned, receipt, made.writing(), "undo")
    assert (
        delete.plan(deleting(bucket, prefix="many/", max_objects=5000), made.reading()) == planned
    )
    bare.empty(bucket)
    bare.close()
    made.close()
