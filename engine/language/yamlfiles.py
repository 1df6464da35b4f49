"""Reads a YAML file from the disk, whole or not at all, and reports what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from engine.language.diagnostics import Diagnostic, Report
from engine.language.yamlcompose import MAX_BYTES, compose_all, second_document
from engine.language.yamlnodes import Node


def read_document(path: Path, name: str, report: Report, *, begin: str) -> Node | None:
    """Read a file that may hold one document; None where nothing of it can be used.

    Args:
        name: what messages call the file.
        begin: what such a file begins with, for whoever left it empty.
    """
    roots = read_documents(path, name, report, begin=begin)
    if len(roots) > 1:
        report.diagnostics.append(second_document(roots[1]))
    return roots[0] if roots else None


def read_documents(path: Path, name: str, report: Report, *, begin: str) -> list[Node]:
    """Read every document of a file; arguments as `read_document`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        report.diagnostics.append(Diagnostic(name, 1, 1, message, hint="check its rights"))
        return []
    roots, found = compose_all(data, name)
    report.diagnostics += found
    if not roots and not found:
        hint = f"begin with {begin}, or remove the file"
        report.diagnostics.append(Diagnostic(name, 1, 1, "the file is empty", hint=hint))
    return roots
