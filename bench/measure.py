"""The measurements. Each returns figures; none judges them."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import matching
from bench.subjects import FloorProcess, StanchProcess, effects_port, load


@dataclass(frozen=True)
class Size:
    """How much is done. `quick` shows that everything runs; its figures mean little."""

    rounds: int
    singles: int  # posts of the latency measurement
    posts: int  # posts of a throughput measurement
    steps: int
    starts: int
    storm: int  # alerts over 500 fingerprints and 20 groups

    @classmethod
    def of(cls, *, quick: bool) -> Size:
        return cls(1, 10, 40, 5, 0, 200) if quick else cls(3, 300, 2000, 100, 3, 10_000)


@dataclass(frozen=True)
class Throughput:
    """Alerts a second: accepted, and with their effect seen. `cpu_us`: the server's processor time (user
    and system, all threads) an alert, which other work on the machine moves less than it moves rates."""

    accepted: float
    acted: float
    cpu_us: float


@dataclass(frozen=True)
class Recovery:
    """After kill -9 in the middle of runs, seconds from the new start, and how many runs were cut."""

    resumed: float
    ended: float
    cut: int


_KINDS = 500  # of alerts in a storm


def percentile(values: list[float], share: float) -> float:
    """Return the value below which `share` of the values lie; NaN where there are none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Numbers:
    """Hands out alert numbers, so that no alert of a run comes twice."""

    def __init__(self) -> None:
        self._next = 1

    def take(self, count: int) -> int:
        first, self._next = self._next, self._next + count
        return first


