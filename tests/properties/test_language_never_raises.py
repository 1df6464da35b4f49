"""Whatever stands in a file, reading it gives diagnostics and nothing else; places lie inside the file."""

from __future__ import annotations

import string
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.edges.config import check_config
from engine.language.diagnostics import Diagnostic, arranged, formatted
from engine.language.project import check_paths
from engine.language.yamlcompose import compose
from tests.unit.language.plugins import CONNECTIONS, ROLES, SECRETS, small_registry

ROOT = Path(__file__).parents[2]
GOOD = [path.read_text() for path in sorted((ROOT / "tests/unit/language/good").rglob("*.yaml"))]
BAD = [path.read_bytes() for path in sorted((ROOT / "config/bad").glob("*.yaml"))]
REGISTRY = small_registry()
RELAXED = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

WORDS = st.sampled_from(
    [
        *"-:?*&!|>{}[],#'\"%@`\n \t",
        "{{",
        "}}",
        "{%",
        ": ",
        "- ",
        "\n  ",
        "steps",
        "null",
        "true",
        "0x",
        ".inf",
        "<<",
        "&a",
        "*a",
        "!!str",
        "1e999",
        "id: a",
        "action: log.decision",
        "foreach: ",
        "wait: {for: 5m}",
        "\ufeff",
        "\x00",
        "\u2028",
        "\U0001f600",
        "é",
    ]
)
TEXTS = st.lists(st.one_of(WORDS, st.text(alphabet=string.printable, max_size=8)), max_size=30)


def check(folder: Path, data: bytes) -> list[Diagnostic]:
    (folder / "x.yaml").write_bytes(data)
    return check_paths(
        [folder / "x.yaml"],
        REGISTRY,
        CONNECTIONS,
        ROLES,
        SECRETS,
        config=lambda root: check_config(root, REGISTRY),
    )


def assert_sound(found: list[Diagnostic], data: bytes) -> None:
    lines = len(data.decode(errors="replace").splitlines()) + 1
    for one in found:
        assert 1 <= one.line <= lines, one
        assert one.column >= 1, one
        assert "\n" not in one.message, one
    assert found == arranged(found)
    assert formatted(found).count("\n  ") < 10_000


@settings(RELAXED, max_examples=150)
@given(data=st.one_of(st.binary(max_size=60), TEXTS.map(lambda parts: "".join(parts).encode())))
def test_any_bytes_give_diagnostics_only(tmp_path: Path, data: bytes) -> None:
    assert_sound(check(tmp_path, data), data)


@settings(RELAXED, max_examples=150)
@given(
    text=st.sampled_from(GOOD),
    cuts=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 12), st.one_of(st.just(""), WORDS)),
        min_size=1,
        max_size=4,
    ),
)
def test_a_good_file_with_random_changes(
    tmp_path: Path, text: str, cuts: list[tuple[float, int, str]]
) -> None:
    for where, length, new in cuts:
        at = int(where * len(text))
        text = text[:at] + new + text[at + length :]
    data = text.encode(errors="replace")
    assert_sound(check(tmp_path, data), data)


@settings(RELAXED, max_examples=100)
@given(data=st.sampled_from(BAD), swap=st.tuples(st.integers(0), st.integers(0)))
def test_a_bad_file_with_two_lines_exchanged(
    tmp_path: Path, data: bytes, swap: tuple[int, int]
) -> None:
    lines = data.split(b"\n")
    left, right = (number % len(lines) for number in swap)
    lines[left], lines[right] = lines[right], lines[left]
    changed = b"\n".join(lines)
    assert_sound(check(tmp_path, changed), changed)


KEYS = " ".join(
    [
        "id action with foreach in key switch cases default group parallel playbook wait for until",
        "query becomes stays read within every gate role approvals manual restore end reason when",
        "retry attempts verify bounds undo steps rescue finally inputs properties type required",
        "defaults vars budget outputs rules conditions name matchers schedule cron priority P0",
        "condition any all none labels expr is connection params",
        "$ref $defs default enum pattern items minimum additionalProperties",
    ]
).split()


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-10, 10),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["5m", "{{ inputs.x }}", "{{ steps.a }}", "x", "", "> 1", "sre", "a.b"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=25,
)


@settings(RELAXED, max_examples=200)
@given(
    value=st.dictionaries(
        st.sampled_from(["playbook", "steps", "rescue", "rules", "conditions"]), JSON
    )
)
def test_any_shape_gives_diagnostics_only(tmp_path: Path, value: dict[str, object]) -> None:
    import json

    data = json.dumps(value).encode()
    assert_sound(check(tmp_path, data), data)


@given(st.text(max_size=200))
@settings(RELAXED, max_examples=200)
def test_composing_never_raises(text: str) -> None:
    root, found = compose(text, "x.yaml")
    assert (
        root is not None
        or found
        or not text.strip()
        or text.lstrip().startswith(("#", "%", "-", "."))
    )
