"""`python -m bench.authoring`: what those who write playbooks wait for.

Checking all that ships, beside a bare reading of the same files in the same run; a rehearsal of a playbook that
takes an hour; chaos over a playbook of 20 steps; a backtest of 100 rules over a month. Times are medians; the
processor time, of all processes of a measurement, is moved less by other work on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stdout
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

from engine.edges.cli.main import run

ROOT = Path(__file__).parents[1]
HOUR = ROOT / "playbooks" / "etl" / "re-enable.rehearsal.yaml"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Figure:
    """Seconds on the clock and of the processors; `target` is of the clock, on two cores of a quiet machine."""

    name: str
    seconds: float
    processor: float
    target: float | None = None


def timed(
    name: str, work: Callable[[], object], rounds: int, target: float | None = None
) -> Figure:
    """Return the medians over the rounds."""
    taken = []
    for _ in range(rounds):
        began, spent = time.perf_counter(), _processor()
        work()
        taken.append((time.perf_counter() - began, _processor() - spent))
    seconds, processor = (statistics.median(each) for each in zip(*taken, strict=True))
    return Figure(name, seconds, processor, target)


def _processor() -> float:
    """Seconds of this process and of its ended children."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def stanch(*arguments: str) -> dict[str, Any]:
    """Run the command line in this process and return its document.

    Raises:
        RuntimeError: it did not end well: its time would be worthless.
    """
    out = StringIO()
    with redirect_stdout(out):
        code = run([*arguments, "--json"])
    if code:
        raise RuntimeError(
            f"stanch {' '.join(arguments)} ended with {code}\n{out.getvalue()[:3000]}"
        )
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def measure(rounds: int, steps: int, rules: int, days: int, packs: list[str]) -> Iterator[Figure]:
    """Yield the figures; `packs` are the folders of playbooks that are checked."""
    paths = [str(ROOT / folder / pack) for pack in packs for folder in ("playbooks", "rules")]
    files = [file for path in paths for file in Path(path).rglob("*.yaml")]
    shipped = ("--config", str(ROOT / "config.example.yaml"))
    yield timed("a bare reading of the files that are checked", lambda: _read(files), rounds)
    yield timed("check", lambda: stanch(*shipped, "check", *paths), rounds, 1.0)
    played: list[float] = []

    def play() -> None:
        found = stanch(*shipped, "rehearse", str(HOUR), "-k", "stays healthy", "--jobs", "1")
        played.extend(one["seconds"] for one in found["results"])

    whole = timed("rehearse, the command with its loading", play, rounds)
    yield Figure(
        "a rehearsal of a playbook of an hour", statistics.median(played), whole.processor, 0.2
    )
    yield whole
    with tempfile.TemporaryDirectory(prefix="stanch-bench-") as folder, chdir(folder):
        _write_long(steps)
        yield timed(f"chaos over {steps} steps", lambda: stanch("rehearse", "--chaos"), 1, 60.0)
    with tempfile.TemporaryDirectory(prefix="stanch-bench-") as folder, chdir(folder):
        _write_past(rules, days)
        asked = ("backtest", "--webhooks", "past.jsonl")
        yield timed(
            f"backtest of {rules} rules over {days} days", lambda: stanch(*asked), rounds, 5.0
        )


def _read(files: list[Path]) -> None:
    for file in files:
        for _ in yaml.load_all(file.read_text(), Loader=_Loader):
            pass


def _write_long(steps: int) -> None:
    """Write a playbook of many changes, and its rehearsal."""
    names = [f"w{n}" for n in range(steps)]
    each = {"action": "kubernetes.scale"}
    with_ = [{"kind": "Deployment", "name": name, "replicas": 1} for name in names]
    playbook = {
        "playbook": "long",
        "defaults": {"kubernetes": {"connection": "cluster", "namespace": "shop"}},
        "steps": [{"id": one["name"], **each, "with": one} for one in with_],
    }
    objects = [{"kind": "Deployment", "name": name, "spec": {"replicas": 3}} for name in names]
    target = "shop/Deployment/{}"
    changes = [{"target": target.format(name), "set": {"replicas": [3, 1]}} for name in names]
    rehearsal = {
        "rehearsal": "many steps",
        "playbook": "long",
        "world": {"cluster": {"namespace": "shop", "objects": objects}},
        "expect": {"run": "succeeded", "changes": changes},
    }
    cluster = {"kind": "kubernetes", "server": "http://127.0.0.1:1", "token": {"env": "UNUSED"}}
    _write("stanch.yaml", {"rules": [], "connections": {"cluster": cluster}})
    _write("playbooks/long.yaml", playbook)
    _write("playbooks/long.rehearsal.yaml", rehearsal)


def _write_past(rules: int, days: int) -> None:
    """Write rules, and webhooks of a past in which each of them meets an alert a day."""
    listed = [
        {"name": f"r{n}", "matchers": [f'alertname="A{n}"'], "mode": "auto", "playbook": "note"}
        for n in range(rules)
    ]
    step = {"id": "a", "action": "log.decision"}
    fields = {"connection": "decisions", "fields": {"a": "b"}}
    _write("stanch.yaml", {"connections": {"decisions": {"kind": "decisions", "path": "log"}}})
    _write("rules/r.yaml", {"rules": listed})
    _write("playbooks/note.yaml", {"playbook": "note", "steps": [{**step, "with": fields}]})
    began = datetime(2026, 10, 1, tzinfo=UTC)
    with Path("past.jsonl").open("w") as file:
        for n in range(days):
            fired = began + timedelta(days=n)
            for status, at in (("firing", fired), ("resolved", fired + timedelta(hours=1))):
                alerts = [_alert(one, status, fired, at) for one in range(rules)]
                file.write(json.dumps({"version": "4", "groupLabels": {}, "alerts": alerts}) + "\n")


def _alert(number: int, status: str, fired: datetime, at: datetime) -> dict[str, Any]:
    labels = {"alertname": f"A{number}"}
    times = {"startsAt": fired.isoformat(), "endsAt": at.isoformat()}
    return {"status": status, "labels": labels, "annotations": {}, **times}


def _write(name: str, document: object) -> None:
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document))


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.authoring", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only show that everything runs")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    os.environ.pop("STANCH_CONFIG", None)
    os.environ["UNUSED"] = "of a world that is played"
    packs = [path.name for path in sorted((ROOT / "playbooks").iterdir()) if path.is_dir()]
    size: dict[str, Any] = {"rounds": 3, "steps": 20, "rules": 100, "days": 30, "packs": packs}
    if options.quick:
        size = {"rounds": 1, "steps": 1, "rules": 2, "days": 1, "packs": ["etl"]}
    figures = list(measure(**size))
    if options.json:
        sys.stdout.write(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")
        return 0
    sys.stdout.write(f"{'':<46}{'seconds':>10}{'processor':>11}{'target':>8}\n")
    for one in figures:
        target = f"{one.target:g}" if one.target is not None else ""
        sys.stdout.write(f"{one.name:<46}{one.seconds:>10.2f}{one.processor:>11.2f}{target:>8}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
