"""Every procedure of the runbooks is rehearsed, and a fault seeded for it is noticed by a rehearsal of it.

That rehearsals pass and that seeded faults are noticed is seen by `test_rehearsals` and `test_mutations`; here
nothing is played.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from engine.edges import coverage
from engine.edges.coverage import Row

ROOT = Path(__file__).parents[2]
ROWS = coverage.read_rows(ROOT)
SHOWN = coverage.gather(ROOT)
PACKS = {path.parent.name for path in (ROOT / "playbooks").glob("*/*.mutations.yaml")}


def test_the_rows_are_the_runbooks() -> None:
    counts = Counter(row.pack for row in ROWS)
    assert counts == {"batch": 13, "workers": 14, "queue": 17, "pipeline": 8, "etl": 11}
    assert len({row.id for row in ROWS}) == 63


def test_every_pack_is_there_and_every_name_of_a_row_is_one() -> None:
    assert {row.pack for row in ROWS} == PACKS
    assert set(SHOWN) <= {row.id for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.pack} {row.id}")
def test_row_is_rehearsed_and_its_faults_are_noticed(row: Row) -> None:
    shown = SHOWN.get(row.id)
    assert shown is not None, f"no rehearsal says covers: [{row.id}]"
    assert shown.rehearsals, f"no rehearsal says covers: [{row.id}]"
    assert shown.mutations, f"no mutation begins with {row.id!r}:"
    assert shown.noticed, (
        f"no fault of {row.id} names a rehearsal that covers {row.id} under fails:"
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.pack} {row.id}")
def test_a_fault_of_a_row_is_noticed_by_a_rehearsal_of_it(row: Row) -> None:
    own = {rehearsal.name for rehearsal in SHOWN[row.id].rehearsals}
    elsewhere = [
        mutation.form.mutation
        for mutation in SHOWN[row.id].mutations
        if not own & set(mutation.form.failing)
    ]
    assert not elsewhere, f"these faults name {row.id}, and no rehearsal that covers it notices"


@pytest.mark.parametrize("row", ["C2", "C3", "C4", "C6"])
def test_what_the_engine_shows_of_its_own_work_is_what_notices(row: str) -> None:
    """These rows are about what people are told of batches, stages, runs and warm-up."""
    assert any(one.form.by == "shown" for one in SHOWN[row].mutations)


def test_no_row_is_left_open() -> None:
    assert {row.id for row in ROWS} - set(SHOWN) == set()


def test_the_page_is_as_it_is_made() -> None:
    page = (ROOT / coverage.PAGE).read_text(encoding="utf-8")
    assert page == coverage.page(ROWS, SHOWN), "run: make schemas"
