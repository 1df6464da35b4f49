"""No form of a secret passes the redactor."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from engine.contract.redact import MASK, Redactor

SECRETS = st.text(
    alphabet=st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=8, max_size=40
)


@given(SECRETS, st.text(max_size=5), st.text(max_size=5))
def test_every_encoding_is_masked(secret: str, before: str, after: str) -> None:
    redactor = Redactor([secret])
    wrapped = f"{before}{secret}{after}"
    for form in (
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        secret.encode().hex(),
        json.dumps(secret)[1:-1],
    ):
        assert form not in redactor.text(f"x {form} y").replace(MASK, "")
    coded = base64.b64encode(wrapped.encode()).decode()
    assert redactor.text(coded) != coded


def test_ordinary_text_is_left_alone() -> None:
    redactor = Redactor(["", "a", "s3cret-value"])
    assert redactor.text("a banana") == "a banana"
    assert redactor.json({"k": ["s3cret-value", 1, None]}) == {"k": [MASK, 1, None]}
