"""Pages and webhooks: PagerDuty's Events v2, Opsgenie's alerts, or JSON to an address of one's own."""

from actions.webhook.connection import WebhookKind
from actions.webhook.send import WebhookSend

DECLARATIONS = (WebhookKind, WebhookSend)

__all__ = ["DECLARATIONS", "WebhookKind", "WebhookSend"]
