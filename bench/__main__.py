"""`python -m bench`: speed against a bare floor measured in the same run (targets: docs/operations.md)."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from bench.measure import Bench, Size
from bench.report import Line, say, show
from bench.subjects import FloorProcess, StanchProcess


def measure(bench: Bench) -> list[Line]:
    """Measure everything and return the lines of the table."""
    bench.say("floor: a bare server that stores, then acts")
    with FloorProcess(bench.folder / "floor", bench.effects) as floor:
        floor_50, floor_99 = bench.latency(floor)
        floor_one, floor_ten = bench.throughput(floor, 1), bench.throughput(floor, 10)
    bench.say("stanch serve: latency, intake, runs")
    size = bench.size
    folder, steps = bench.folder / "stanch", max(2, size.steps)
    with StanchProcess(folder, bench.effects, steps=steps, urgent=bench.urgent) as stanch:
        at_rest = stanch.memory_mb()
        p50, p99 = bench.latency(stanch)
        paced_50, paced_99 = bench.latency(stanch, rate=100)
        one, ten = bench.throughput(stanch, 1), bench.throughput(stanch, 10)
        alone, at_load = bench.step_ms(stanch)
        urgent, busy = bench.urgent_ms(stanch)
        worked = stanch.memory_mb()
    bench.say("start, recovery after kill -9")
    start = bench.start_s(stanch.ready_s)
    recovery = bench.recovery()
    bench.say("matching")
    matching = bench.matching_us()
    return [
        Line("accepted, one alert a POST", one.accepted, "/s", "high", floor_one.accepted / 2,
             floor_one.accepted / 4, floor_one.accepted),
        Line("accepted, ten alerts a POST", ten.accepted, "/s", "high", floor_ten.accepted / 2,
             floor_ten.accepted / 4, floor_ten.accepted),
        Line("POST to first effect, p50", p50, "ms", "low", 3, 10, floor_50),
        Line("POST to first effect, p99", p99, "ms", "low", 15, None, floor_99),
        Line("the same at 100 alerts a second, p50", paced_50, "ms", "low"),
        Line("the same at 100 alerts a second, p99", paced_99, "ms", "low"),
        Line("complete runs, one alert a POST", one.acted, "/s", "high", 2000, 500,
             floor_one.acted),
        Line("complete runs, ten alerts a POST", ten.acted, "/s", "high", 4000, 500,
             floor_ten.acted),
        Line(f"P0 amid {size.storm:,} alerts, POST to effect, worst, at load {busy:.1f}", urgent,
             "ms", "low", 1000),
        Line("durable step, alone", alone, "ms", "low", 1),
        Line("durable step, at load", at_load, "ms", "low", 0.5),
        Line("matching, 1 rule", matching[1], "µs", "low"),
        Line("matching, 100 rules", matching[100], "µs", "low"),
        Line("matching, 10,000 rules", matching[10_000], "µs", "low", 50),
        Line("start to ready", start, "s", "low", 1.5, 3),
        Line("memory, ready", at_rest, "MB", "low", 150, 200),
        Line("memory, after the load", worked, "MB", "low"),
        Line("processor time a run, one alert a POST", one.cpu_us, "µs", "low", None, None,
             floor_one.cpu_us),
        Line("processor time a run, ten alerts a POST", ten.cpu_us, "µs", "low", None, None,
             floor_ten.cpu_us),
        Line(f"kill -9: all {recovery.cut} cut runs taken up", recovery.resumed, "s", "low", 2),
        Line(f"kill -9: all {recovery.cut} cut runs ended", recovery.ended, "s", "low"),
    ]  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Measure and print. Returns 0; with --check 1 where a line of what may not be missed was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only show that everything runs")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--check",
        action="store_true",
        help="exit 1, naming them, where figures may not be so and are",
    )
    options = parser.parse_args(arguments)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

    with tempfile.TemporaryDirectory(prefix="stanch-bench-") as folder:
        lines = measure(Bench(Path(folder), Size.of(quick=options.quick), say))
    show(lines, as_json=options.json, width=130)
    missed = [line for line in lines if line.stands == "MISSED"] if options.check else []
    for line in missed:
        sys.stderr.write(f"missed: {line.told}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
