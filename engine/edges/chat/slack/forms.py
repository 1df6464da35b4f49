"""Forms in Slack (modals): a decision with a comment, and what was done by hand."""

from __future__ import annotations

from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web import WebClient

from engine.domain.canonical import JsonObject, canonical_json
from engine.domain.errors import ActionFailed, Category
from engine.edges.chat.slack.blocks import cut, escape
from engine.edges.chat.slack.errors import NETWORK, code_of

TITLE = 24  # characters of a modal's title
COMMENT = 3000
ITEMS = 100  # of a select
OPTION = 75  # characters of an option
META = 2000  # characters of items that a form carries with it
_WITHOUT = "Reject these items, approve the others"
Block = dict[str, Any]


class SlackForms:
    """Opens modals."""

    def __init__(self, web: WebClient) -> None:
        self._web = web

    def decide(self, trigger: str, channel: str, gate: JsonObject, plan: JsonObject | None) -> None:
        self._open(trigger, decide_view(channel, gate, plan))

    def done(self, trigger: str, channel: str, run: str, address: str) -> None:
        self._open(trigger, done_view(channel, run, address))

    def _open(self, trigger: str, view: JsonObject) -> None:
        try:
            self._web.views_open(trigger_id=trigger, view=view)
        except SlackApiError as error:
            what = "press the button again" if "expired" in code_of(error) else code_of(error)
            raise ActionFailed(
                Category.TRANSIENT, f"the form could not be opened: {what}"
            ) from None
        except NETWORK as error:
            raise ActionFailed(
                Category.TRANSIENT, f"the form could not be opened: {error}"
            ) from None


def decide_view(channel: str, gate: JsonObject, plan: JsonObject | None) -> JsonObject:
    """Return the form of a decision."""
    items = items_of(plan)
    head = f"{gate['playbook']}, {gate['address']}: {gate['missing']} more by {gate['role']}"
    value = canonical_json({"gate": gate["id"], "fingerprint": gate["fingerprint"]})
    return _view(
        "Decide",
        {"action": "reject", "channel": channel, "value": value, "items": items},
        [
            {"type": "section", "text": {"type": "mrkdwn", "text": cut(escape(head), 3000)}},
            {
                "type": "input",
                "block_id": "decision",
                "label": _plain("Decision"),
                "element": {
                    "type": "radio_buttons",
                    "action_id": "decision",
                    "options": [
                        _option("Approve", "approve"),
                        *([_option(_WITHOUT, "reject_these")] if items else []),
                        _option("Reject all of it", "reject"),
                    ],
                },
            },
            *([_items(items)] if items else []),
            _comment("Comment, for the others and the record", optional=True),
        ],
    )


def items_of(plan: JsonObject | None) -> list[str]:
    """Return the items of foreach steps that the plan would do, as `step[key]`; none where they do not fit."""
    found = dict.fromkeys(
        step["address"].partition("]")[0] + "]"
        for step in (plan or {}).get("steps", ())
        if "[" in step["address"] and step["state"] != "skipped"
    )
    fits = len(found) <= ITEMS and sum(map(len, found)) <= META
    return list(found) if fits and all(len(one) <= OPTION for one in found) else []


def _items(items: list[str]) -> Block:
    options = [_option(one, one) for one in items]
    return {
        "type": "input",
        "block_id": "items",
        "optional": True,
        "label": _plain("These items"),
        "element": {
            "type": "multi_static_select",
            "action_id": "items",
            "options": options,
            "initial_options": options,
        },
    }


def done_view(channel: str, run: str, address: str) -> JsonObject:
    """Return the form that asks what was done."""
    return _view(
        "Done",
        {"action": "done", "channel": channel, "value": f"{run} {address}"},
        [_comment(f"What did you do or find? ({address})"[:150], optional=False)],
    )


def _view(title: str, meta: JsonObject, blocks: list[Block]) -> JsonObject:
    return {
        "type": "modal",
        "callback_id": "stanch",
        "title": _plain(title[:TITLE]),
        "submit": _plain("Send"),
        "close": _plain("Back"),
        "private_metadata": canonical_json(meta),
        "blocks": blocks,
    }


def _comment(label: str, *, optional: bool) -> Block:
    element = {
        "type": "plain_text_input",
        "action_id": "comment",
        "multiline": True,
        "max_length": COMMENT,
    }
    return {
        "type": "input",
        "block_id": "comment",
        "optional": optional,
        "label": _plain(label),
        "element": element,
    }


def _option(text: str, value: str) -> Block:
    return {"text": _plain(text), "value": value}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}
