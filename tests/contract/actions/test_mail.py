"""What mail.send promises beyond the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actions.mail import MailKind, MailSend
from engine.contract import ActionFailed, Category, Target
from tests.contract.actions.cases_mail import connections
from tests.contract.actions.postbox import Postbox

action = MailSend()
MAIL = {"connection": "mail", "to": ["a@example.org"], "subject": "Über", "text": "one\n.\ntwo\n"}


def send(made: Any, key: str = "k1", **given: Any) -> Any:
    return action.send(action.Params.model_validate({**MAIL, **given}), made.writing(), key)


def test_the_message_arrives_as_it_was_written(postbox: Postbox, tmp_path: Path) -> None:
    output = send(connections(postbox.port, tmp_path), to=["a@example.org", "nobody@example.org"])
    assert (output["to"], output["refused"]) == (["a@example.org"], ["nobody@example.org"])
    ((recipients, message),) = postbox.mail
    assert recipients == ["a@example.org"]
    assert (message["Subject"], message["From"]) == ("Über", "stanch@example.org")
    assert message["Message-ID"] == output["message_id"]
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_payload(decode=True) == b"one\r\n.\r\ntwo\r\n"


def test_a_message_that_may_have_been_taken_is_not_sent_again(
    postbox: Postbox, tmp_path: Path
) -> None:
    made = connections(postbox.port, tmp_path)
    params = action.Params.model_validate(MAIL)
    postbox.breaks = True
    with pytest.raises(ActionFailed) as caught:
        send(made)
    assert (caught.value.category, caught.value.effect_possible) == (Category.TRANSIENT, True)
    assert action.sent(params, made.reading(), "k1") is None
    postbox.breaks, postbox.full = False, True
    with pytest.raises(ActionFailed, match="452") as caught:
        send(made, "k2")
    assert (caught.value.category, caught.value.effect_possible) == (Category.RESOURCE, False)
    assert action.sent(params, made.reading(), "k2") is False


@pytest.mark.parametrize(
    "given",
    [
        {"subject": "a\nBcc: b@example.org"},
        {"to": ["a@example.org\nb"]},
        {"to": ["A <a@example.org>"]},
        {"to": []},
    ],
)
def test_headers_cannot_be_forged(given: Any) -> None:
    with pytest.raises(ValidationError):
        action.Params.model_validate({**MAIL, **given})


def test_recipients_are_an_allow_list(postbox: Postbox, tmp_path: Path) -> None:
    settings = connections(postbox.port, tmp_path).checked("mail")
    assert MailKind().refuses(settings, Target("mail", "Any@Example.org")) is None
    assert "recipients" in str(MailKind().refuses(settings, Target("mail", "a@example.org.evil")))
    with pytest.raises(ValidationError, match="starttls or tls only"):
        connections(1, tmp_path, host="mail.example.org").checked("mail")