class Bench:
    """Measures one subject after the other, in folders below `folder`."""

    def __init__(self, folder: Path, size: Size, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.size = size
        self.say = say
        self.numbers = Numbers()
        self.effects = effects_port()
        self.urgent = effects_port()

    # ------------------------------------------------------------ serving

    def latency(self, subject: FloorProcess | StanchProcess, rate: int = 0) -> tuple[float, float]:
        """Return (p50, p99) in ms from POST to first effect: one alert after the effect of the other, or
        `rate` alerts a second whatever became of those before."""
        pace: dict[str, Any] = {"every": 1 / rate} if rate else {"one_by_one": 1, "pause": 0.003}
        figures = load(
            subject,
            self.effects,
            posts=self.size.singles,
            first=self.numbers.take(self.size.singles),
            connections=4 if rate else 1,
            **pace,
        )
        _complete(figures, self.size.singles, subject)
        return percentile(figures["to_effect_ms"], 0.5), percentile(figures["to_effect_ms"], 0.99)

    def throughput(self, subject: FloorProcess | StanchProcess, per_post: int) -> Throughput:
        """Return medians over the rounds."""
        posts = max(10, self.size.posts // per_post)
        accepted, acted, spent = [], [], []
        for _ in range(self.size.rounds):
            alerts = posts * per_post
            before = cpu_s(subject)
            figures = load(
                subject,
                self.effects,
                posts=posts,
                per_post=per_post,
                connections=16,
                first=self.numbers.take(alerts),
                within=120,
            )
            _complete(figures, alerts, subject)
            accepted.append(alerts / figures["accepted_s"])
            acted.append(alerts / figures["effects_s"])
            spent.append((cpu_s(subject) - before) / alerts * 1e6)
        return Throughput(*map(statistics.median, (accepted, acted, spent)))

    def urgent_ms(self, stanch: StanchProcess) -> tuple[float, float]:
        """Return the worst time in ms from POST to effect of P0 alerts that come in the middle of a storm,
        and the machine's load meanwhile (processes that want to run, over the last minute)."""
        alerts, urgent = self.size.storm, 10
        with ThreadPoolExecutor(1) as pool:
            storm = pool.submit(
                load,
                stanch,
                self.effects,
                posts=alerts // 100,
                per_post=100,
                connections=4,
                alertname="BenchStorm",
                first=self.numbers.take(_KINDS),
                distinct=_KINDS,
                wanted=20,
                within=120,
            )
            figures = load(
                stanch,
                self.urgent,
                posts=urgent,
                pause=0.1,
                first=self.numbers.take(urgent),
                alertname="BenchUrgent",
            )
            _complete(storm.result(), 20, stanch)
        _complete(figures, urgent, stanch)
        return float(max(figures["to_effect_ms"])), os.getloadavg()[0]

    def step_ms(self, stanch: StanchProcess) -> tuple[float, float]:
        """Return what one durable step costs in ms: alone (one run), and at load (many runs at once)."""
        alone = []
        for _ in range(self.size.rounds):
            figures = self._many(stanch, 1, 1)
            alone.append(_span_ms(figures["seen"]) / (stanch.steps - 1))
        runs = max(4, self.size.steps // 4)
        figures = self._many(stanch, runs, 8)
        at_load = figures["effects_s"] * 1000 / (runs * stanch.steps)
        return statistics.median(alone), at_load

    def _many(self, stanch: StanchProcess, runs: int, connections: int) -> dict[str, Any]:
        figures = load(
            stanch,
            self.effects,
            posts=runs,
            connections=4,
            effects_each=stanch.steps,
            first=self.numbers.take(runs),
            alertname="BenchMany",
            within=120,
            seen=1,
        )
        _complete(figures, runs * stanch.steps, stanch)
        return figures

    # ------------------------------------------------------------ starting and crashing

    def start_s(self, first: float) -> float:
        """Return the median time from start to ready, the bench's own start counted in."""
        taken = [first]
        for n in range(self.size.starts):
            with StanchProcess(self.folder / f"start-{n}", self.effects) as stanch:
                taken.append(stanch.ready_s)
        return statistics.median(taken)

    def recovery(self) -> Recovery:
        """Kill -9 in the middle of runs and start again."""
        runs = max(4, self.size.steps)
        stanch = StanchProcess(self.folder / "crash", self.effects, steps=20)
        with stanch:
            _wait_for_load(self, stanch, runs)
            _wait_for_runs(stanch, runs)
            assert stanch.process is not None
            stanch.process.send_signal(signal.SIGKILL)
            stanch.process.wait()
            stanch.process = None
            cut = stanch.open_runs()
            began = time.monotonic()
            stanch.start()
            resumed = None
            while resumed is None or stanch.ended_runs() < runs:
                taken = time.monotonic() - began
                if resumed is None and _taken_up(cut, stanch.open_runs()):
                    resumed = taken
                if taken > 60:
                    ended = stanch.ended_runs()
                    raise RuntimeError(f"only {ended} of {runs} runs ended\n{stanch.tail()}")
                time.sleep(0.02)
            return Recovery(resumed, time.monotonic() - began, len(cut))

    def matching_us(self) -> dict[int, float]:
        """Return the microseconds an alert against 1, 100 and 10,000 rules."""
        return {count: matching.microseconds(count, self.size.rounds) for count in (1, 100, 10_000)}


def cpu_s(subject: FloorProcess | StanchProcess) -> float:
    """Return the processor seconds, user and system, that a running subject has used."""
    assert subject.process is not None
    text = Path(f"/proc/{subject.process.pid}/stat").read_text()
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _taken_up(cut: Mapping[str, int], now: Mapping[str, int]) -> bool:
    """Whether every cut run has a new owner or has ended. Recovery raises an epoch, and a claim again."""
    return all(
        run not in now or now[run] >= epoch + (2 if epoch else 1) for run, epoch in cut.items()
    )


def _wait_for_load(bench: Bench, stanch: StanchProcess, runs: int) -> None:
    """Post alerts and return while their runs are under way: accepted, not all ended."""
    figures = load(
        stanch,
        bench.effects,
        posts=runs,
        connections=8,
        effects_each=0,
        first=bench.numbers.take(runs),
        alertname="BenchMany",
    )
    if figures["refused"]:
        raise RuntimeError(f"{figures['refused']} posts were refused\n{stanch.tail()}")


def _wait_for_runs(stanch: StanchProcess, runs: int) -> None:
    """Return once every alert has its run; most of them are then in the middle of their steps."""
    until = time.monotonic() + 60
    while len(stanch.open_runs()) + stanch.ended_runs() < runs:
        if time.monotonic() > until:
            raise RuntimeError(f"not all of {runs} alerts were decided\n{stanch.tail()}")
        time.sleep(0.005)


def _complete(
    figures: dict[str, object], wanted: int, subject: FloorProcess | StanchProcess
) -> None:
    """A figure over lost or doubled work would be worthless.

    Raises:
        RuntimeError: posts were refused, effects are missing, or some came twice.
    """
    if figures["refused"] or figures["twice"] or figures["effects"] != wanted:
        raise RuntimeError(
            f"{subject.title}: {figures['effects']} of {wanted} effects, "
            f"{figures['refused']} posts refused, {figures['twice']} effects twice\n{subject.tail()}"
        )


def _span_ms(seen: object) -> float:
    assert isinstance(seen, dict)
    moments = list(seen.values())
    return float(max(moments) - min(moments)) / 1e6
