"""How a rehearsal describes a cluster."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from worlds.rehearsal.specs import Span, Spec


class FateSpec(Spec):
    """What becomes of a pod: of those whose `when` holds, the first that is not used up."""

    state: Literal["Running", "ImagePullBackOff", "Unschedulable", "NotReady"] = Field(
        "Running", description="NotReady runs and never becomes ready"
    )
    exit_code: int | None = Field(None, description="How its containers end")
    reason: str | None = Field(None, description="Why", examples=["OOMKilled"])
    after: Span | None = Field(None, description="How long it runs", examples=["4m"])
    ready_after: Span = Field(0.0, description="How long after its start it is ready")
    logs: str = Field("", description="What it writes at its end")
    container: str | None = Field(None, description="Only this container; all where left out")
    when: str | None = Field(
        None,
        description="An expression over limits, requests, env, image, args (of the container, or the first) "
        "and pod",
        examples=["limits.memory | quantity < '2Gi' | quantity"],
    )
    times: int | None = Field(None, ge=1, description="To how many pods; all where left out")


class ProgramSpec(Spec):
    """How a program ends that is run in a pod."""

    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""
    seconds: Span = 0.0


class ClusterSpec(Spec):
    """A cluster."""

    namespace: str = Field("default", description="Of objects that name none")
    objects: list[dict[str, Any]] = Field(
        [],
        description="Kubernetes objects; apiVersion may be left out, `name:` stands for metadata",
    )
    files: list[str] = Field([], description="Files of objects beside the rehearsal")
    jobs: dict[str, list[FateSpec]] = Field(
        {}, description="What becomes of the pods of a CronJob or Job, by its name"
    )
    pods: dict[str, list[FateSpec]] = Field(
        {}, description="What becomes of the pods of a Deployment or other workload, by its name"
    )
    programs: dict[str, ProgramSpec] = Field(
        {}, description="What programs say that are run in pods, by name"
    )
    settle: Span = Field(120.0, description="How long it has been running at the beginning; 2m")

    def holds(self, target: str) -> bool | None:
        namespace, _, rest = target.partition("/")
        if self.files or rest.partition("/")[0] in _MADE:
            return None
        return any(_target(item, self.namespace) == (namespace, rest) for item in self.objects)


_MADE = frozenset({"Pod", "Job", "ReplicaSet"})  # what controllers make


def _target(item: dict[str, Any], namespace: str) -> tuple[str, str]:
    metadata = item.get("metadata") or {}
    name = item.get("name", metadata.get("name"))
    return metadata.get("namespace", namespace), f"{item.get('kind')}/{name}"
