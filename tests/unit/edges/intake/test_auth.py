from __future__ import annotations

import base64

import pytest

from engine.edges.intake.auth import Basic, Bearer


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("Bearer s3cret", True),
        ("bearer s3cret", True),
        ("Bearer  s3cret ", True),
        ("Bearer s3cre", False),
        ("Bearer s3cret2", False),
        ("Bearer", False),
        ("Basic s3cret", False),
        ("s3cret", False),
        ("Bearer é", False),
        ("", False),
        (None, False),
    ],
)
def test_bearer(header: str | None, allowed: bool) -> None:
    assert Bearer("s3cret").allows(header) is allowed


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        (basic("am:p:w"), True),
        (basic("am:p:w").replace("Basic", "BASIC"), True),
        (basic("am:p"), False),
        (basic("other:p:w"), False),
        (basic("am:p:w").replace("Basic", "Bearer"), False),
        ("Basic not-base64!", False),
        ("Basic /w==", False),
        ("Basic ", False),
        (None, False),
    ],
)
def test_basic(header: str | None, allowed: bool) -> None:
    assert Basic("am", "p:w").allows(header) is allowed


def test_secrets_do_not_show() -> None:
    assert "s3cret" not in repr(Bearer("s3cret"))
    assert "s3cret" not in repr(Basic("am", "s3cret"))
