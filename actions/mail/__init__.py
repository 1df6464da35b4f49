"""E-mail by SMTP."""

from actions.mail.connection import MailKind
from actions.mail.send import MailSend

DECLARATIONS = (MailKind, MailSend)

__all__ = ["DECLARATIONS", "MailKind", "MailSend"]
