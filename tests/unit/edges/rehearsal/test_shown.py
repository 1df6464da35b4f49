"""What people are shown at moments of a rehearsal: as the engine shows it, and every way in which it is not so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.edges.rehearsal import suite
from engine.edges.rehearsal.planting import plant
from engine.edges.rehearsal.stage import clean_up
from engine.edges.rehearsal.suite import Result
from engine.language.mutations import Mutation, MutationForm
from engine.language.yamlcompose import compose
from tests.unit.edges.rehearsal.kit import make_ground, played, seen

# Four items, two at a time, ten minutes each; `c` is not there.
EACH = """
playbook: shop/each
inputs: {type: object, properties: {names: {type: array, default: [a, b, c, d]}}}
steps:
  - id: each
    foreach: {in: "{{ inputs.names }}", key: "{{ item }}", concurrency: 2, tolerate: "50%"}
    group:
      - {id: look, action: http.get, with: {connection: api, path: "/{{ item }}"}}
      - {id: rest, wait: {for: 10m}}
"""
PLAY = """
rehearsal: each
playbook: shop/each
world:
  api:
    - {path: /c, status: 404, optional: true}
    - {path: /*, json: {}, optional: true}
"""
ANSWERED = """
rehearsal: each
playbook: shop/each
world: {api: {answers: [{action: http.get, output: {}}]}}
"""
Play = Callable[[str], Result]


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    folder = tmp_path_factory.mktemp("project")
    ground = make_ground(folder, {"shop/each": EACH})
    yield lambda text: played(ground, folder, text)
    clean_up()


def shown(*entries: str) -> str:
    return "expect:\n  run: succeeded\n  shown:\n" + "".join(f"    - {one}\n" for one in entries)


def test_a_batch_is_shown_as_it_was_at_each_moment(play: Play) -> None:
    result = play(
        PLAY
        + shown(
            "{at: 5m, batches: [{step: each, total: 4, done: 0, under_way: 2, waiting: 2, progress: 0}]}",
            "{after: {step: 'each[a].rest', in: 1m}, "
            "batches: [{step: each, done: 2, failed: 1, under_way: 1, progress: 0.75, eta: '< 4m'}]}",
            "{batches: [{step: each, done: 3, failed: 1, progress: 1, errors: {permanent: 1}}], top: {batches: []}}",
        )
    )
    assert result.ok, (result.error, result.misses)


@pytest.mark.parametrize(
    ("entry", "what", "got"),
    [
        ("{at: 5m, batches: [{step: each, done: 1}]}", "done of the batch each", "0"),
        ("{at: 5m, batches: [{step: each, progress: '> 0.5'}]}", "the share the batch each", "0"),
        ("{at: 5m, batches: [{step: each, eta: '< 1h'}]}", "the ETA of the batch each", "none"),
        ("{at: 15m, batches: [{step: each, errors: {}}]}", "errors of the batch each", "permanent: 1"),
        ("{after: {step: 'each[z]'}, top: {batches: []}}", "what people are shown", "never came"),
        ("{at: 5m, top: {batches: []}}", "batches under way", "1: each of run 1"),
        ("{at: 5m, top: {states: {running: 1}}}", "runs that are running", "0; there are waiting: 1"),
        ("{top: {recent: {ended: 2}}}", "runs that ended within 24 h", "1"),
        ("{top: {recent: {success: 0.5}}}", "the share success within 24 h", "1"),
        ("{top: {recent: {errors: [boom]}}}", "a recent error", "none"),
        ("{metrics: {stages: {http.get: {failed: 0}}}}", "failed of the stage http.get", "1"),
        ("{metrics: {stages: {http.get: {errors: {}}}}}", "errors of the stage http.get", "permanent: 1"),
        ("{metrics: {stages: {wait: {longest: '> 10m'}}}}", "longest of the stage wait", "10m"),
        ("{metrics: {stages: {http.get: {memory: '< 1Ki'}}}}", "memory of the stage http.get", ""),
        (
            "{metrics: {since: 1d, every: 5m, series: [{at: 12m, stages: {wait: {ended: 3}}}]}}",
            "ended of the stage wait in the interval of 2026-01-05T09:12:00Z",
            "2",
        ),
    ],
)  # fmt: skip
def test_what_is_not_shown_so_is_told(play: Play, entry: str, what: str, got: str) -> None:
    found = seen(play(PLAY + shown(entry)))
    assert list(found) == [what]
    assert got in found[what]


def test_a_playbook_is_started_again_and_each_run_has_its_batch(play: Play) -> None:
    again = "again: [{after: 1h}, {after: 2h, inputs: {names: [a]}}]\n"
    result = play(
        PLAY
        + again
        + shown(
            "{at: 2h5m, batches: [{step: each, run: 2, done: 3}, {step: each, run: 3, total: 1, under_way: 1}], "
            "top: {batches: [{step: each, run: 3, total: 1}], recent: {ended: 2, success: 1}}}"
        )
    )
    assert result.ok, (result.error, result.misses)


@pytest.mark.parametrize("world", [PLAY, ANSWERED], ids=["played", "answered"])
def test_an_engine_that_starts_anew_goes_on_and_finds_what_earlier_runs_used(
    play: Play, world: str
) -> None:
    result = play(
        world
        + "again: [{after: 1h, inputs: {names: [a, b, d]}}]\nrestarts: [5m, 30m]\n"
        + shown(
            "{at: 11m, warmup: {fetched: [api, shop/each], hits: {playbook: 1}}}",
            "{at: 31m, warmup: {fetched: [api, shop/each]}}",
            "{warmup: {hits: {connection: 1, playbook: 1}}}",
        )
    )
    assert result.ok, (result.error, result.misses)


@pytest.mark.parametrize(("by", "noticed"), [(None, True), ("shown", True), ("steps", False)])
def test_a_planted_fault_is_noticed_by_what_it_names(
    tmp_path: Path, by: str | None, noticed: bool
) -> None:
    ground = make_ground(tmp_path, {"shop/each": EACH})
    path = tmp_path / "one.rehearsal.yaml"
    path.write_text(PLAY + shown("{at: 5m, batches: [{step: each, under_way: 2}]}"))
    fault = {
        "mutation": "one after the other",
        "playbook": "shop/each",
        "step": "each",
        "set": {"foreach.concurrency": 1},
        "fails": "each",
    }
    form = MutationForm.model_validate({**fault, "by": by})
    root, _ = compose("mutations: []", "one.mutations.yaml")
    assert root is not None
    result = plant(ground, Mutation(root, form, path), suite.find([path]), str)
    assert (result.noticed, result.error) == (("each",) if noticed else (), "")
    assert result.ok is noticed


def test_a_fault_names_an_expectation_that_there_is() -> None:
    with pytest.raises(ValueError, match="names a key of expect:"):
        MutationForm(mutation="x", playbook="a/b", drop="c", fails="d", by="batches")


def test_what_was_not_fetched_is_told(play: Play) -> None:
    entries = shown("{at: 40m, warmup: {fetched: [files, api], hits: {playbook: 1}}}")
    found = seen(play(PLAY + "restarts: [30m]\n" + entries))
    assert found == {
        "what was fetched": "api, shop/each",
        "the share of what runs needed (playbook), 0 hits and 0 misses": "none",
    }
