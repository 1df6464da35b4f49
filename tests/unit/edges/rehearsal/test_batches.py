"""A provider of batches as a rehearsal's world: it behaves, and what differs at the end is told."""

from __future__ import annotations

from pathlib import Path

from engine.edges.rehearsal.checking import check_world
from engine.language.yamlcompose import compose
from tests.unit.edges.rehearsal.kit import make_ground, played, seen

BOOK = """
playbook: shop/again
steps:
  - {id: again, action: openai.retry_batch, with: {connection: api, batch: batch_1}}
  - {id: stop, action: openai.cancel_batch, with: {connection: api, batch: batch_2}}
"""
WHOLE = """
rehearsal: failed items go again
playbook: shop/again
world:
  api:
    batches:
      batch_1: {items: 4, age: 2h, failures: {item-3: {status: 429}}}
      batch_2: {items: 9, status: in_progress}
expect:
  run: succeeded
  changes:
    - {target: /v1/batches/batch_made1, created: true, set: {items: 1}}
    - {target: /v1/batches/batch_2, set: {cancelled: [false, true]}}
"""


def test_what_was_submitted_and_cancelled_is_told(tmp_path: Path) -> None:
    ground = make_ground(tmp_path, {"shop/again": BOOK})
    result = played(ground, tmp_path, WHOLE)
    assert result.ok, (result.error, result.misses)
    off = played(ground, tmp_path, WHOLE.replace("items: 1", "items: 2"))
    assert "items: None -> 1" in seen(off)["the change of /v1/batches/batch_made1"]


def test_a_call_that_the_api_does_not_have_is_unanswered(tmp_path: Path) -> None:
    book = "playbook: shop/again\nsteps: [{id: look, action: http.get, with: {connection: api, path: /v1/models}}]\n"
    ground = make_ground(tmp_path, {"shop/again": book})
    result = played(ground, tmp_path, WHOLE)
    assert "api: GET /v1/models" in str(result.misses)


def test_an_entry_that_is_wrong_is_named() -> None:
    root, _ = compose("{batches: {batch_1: {items: -1}}}", "w")
    assert root is not None
    assert "items" in str(check_world("api", "http", root)[0])
