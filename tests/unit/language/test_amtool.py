"""Matchers agree with Alertmanager's own: amtool decides the same routes for the same labels."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from engine.language.matcherreading import parse_matchers
from engine.language.matchers import MatcherError, matches_all

pytestmark = pytest.mark.real

# Debian's amtool (0.25) knows the classic reading only; UTF-8 names are tested by the grammar alone.
ACCEPTED = [
    'a="b"',
    "a=b",
    'a!="b"',
    "a=~b",
    'a=~"b.*"',
    'a!~"b|c"',
    "a=~b+",
    'a=~"[bc]d?"',
    'a=~"^b$"',
    'a=~"^b|c$"',
    'a=~"(?i)B"',
    'a=~"b|"',
    'a=~".+"',
    'a=~".*"',
    'a=~""',
    'a=~"\\d+"',
    'a=~"\\\\d+"',
    'a=~"\\w+\\s\\w+"',
    'a=~"\\pL+"',
    'a=~"[[:alpha:]]+"',
    'a=~"x{2,3}"',
    'a=~"\\Qb.c\\E"',
    'a=~"b.c"',
    'a=~"b\\.c"',
    'a=~"(?s)b.c"',
    'a=~"b(c|d)*"',
    'a=~"(?U)b.*"',
    'a=~"b|cd.*"',
    'a="b c"',
    "a=b c",
    "a='b'",
    'a="x\\"y"',
    'a="x\\ny"',
    'a="x\\\\y"',
    'a="x\\y"',
    "a=x\\y",
    '{a="b",c="d"}',
    '{a="b",c="d",}',
    'a="b", c!="d"',
    'a="b,c"',
    "a=[b]{2}x",
    "a=~[b]{2}",
    'c=""',
    'c!=""',
    'c=~"d|"',
    'a="é"',
    " a = b ",
]
REFUSED = [
    'a=~"(b"',
    'a=~"b)"',
    'a=~"*b"',
    'a=~"b**"',
    'a=~"(?=b)"',
    'a=~"(?!b)"',
    'a=~"(?<=b)c"',
    'a=~"(?>b)"',
    'a=~"b++"',
    'a=~"[b"',
    'a=~"[c-b]"',
    'a=~"b{1001}"',
    'a=~"\\8"',
    'a=~"\\C"',
    'a="b"c"',
    'a="b',
    "a",
    "a=b,,c=d",
]
LABELS = [
    *(
        {"a": v}
        for v in ("b", "B", "bc", "c", "bd", "b c", "'b'", "12", "é", "b,c", "[b]{2}x", "xx")
    ),
    *(
        {"a": v}
        for v in ("b.c", "bxc", 'x"y', "x\\y", "bcdcd", "cd", "bb", "bbb", "b|", "xxxx", "\\d+")
    ),
    {"a": "b", "c": "d"},
    {"a": "b", "c": "e"},
    {"c": "d"},
]


def amtool() -> str:
    found = shutil.which("amtool")
    if found is None:
        pytest.skip("amtool is missing: apt-get install prometheus-alertmanager")
    return found


def config(path: Path, matchers: list[str]) -> Path:
    names = [f"r{number}" for number in range(len(matchers))]
    routes = [
        {"receiver": name, "matchers": [text], "continue": True}
        for name, text in zip(names, matchers, strict=True)
    ]
    route = {"receiver": "none", "routes": routes}
    receivers = [{"name": name} for name in ("none", *names)]
    path.write_text(yaml.safe_dump({"route": route, "receivers": receivers}))
    return path


def test_the_same_routes_are_taken(tmp_path: Path) -> None:
    tool = amtool()
    path = config(tmp_path / "am.yml", ACCEPTED)
    parsed = [parse_matchers(text) for text in ACCEPTED]
    wrong = []
    for labels in LABELS:
        arguments = [f'{name}="{_escaped(value)}"' for name, value in labels.items()]
        done = subprocess.run(
            [tool, "config", "routes", "test", f"--config.file={path}", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        taken = set(done.stdout.strip().split(",")) - {"none"}
        ours = {f"r{n}" for n, matchers in enumerate(parsed) if matches_all(matchers, labels)}
        wrong += [(ACCEPTED[int(name[1:])], labels, name in taken) for name in taken ^ ours]
    assert wrong == []


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def test_the_same_texts_are_refused(tmp_path: Path) -> None:
    tool = amtool()
    agreed = []
    for text in REFUSED:
        with pytest.raises(MatcherError):
            parse_matchers(text)
        path = config(tmp_path / "am.yml", [text])
        done = subprocess.run(
            [tool, "check-config", str(path)], capture_output=True, text=True, check=False
        )
        agreed.append((text, done.returncode != 0))
    assert agreed == [(text, True) for text in REFUSED]
