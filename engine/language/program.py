"""A playbook made ready to run: checked, sub-playbooks inlined, frozen as JSON in the run.

The loader makes a `Program`; planner and stepper walk it. Templates stay as the text that the author
wrote (`{{ … }}` inside any string of a Json field); `engine.language.templates` compiles and caches them.
Durations: a number is seconds; a string is a template that yields seconds.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.domain.canonical import digest

Duration = float | str
LONGEST_ONCE = 30 * 86400.0  # seconds that `foreach: {once: …}` reaches back at most
Expression = str  # a bare Jinja2 expression, without {{ }}


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Comparison(Frozen):
    """`< 0.01`: how a query's value is judged. An empty vector and NaN never satisfy it."""

    op: Literal["<", "<=", ">", ">=", "==", "!="]
    value: float


class Query(Frozen):
    """A query of a metrics connection. `params` are bound as `$name`, escaped into label values."""

    connection: str
    query: str
    params: dict[str, Any] = {}


class Verify(Frozen):
    """Asks whether a change helped."""

    query: Query
    becomes: Comparison
    within: Duration
    every: Duration = 30.0


class Retry(Frozen):
    """Overrides the category's default. `attempts` counts the first try."""

    attempts: int = 3
    backoff: Literal["none", "linear", "exponential"] = "exponential"
    delay: Duration = 1.0
    on: tuple[str, ...] = ()


class Bound(Frozen):
    """The least and the most that an unknown may resolve to: numbers, or quantities such as `2Gi`."""

    min: float | str | None = None
    max: float | str | None = None


class Foreach(Frozen):
    """Runs its step once an item. `key` (a template over `item`) names the item; default: its place."""

    items: Any  # a template that yields a list, or a list
    key: str | None = None
    concurrency: int = 1
    tolerate: str | None = None  # "10%" or "3": failures that do not fail the step
    once: float | None = None  # seconds for which an item that another run did is left out


class Node(Frozen):
    """What every step has. `id` is the id in its own file; addresses add the way there."""

    id: str
    name: str | None = None
    when: Expression | None = None
    timeout: Duration | None = None
    retry: Retry | None = None
    on_failure: Literal["stop", "continue", "undo", "escalate"] = "stop"
    foreach: Foreach | None = None
    source: str = ""  # file:line, for messages

    @property
    def title(self) -> str:
        return self.name or self.id


class ActionNode(Node):
    kind: Literal["action"] = "action"
    action: str
    with_: dict[str, Any] = Field(default={}, alias="with")  # playbook defaults merged in already
    bounds: dict[str, Bound] = {}
    verify: Verify | None = None
    undo: Literal["on_failure", "never"] = "on_failure"

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Case(Frozen):
    value: str
    steps: tuple[AnyNode, ...]


class SwitchNode(Node):
    kind: Literal["switch"] = "switch"
    switch: str  # a template
    cases: tuple[Case, ...]
    default: tuple[AnyNode, ...] = ()


class GroupNode(Node):
    kind: Literal["group"] = "group"
    steps: tuple[AnyNode, ...]


class ParallelNode(Node):
    kind: Literal["parallel"] = "parallel"
    steps: tuple[AnyNode, ...]


class CallNode(Node):
    """A sub-playbook, inlined. Its steps' addresses begin with this step's address and a dot."""

    kind: Literal["playbook"] = "playbook"
    with_: dict[str, Any] = Field(default={}, alias="with")
    program: Program

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class WaitNode(Node):
    """Exactly one of `for_`, `until_time`, `becomes`, `stays`, `until` says what is waited for."""

    kind: Literal["wait"] = "wait"
    for_: Duration | None = None
    until_time: str | None = None  # RFC 3339, or a template that yields it
    query: Query | None = None
    becomes: Comparison | None = None  # with query, within, every
    stays: Comparison | None = None  # with query, for_, every
    read_action: str | None = None  # with until, within, every
    read_with: dict[str, Any] = {}
    until: Expression | None = None  # sees `result`
    within: Duration | None = None
    every: Duration = 30.0


class GateNode(Node):
    kind: Literal["gate"] = "gate"
    role: str
    approvals: int = 1
    within: Duration = 3600.0
    on_timeout: Literal["abort", "escalate"] = "abort"
    on_reject: Literal["stop", "continue"] = "stop"


class ManualNode(Node):
    kind: Literal["manual"] = "manual"
    text: str  # a template
    role: str
    within: Duration = 3600.0


class RestoreNode(Node):
    kind: Literal["restore"] = "restore"
    restore: tuple[str, ...]  # step ids of the same file


class EndNode(Node):
    kind: Literal["end"] = "end"
    end: Literal["succeeded", "failed", "needs_human"]
    reason: str = ""  # a template


AnyNode = Annotated[
    ActionNode
    | SwitchNode
    | GroupNode
    | ParallelNode
    | CallNode
    | WaitNode
    | GateNode
    | ManualNode
    | RestoreNode
    | EndNode,
    Field(discriminator="kind"),
]


class Breaker(Frozen):
    """So many failed runs within so many seconds stop it from going by itself."""

    failures: int
    within: float


class Program(Frozen):
    """One playbook, ready to run.

    Attributes:
        playbook: its name, `pack/name`.
        inputs: the JSON Schema of its inputs.
        timeout: seconds for the whole run.
        budget: the most that the run may touch, by unit.
        breaker, cooldown, concurrency: its own brakes; None: the configuration's.
        author, revision: shown at its gate; revision is a commit or a content hash.
    """

    playbook: str
    summary: str = ""
    inputs: dict[str, Any] = {"type": "object"}
    vars: dict[str, Any] = {}
    timeout: Duration | None = None
    budget: dict[str, int] = {}
    breaker: Breaker | None = None
    cooldown: float | None = None  # seconds after a run's end
    concurrency: int | None = None  # runs at a time
    steps: tuple[AnyNode, ...]
    rescue: tuple[AnyNode, ...] = ()
    finally_: tuple[AnyNode, ...] = Field(default=(), alias="finally")
    outputs: dict[str, Any] = {}
    postmortem_due: float | None = None  # seconds after the incident is resolved
    author: str = ""
    revision: str = ""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @cached_property
    def frozen_text(self) -> str:
        """The program as JSON, as runs keep it."""
        return self.model_dump_json(by_alias=True)

    @cached_property
    def frozen_digest(self) -> str:
        """Names the frozen text; plans and approvals bind to it."""
        return digest(self.frozen_text)


for _model in (Case, SwitchNode, GroupNode, ParallelNode, CallNode, Program):
    _model.model_rebuild()
