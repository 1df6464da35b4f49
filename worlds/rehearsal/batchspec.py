"""What a provider of batches holds at a rehearsal's beginning, as it stands in YAML."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from worlds.batches.provider import Course, Failure
from worlds.rehearsal.specs import Span, Spec


class FailureSpec(Spec):
    """How an item fails."""

    status: int = Field(500, ge=100, le=599, description="The item's status")
    code: str = Field("server_error", description="The error's code")
    message: str = Field("The server had an error", description="What the error says")


class CourseSpec(Spec):
    """What becomes of a batch."""

    starts: Span = Field(60.0, description="How long it is validated")
    takes: Span = Field(3600.0, description="How long after its making it has ended")
    ends: Literal["completed", "failed", "expired"] = Field("completed", description="How it ends")
    failures: dict[str, FailureSpec] = Field({}, description="Items that fail, by custom id")
    errors: list[dict[str, Any]] = Field(
        [], description="Why the provider refused it", examples=[[{"code": "token_limit_exceeded"}]]
    )

    def course(self) -> Course:
        failures = {name: Failure(**one.model_dump()) for name, one in self.failures.items()}
        return Course(self.starts, self.takes, self.ends, failures, self.errors)


class BatchSpec(CourseSpec):
    """A batch that is there at the beginning. Its items are item-1, item-2, …"""

    items: int = Field(ge=0, description="How many items it has")
    age: Span = Field(0.0, description="How long ago it was made")
    status: str | None = Field(
        None, description="Its state, for good; by its course where left out"
    )
    of: str | None = Field(None, description="The batch whose items it submits again for a step")
    endpoint: str = Field("/v1/chat/completions", description="Where its items go")


class BatchApiSpec(Spec):
    """A provider with OpenAI's Batch API: `openai.*` read it, and submit and cancel for real."""

    batches: dict[str, BatchSpec] = Field({}, description="Batches by id, oldest first")
    courses: list[CourseSpec] = Field(
        [], description="What becomes of batches made later, one each; the last one stays"
    )

    @model_validator(mode="after")
    def _ids(self) -> Self:
        wrong = next((name for name in self.batches if not name.startswith("batch_")), None)
        if wrong is not None:
            raise ValueError(f"a batch's id begins with batch_, unlike {wrong!r}")
        return self
