"""The shipped patterns know what the runbooks' failures say."""

from __future__ import annotations

from typing import Any

import pytest

from actions.classify import ClassifyText
from actions.classify.patterns import SHIPPED, read
from tests.contract.actions.cases_classify import connections

SAID = [
    ("sqlalchemy.exc.OperationalError: could not connect to server", "database", "transient"),
    ("FATAL: remaining connection slots are reserved", "database_connections", "resource"),
    ("GitHub API rate limit exceeded", "rate_limit", "rate_limit"),
    ("403 Forbidden: rate limit exceeded", "rate_limit", "rate_limit"),
    ("openai.error.RateLimitError: Rate limit exceeded", "rate_limit", "rate_limit"),
    (
        "openai.error.APIError: The server had an error processing your request",
        "provider",
        "transient",
    ),
    ("openai.error.InvalidRequestError: Invalid request", "invalid_request", "permanent"),
    ("You exceeded your current quota, please check your plan", "quota", "resource"),
    ("Last State: Terminated, Reason: OOMKilled", "memory", "resource"),
    ("Exit code 137", "memory", "resource"),
    ("Job has reached the specified backoff limit", "backoff_limit", "permanent"),
    ("DeadlineExceeded", "deadline", "resource"),
    ("KeyError: 'OPENAI_API_KEY'", "missing_variable", "configuration"),
    ("Missing required environment variable: DATABASE_URL", "missing_variable", "configuration"),
    ("PARSE_ERROR: unexpected field hero_tier", "parse", "data"),
    ("duplicate key value violates unique constraint", "constraint", "data"),
    ("deadlock detected", "deadlock", "transient"),
    ("cannot connect", "network", "transient"),
    ('violates foreign key constraint "heroes_fk"', "foreign_key", "data"),
    ("FK_VIOLATION", "foreign_key", "data"),
    ("requests.exceptions.ReadTimeout: timed out", "timeout", "transient"),
    ("No space left on device", "disk", "resource"),
    ("An error occurred (AccessDenied) when calling PutObject", "permission", "configuration"),
]


def classified(**params: Any) -> Any:
    action = ClassifyText()
    whole = action.Params.model_validate({"connection": "classes", **params})
    return action.read(whole, connections().reading())


@pytest.mark.parametrize(("text", "name", "category"), SAID)
def test_what_failures_say(text: str, name: str, category: str) -> None:
    output = classified(text=f"INFO starting\n{text}\n")
    assert (output["class"], output["category"]) == (name, category)
    assert output["advice"]


@pytest.mark.parametrize(
    ("status", "name", "category"),
    [
        (429, "rate_limit", "rate_limit"),
        (401, "credentials", "configuration"),
        (413, "too_large", "data"),
        (503, "provider", "transient"),
        (418, "unknown", "permanent"),
        (200, "unknown", "unclassified"),
    ],
)
def test_a_status_decides_where_no_line_does(status: int, name: str, category: str) -> None:
    output = classified(text="nothing to see", status=status)
    assert (output["class"], output["category"]) == (name, category)


def test_the_variable_that_is_missing_is_named() -> None:
    assert classified(text="KeyError: 'GITHUB_TOKEN'")["found"] == {"variable": "GITHUB_TOKEN"}
    said = "Error: couldn't find key database-url in Secret starforge/deeptech-secrets"
    assert classified(text=said)["found"] == {
        "variable": "database-url",
        "object": "starforge/deeptech-secrets",
    }


def test_innocent_lines_have_no_class() -> None:
    output = classified(text="processed 4290 rows in 137 s\nroom for 507 more\nzoom level 3\n")
    assert (output["class"], output["known"], output["counts"]) == ("unknown", False, {})


def test_every_shipped_class_says_what_to_do() -> None:
    entries = list(read(SHIPPED))
    assert len({entry.name for entry in entries}) == len(entries)
    assert all(entry.advice for entry in entries)
