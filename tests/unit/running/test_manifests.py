"""A batch's manifest is the playbook's inputs: checked whole before anything runs, every mistake told at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.domain.errors import InvalidInput
from engine.domain.run import RunMode, RunState
from engine.journal.rows import Page
from tests.harness import Harness
from tests.harness_programs import program
from tests.toys import Table

COVERS = ("C2",)

MANIFEST = {
    "type": "object",
    "required": ["project", "documents"],
    "additionalProperties": False,
    "properties": {
        "project": {"type": "string", "pattern": "^project-[0-9]+$"},
        "documents": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["document", "path"],
                "properties": {
                    "document": {"type": "string", "minLength": 1},
                    "path": {"type": "string", "pattern": "^s3://"},
                },
            },
        },
        "priority": {"enum": ["high", "normal", "low"], "default": "normal"},
    },
}
BATCH = program(
    {
        "id": "each",
        "action": "toy.set",
        "with": {"name": "{{ item.document }}", "value": "{{ item.path }}"},
        "foreach": {"items": "{{ inputs.documents }}", "key": "{{ item.document }}"},
    },
    playbook="toys/documents",
    inputs=MANIFEST,
)


@pytest.fixture
def engine(tmp_path: Path) -> Harness:
    return Harness(tmp_path, Table())


def document(name: str, path: str = "s3://bucket/x.pdf") -> dict[str, Any]:
    return {"document": name, "path": path}


def test_every_mistake_of_a_manifest_is_told_at_once_and_nothing_is_begun(engine: Harness) -> None:
    with pytest.raises(InvalidInput) as caught:
        engine.start(
            BATCH,
            RunMode.AUTO,
            project="500",
            documents=[document("doc-1"), {"path": "/tmp/doc2.pdf"}, document("")],
            priority="urgent",
            warm_cache=True,
        )
    told = str(caught.value).splitlines()
    assert told[0] == "6 mistakes in the inputs:"
    for part in (
        "no input 'warm_cache'; it has: documents, priority, project",
        "documents.1: 'document' is a required property",
        "documents.1.path: '/tmp/doc2.pdf' does not match '^s3://'",
        "documents.2.document: '' should be non-empty",
        "priority: 'urgent' is not one of ['high', 'normal', 'low']",
        "project: '500' does not match '^project-[0-9]+$'",
    ):
        assert sum(part in line for line in told) == 1, (part, told)
    engine.settle()
    assert engine.table.writes == []
    assert engine.store.read(lambda tx: tx.runs.list(Page(limit=10))) == []


def test_of_very_many_mistakes_the_first_are_told_and_the_rest_counted(engine: Harness) -> None:
    broken = [document(f"doc-{n}", "nowhere") for n in range(70)]
    with pytest.raises(InvalidInput, match="70 mistakes in the inputs") as caught:
        engine.start(BATCH, RunMode.AUTO, project="project-1", documents=broken)
    told = str(caught.value).splitlines()
    assert (len(told), told[-1].strip()) == (52, "and 20 more")


def test_a_document_that_is_listed_twice_stops_the_batch_before_its_first_item(
    engine: Harness,
) -> None:
    twice = [document("doc-1"), document("doc-2"), document("doc-1", "s3://bucket/y.pdf")]
    row = engine.run(BATCH, RunMode.AUTO, project="project-1", documents=twice)
    assert row.state is RunState.FAILED
    assert "two items have the key 'doc-1'" in row.reason
    assert engine.table.writes == []


def test_a_good_manifest_runs_whole_with_its_defaults(engine: Harness) -> None:
    good = [document("doc-1"), document("doc-2")]
    row = engine.run(BATCH, RunMode.AUTO, project="project-1", documents=good)
    assert (row.state, row.inputs["priority"]) == (RunState.SUCCEEDED, "normal")
    assert [name for name, _ in engine.table.writes] == ["doc-1", "doc-2"]
