"""What goes into the database comes out as it was, and is written in one way only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.journal.codec import clean, dumps, instant, loads, micros

texts = st.text(st.characters(), max_size=8)  # surrogates and NUL included
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_json_comes_back_and_has_one_form(value: object) -> None:
    text = dumps(value)
    assert loads(text) == value
    assert dumps(loads(text)) == text
    text.encode()  # no lone surrogate is left in it
    assert "\x00" not in text


@given(st.dictionaries(texts, values, max_size=6))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    assert dumps(dict(reversed(list(value.items())))) == dumps(value)


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(TypeError):
        dumps({"a": object()})


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7, minutes=30))])))
def test_times_come_back_to_the_microsecond(value: datetime) -> None:
    try:
        value.astimezone(UTC)
    except OverflowError:
        return
    assert instant(micros(value)) == value


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        micros(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


@given(texts)
def test_clean_text_fits_every_database_and_stays_clean(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert "\x00" not in cleaned
    assert clean(cleaned) == cleaned
    if text.isprintable():
        assert cleaned == text


def test_integers_beyond_64_bits_are_not_rounded() -> None:
    for value in (1 << 64, -(1 << 63) - 1, {"n": [1 << 200]}):
        assert loads(dumps(value)) == value
