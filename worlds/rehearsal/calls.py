"""What a call to an HTTP service is like in a rehearsal, and what answers it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from worlds.rehearsal.specs import After, Span, Spec


class Call(Spec):
    """A call and its answer. The first that fits answers; one with `after` comes first once it holds."""

    method: str = Field("GET", description="The method", examples=["POST"])
    path: str = Field(description="The path; * stands for any characters", examples=["/v1/jobs/*"])
    query: dict[str, Any] = Field({}, description="Of the query, at least this")
    body: Any = Field(None, description="Of the JSON that is sent, at least this")
    status: int = Field(200, ge=100, le=599, description="The answer's status")
    json_: Any = Field(None, alias="json", description="The answer's JSON")
    text: str | None = Field(None, description="The answer's text, instead of JSON")
    headers: dict[str, str] = Field({}, description="The answer's headers")
    times: int | None = Field(None, ge=1, description="How often it answers; always where left out")
    slow: Span = Field(0.0, description="How long the answer takes")
    drop: Literal["before", "after"] | None = Field(
        None, description="The connection breaks before the call has an effect, or after it"
    )
    reads: bool = Field(False, description="It changes nothing, although the method could")
    after: After | None = Field(None, description="Holds only after a step")
    optional: bool = Field(False, description="It need not be asked for")

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.json_ is not None and self.text is not None:
            raise ValueError("give json or text, one of them")
        return self

    @property
    def title(self) -> str:
        return f"{self.method} {self.path}"
