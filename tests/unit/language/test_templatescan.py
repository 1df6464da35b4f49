"""Finding expressions in texts."""

from __future__ import annotations

from engine.language.templatescan import is_template, scan


def test_scan_gives_positions() -> None:
    text = "a {{ x }} b {{ '}}' }}{{ {'a': {}} }}"
    found = scan(text)
    assert [inner for _, _, inner in found] == [" x ", " '}}' ", " {'a': {}} "]
    assert [text[start:end] for start, end, _ in found] == [
        "{{ x }}",
        "{{ '}}' }}",
        "{{ {'a': {}} }}",
    ]
    assert scan("no") == []
    assert is_template("a {{ b }}")
    assert is_template("{%")
    assert not is_template("{a}")
    assert not is_template(3)
