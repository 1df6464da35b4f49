from __future__ import annotations

import pytest

from engine.domain.errors import Category
from engine.language.program import Retry
from engine.planning.retry import Again, GiveUp, decide


@pytest.mark.parametrize(
    ("category", "attempts"),
    [(Category.TRANSIENT, 3), (Category.RESOURCE, 4), (Category.RATE_LIMIT, 6)],
)
def test_retryable_categories_try_as_often_as_the_table_says(
    category: Category, attempts: int
) -> None:
    for attempt in range(1, attempts):
        assert isinstance(decide(category, attempt, None), Again)
    assert isinstance(decide(category, attempts, None), GiveUp)


@pytest.mark.parametrize(
    "category",
    [Category.CONFIGURATION, Category.DATA, Category.PERMANENT, Category.UNCLASSIFIED],
)
def test_the_others_are_not_tried_again(category: Category) -> None:
    assert isinstance(decide(category, 1, None), GiveUp)


def test_backoff_grows_linearly_for_resources_and_exponentially_for_rate_limits() -> None:
    linear = [decide(Category.RESOURCE, n, None, jitter=0) for n in (1, 2, 3)]
    assert [item.delay for item in linear if isinstance(item, Again)] == [30, 60, 90]
    exponential = [decide(Category.RATE_LIMIT, n, None, jitter=0) for n in (1, 2, 3)]
    assert [item.delay for item in exponential if isinstance(item, Again)] == [5, 10, 20]


def test_retry_after_is_never_undercut() -> None:
    again = decide(Category.RATE_LIMIT, 1, None, retry_after=77, jitter=0)
    assert isinstance(again, Again)
    assert again.delay == 77


def test_an_override_holds_for_the_categories_that_it_names() -> None:
    override = Retry(attempts=2, backoff="none", on=("permanent",))
    assert isinstance(decide(Category.PERMANENT, 1, override, delay=3, jitter=1), Again)
    assert isinstance(decide(Category.PERMANENT, 2, override, delay=3), GiveUp)
    assert isinstance(decide(Category.TRANSIENT, 2, override, delay=3), Again)


def test_an_override_without_categories_makes_nothing_retryable_that_is_not() -> None:
    assert isinstance(decide(Category.DATA, 1, Retry(attempts=9)), GiveUp)
    assert isinstance(decide(Category.TRANSIENT, 8, Retry(attempts=9), jitter=0), Again)
