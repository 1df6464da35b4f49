"""Records of effects are whole, whoever keeps them at one time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from actions.records import Record, Records


def test_threads_that_keep_one_key_at_once_are_not_in_one_anothers_way(tmp_path: Path) -> None:
    records = Records(tmp_path / "records")
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(records.put, "key", "done", {"n": n % 2}) for n in range(400)]:
            done.result()
    assert records.find("key") in (Record("done", {"n": 0}), Record("done", {"n": 1}))
    assert len(list((tmp_path / "records").iterdir())) == 1
