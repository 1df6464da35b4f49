"""Semicolons and clocks in SQL, told from those inside texts, names and comments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.language.sqltext import sql_problems


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT 1;",
        "SELECT 1 ; -- done; really",
        "SELECT 1; /* a; /* nested; */ b */ ",
        "SELECT ';', 'it''s; fine', E'\\';', \"a;b\"",
        "SELECT $$a;b$$, $tag$ ; $$ ; $tag$",
        "SELECT '' AS current_timestamp_text, t.current_date, clock_timestamp FROM t",
        "SELECT 'current_timestamp' -- clock_timestamp()",
        "SELECT now(), $1, %(name)s",
        "SELECT 'never closed ; ",
    ],
)
def test_these_are_one_statement(sql: str) -> None:
    assert list(sql_problems(sql)) == []


@pytest.mark.parametrize(
    ("sql", "offset"),
    [
        ("SELECT 1; SELECT 2", 8),
        ("SELECT ';' ; DELETE FROM t", 11),
        ("SELECT 1;;", 8),
        ("SELECT $a$ ; $a$; DROP TABLE t", 16),
        ("SELECT 1 /* /* ; */ */ ; SELECT 2", 23),
        ("SELECT CURRENT_TIMESTAMP", 7),
        ("SELECT x, clock_timestamp ()", 10),
        ("SELECT current_date", 7),
        ("SELECT timeofday()", 7),
    ],
)
def test_these_are_refused_where_they_are(sql: str, offset: int) -> None:
    assert [one[0] for one in sql_problems(sql)] == [offset]


@given(st.text(alphabet=";'\"$-/*e\\ \nab1", max_size=40))
def test_any_text_is_read_to_its_end(sql: str) -> None:
    assert all(0 <= offset < len(sql) for offset, _, _ in sql_problems(sql))
