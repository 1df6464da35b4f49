"""Slack's limits on blocks and views (docs.slack.dev, "Blocks"); what breaks one is refused with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from worlds.slack.refusals import Refused

_BLOCKS = {"header", "section", "actions", "context", "divider", "input"}


def check_blocks(blocks: object, most: int = 50) -> None:
    """Raises Refused (invalid_blocks) with the path of what is wrong."""
    if not isinstance(blocks, list):
        raise Refused("invalid_blocks_format")
    if len(blocks) > most:
        _bad(f"no more than {most} items allowed [json-pointer:/blocks]")
    seen: set[str] = set()
    for n, block in enumerate(blocks):
        _block(block, f"/blocks/{n}")
        name = block.get("block_id")
        if name is not None and name in seen:
            _bad(f"block_id {name} is used twice")
        seen.add(str(name))


def _bad(why: str) -> None:
    raise Refused("invalid_blocks", errors=[why])


def _block(block: Any, path: str) -> None:
    if not isinstance(block, dict) or block.get("type") not in _BLOCKS:
        _bad(f"unsupported type [json-pointer:{path}/type]")
    _short(block.get("block_id", "x"), 255, f"{path}/block_id")
    match block["type"]:
        case "header":
            _text(block.get("text"), 150, f"{path}/text", kinds=("plain_text",))
        case "section":
            if not block.get("text") and not block.get("fields"):
                _bad(f"missing required field: text or fields [json-pointer:{path}]")
            if "text" in block:
                _text(block["text"], 3000, f"{path}/text")
            _many(block.get("fields", [None]), 10, f"{path}/fields")
            for n, field in enumerate(block.get("fields", ())):
                _text(field, 2000, f"{path}/fields/{n}")
        case "actions":
            _many(block.get("elements"), 25, f"{path}/elements")
            names = [one.get("action_id") for one in block["elements"]]
            if len(set(names)) != len(names):
                _bad(f"action_id is used twice [json-pointer:{path}/elements]")
            for n, element in enumerate(block["elements"]):
                _button(element, f"{path}/elements/{n}")
        case "context":
            _many(block.get("elements"), 10, f"{path}/elements")
            for n, element in enumerate(block["elements"]):
                _text(element, 3000, f"{path}/elements/{n}")
        case "input":
            _text(block.get("label"), 2000, f"{path}/label", kinds=("plain_text",))
            _input(block.get("element"), f"{path}/element")


def _input(element: Any, path: str) -> None:
    if not isinstance(element, dict):
        _bad(f"missing required field: element [json-pointer:{path}]")
    kind = element.get("type")
    if kind in {"radio_buttons", "checkboxes"}:
        _many(element.get("options"), 10, f"{path}/options")
    elif kind in {"static_select", "multi_static_select"}:
        _many(element.get("options"), 100, f"{path}/options")
    elif kind != "plain_text_input":
        _bad(f"unsupported type [json-pointer:{path}/type]")
    for n, option in enumerate(element.get("options", ())):
        _text(option.get("text"), 75, f"{path}/options/{n}/text")
        _short(option.get("value"), 150, f"{path}/options/{n}/value")


def _button(element: Any, path: str) -> None:
    if not isinstance(element, dict) or element.get("type") != "button":
        _bad(f"unsupported type [json-pointer:{path}/type]")
    _text(element.get("text"), 75, f"{path}/text", kinds=("plain_text",))
    _short(element.get("action_id", "x"), 255, f"{path}/action_id")
    _short(element.get("value", "x"), 2000, f"{path}/value")
    _short(element.get("url", "x"), 3000, f"{path}/url")
    if element.get("style", "primary") not in {"primary", "danger"}:
        _bad(f"invalid style [json-pointer:{path}/style]")


def _text(text: Any, most: int, path: str, kinds: Sequence[str] = ("plain_text", "mrkdwn")) -> None:
    if not isinstance(text, Mapping) or text.get("type") not in kinds:
        _bad(f"must be one of {', '.join(kinds)} [json-pointer:{path}]")
    _short(text.get("text"), most, f"{path}/text")


def _short(text: Any, most: int, path: str) -> None:
    if not isinstance(text, str) or not text:
        _bad(f"must be more than 0 characters [json-pointer:{path}]")
    if len(text) > most:
        _bad(f"must be less than {most + 1} characters [json-pointer:{path}]")


def _many(items: Any, most: int, path: str) -> None:
    if not isinstance(items, list) or not items:
        _bad(f"must have at least 1 item [json-pointer:{path}]")
    if len(items) > most:
        _bad(f"no more than {most} items allowed [json-pointer:{path}]")


def check_view(view: Any) -> None:
    """Raises Refused (invalid_arguments) where a modal is not as Slack wants it."""
    if not isinstance(view, dict) or view.get("type") != "modal":
        raise Refused("invalid_arguments", errors=["view must be a modal"])
    for name in ("title", "submit", "close"):
        text = view.get(name, {"text": "x"}).get("text", "")
        if not 0 < len(text) <= 24:
            raise Refused("invalid_arguments", errors=[f"{name} must be of 1 to 24 characters"])
    if len(view.get("private_metadata", "")) > 3000:
        raise Refused("invalid_arguments", errors=["private_metadata is too long"])
    check_blocks(view.get("blocks"), 100)
