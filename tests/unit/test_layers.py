"""A module imports only what lies below it (DESIGN 4)."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ["domain", "language", "contract", "planning", "journal", "running", "incidents", "edges"]
DOMAIN_MAY = {"pydantic"}


@cache
def statements(path: Path) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """Every import of a file, wherever it stands."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return tuple(node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))


def imports(path: Path) -> Iterator[str]:
    for node in statements(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def modules(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found, f"no modules in {folder}: the test looks in the wrong place"
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_engine_layer_imports_only_lower_layers(layer: str) -> None:
    allowed = set(LAYERS[: LAYERS.index(layer) + 1])
    # Contract lies above language but needs nothing of it: plugins must not drag the loader in.
    if layer == "contract":
        allowed.discard("language")
    wrong = []
    for path in modules(f"engine/{layer}"):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "engine" and len(parts) > 1 and parts[1] not in allowed:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
            if parts[0] == "actions":
                wrong.append(
                    f"{path.relative_to(ROOT)} imports {name}: plugins come by entry point"
                )
            if parts[0] == "worlds" and layer != "edges":
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_domain_imports_the_standard_library_and_pydantic_only() -> None:
    import sys

    allowed = set(sys.stdlib_module_names) | DOMAIN_MAY | {"engine"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("engine/domain")
        for name in imports(path)
        if name.split(".")[0] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_actions_import_contract_and_domain_only() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("actions")
        for name in imports(path)
        if (name.startswith("engine.") and name.split(".")[1] not in {"contract", "domain"})
        or name.split(".")[0] == "worlds"
    ]
    assert not wrong, "\n".join(wrong)


def test_worlds_import_nothing_of_the_engine_but_the_domain() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("worlds")
        for name in imports(path)
        if (name.startswith("engine.") and name.split(".")[1] != "domain")
        or name.split(".")[0] == "actions"
    ]
    assert not wrong, "\n".join(wrong)


def test_no_modules_import_one_another_in_a_circle() -> None:
    """Also where the import is for types alone: who reads one of a circle has to read them all.

    A package's own `__init__` is left out: it names its modules for others, and they lie below it.
    """
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for folder in ("engine", "actions", "worlds", "bench")
        for path in modules(folder)
        if path.name != "__init__.py"
    }
    graph = {name: _imported(path) & files.keys() - {name} for name, path in files.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def _imported(path: Path) -> set[str]:
    """Every module that a file may name, `from package import module` included."""
    found = set(imports(path))
    for node in statements(path):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found
