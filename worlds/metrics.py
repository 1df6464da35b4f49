"""A stand-in for Prometheus where it is not installed: the query API over one exporter's own numbers.

It samples the exporter and answers `/api/v1/query` for sums of rates, increases and plain values, and for
quotients of those and numbers, which is what the etl pack asks. Everything else is refused as bad data.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from worlds.loopback import Loopback, QuietHandler

_LINE = re.compile(r"^([a-z_]+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
_TERM = re.compile(
    r"""sum\(\s*(?:(?P<fn>rate|increase)\(\s*)?(?P<metric>[a-z_]+)(?:\{[^}]*\})?
        (?:\[(?P<window>[0-9smhd]+)\]\s*\))?\s*\)""",
    re.VERBOSE,
)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_KEEP = 3600  # seconds of samples

Sample = tuple[float, Mapping[str, float]]


class NotUnderstood(ValueError):
    """The query is more than this stand-in can answer."""


class StandInPrometheus(Loopback):
    """Serves the query API on a free port of 127.0.0.1.

    Args:
        read: returns the metrics in Prometheus's text format.
        interval: seconds between two samples.
    """

    def __init__(self, read: Callable[[], str], *, interval: float = 0.5) -> None:
        self._read = read
        self._interval = interval
        self._samples: deque[Sample] = deque(maxlen=int(_KEEP / interval))
        self._stopped = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        super().__init__(_handler(self))

    def value(self, query: str) -> float | None:
        """Return the query's value now, None where there is none.

        Raises:
            NotUnderstood: the query is more than sums of rates and their quotients.
        """
        values = [self._term(part.strip()) for part in _parts(query)]
        first, *rest = values
        for divisor in rest:
            if first is None or divisor is None or divisor == 0:
                return None
            first /= divisor
        return first

    def _term(self, text: str) -> float | None:
        with contextlib.suppress(ValueError):
            return float(text)
        match = _TERM.fullmatch(text)
        if match is None or (match["fn"] is None) != (match["window"] is None):
            raise NotUnderstood(f"this stand-in cannot answer {text!r}; install prometheus")
        name = match["metric"]
        if match["fn"] is None:
            return self._samples[-1][1].get(name) if self._samples else None
        window = _seconds(match["window"])
        inside = [one for one in list(self._samples) if one[0] >= time.monotonic() - window]
        if len(inside) < 2 or name not in inside[-1][1]:
            return None
        grown = inside[-1][1][name] - inside[0][1].get(name, 0.0)
        return grown / (inside[-1][0] - inside[0][0]) if match["fn"] == "rate" else grown

    def _sample(self) -> None:
        while not self._stopped.wait(self._interval):
            sums: dict[str, float] = {}
            for name, value in _LINE.findall(self._read()):
                sums[name] = sums.get(name, 0.0) + float(value)
            self._samples.append((time.monotonic(), sums))

    def __enter__(self) -> Self:
        self._sampler.start()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        super().__exit__(kind, error, trace)
        self._sampler.join(5)


def _parts(query: str) -> list[str]:
    """Split at the divisions that stand outside quotes."""
    return re.split(r"/(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", query)


def _seconds(text: str) -> float:
    return sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)(ms|[smhd])", text))


def _handler(owner: StandInPrometheus) -> type[QuietHandler]:
    class Handler(QuietHandler):
        def serve(self) -> None:
            path, asked = urlsplit(self.path).path, urlsplit(self.path).query
            encoded = self.content().decode() if self.command == "POST" else asked
            if path in {"/-/ready", "/-/healthy"}:
                self.document(200, {"status": "success"})
                return
            query = parse_qs(encoded).get("query", [""])[0]
            if path != "/api/v1/query":
                self.document(404, {"status": "error", "error": f"no {path} here"})
                return
            try:
                value = owner.value(query)
            except NotUnderstood as error:
                self.document(
                    400, {"status": "error", "errorType": "bad_data", "error": str(error)}
                )
                return
            now = time.time()
            result = [] if value is None else [{"metric": {}, "value": [now, repr(value)]}]
            data = {"resultType": "vector", "result": result}
            self.document(200, {"status": "success", "data": data})

    return Handler
