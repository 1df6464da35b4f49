"""What becomes of a pod's containers: by script, by annotation, or they simply run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from engine.domain.canonical import JsonObject

ANNOTATION = "fake-kubelet/"
UNPULLABLE = "does-not-exist"  # an image of this name cannot be pulled
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Fate:
    """What happens to the containers of a pod.

    Attributes:
        state: `Running`, `ImagePullBackOff`, `Unschedulable` or `NotReady` (runs, never ready);
            ends are given by `exit_code`.
        exit_code: how the containers end; None: they do not end, or end with 0 in a job.
        reason: `OOMKilled`, `Error`, `Completed`; None takes the usual one for the code.
        after: seconds from start to end; None: the cluster's usual time.
        ready_after: seconds from start to readiness.
        logs: what the containers write at their end.
        container: the container it happens to; None: all of them.
        when: asked with the pod at its start; the script's first fate that says yes happens.
        times: how many pods it happens to; None: all.
    """

    state: str = "Running"
    exit_code: int | None = None
    reason: str | None = None
    after: float | None = None
    ready_after: float = 0.0
    logs: str = ""
    container: str | None = None
    when: Callable[[JsonObject], bool] | None = field(default=None, compare=False)
    times: int | None = None

    def ends(self, container: str) -> bool:
        return self.container in (None, container)


class Fates:
    """Scripts by owner: a pod follows that of its CronJob, Job or Deployment, else its annotations."""

    def __init__(self) -> None:
        self._scripts: dict[str, list[Fate]] = {}
        self._used: dict[tuple[str, int], int] = {}

    def script(self, owner: str, fates: list[Fate]) -> None:
        """Set what happens to pods of `owner`, a name or `namespace/name`; earlier scripts are replaced."""
        self._scripts[owner] = list(fates)
        self._used = {place: used for place, used in self._used.items() if place[0] != owner}

    def respeak(self, owner: str, fates: list[Fate]) -> None:
        """Put the same fates, made anew, in their place; how often each happened is kept."""
        self._scripts[owner] = list(fates)

    def of(self, pod: JsonObject, owners: list[str]) -> Fate:
        """Return the fate of a pod that starts now. `owners` are its owners' names, nearest first.

        A pod that nobody owns follows the script of its own name, with or without the last part of it.
        """
        namespace, own = pod["metadata"]["namespace"], pod["metadata"]["name"]
        for owner in owners or [own, own.rpartition("-")[0]]:
            for name in (f"{namespace}/{owner}", owner):
                for index, fate in enumerate(self._scripts.get(name, ())):
                    if self._takes((name, index), fate, pod):
                        return fate
        return _annotated(pod)

    def _takes(self, place: tuple[str, int], fate: Fate, pod: JsonObject) -> bool:
        used = self._used.get(place, 0)
        if fate.times is not None and used >= fate.times:
            return False
        if fate.when is not None and not fate.when(pod):
            return False
        self._used[place] = used + 1
        return True


def _annotated(pod: JsonObject) -> Fate:
    annotations = pod["metadata"].get("annotations") or {}
    state = annotations.get(f"{ANNOTATION}state", "Running")
    code = annotations.get(f"{ANNOTATION}exit-code")
    after = annotations.get(f"{ANNOTATION}after")
    ready = annotations.get(f"{ANNOTATION}ready-after")
    logs = annotations.get(f"{ANNOTATION}logs", "")
    images = [container.get("image") or "" for container in pod["spec"].get("containers") or []]
    if any(UNPULLABLE in image for image in images):
        state = "ImagePullBackOff"
    seconds = read_seconds(after) if after else None
    ready_after = read_seconds(ready) if ready else 0.0
    if state == "OOMKilled":
        return Fate(exit_code=137, reason=state, after=seconds or 0.0, logs=logs)
    if state in ("CrashLoopBackOff", "Error"):
        return Fate(exit_code=int(code or 1), reason="Error", after=seconds or 0.0, logs=logs)
    if state in ("ErrImagePull", "ImagePullBackOff"):
        return Fate(state="ImagePullBackOff")
    exit_code = int(code) if code is not None else None
    return Fate(state, exit_code, after=seconds, ready_after=ready_after, logs=logs)


def read_seconds(text: str) -> float:
    """Read `90`, `90s`, `15m` or `2h` into seconds."""
    unit = _UNITS.get(text[-1:], 0.0)
    return float(text[:-1]) * unit if unit else float(text)


def read_fate(value: Mapping[str, object]) -> Fate:
    """Read a fate from JSON, as the control endpoint takes it.

    Raises:
        ValueError: an unknown name or a value of the wrong type.
    """
    known = {"state", "exit_code", "reason", "after", "ready_after", "logs", "container", "times"}
    unknown = set(value) - known
    if unknown:
        raise ValueError(f"unknown in a fate: {', '.join(sorted(unknown))}; known: {sorted(known)}")
    values = dict(value)
    for name in ("after", "ready_after"):
        if isinstance(values.get(name), str):
            values[name] = read_seconds(str(values[name]))
    return Fate(**values)  # type: ignore[arg-type]
