"""A small registry of real contract classes, shaped like the shipped actions, for the language's tests."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.contract import (
    Action,
    ActionParams,
    Change,
    Confirmation,
    ConnectionKind,
    NotApplied,
    Notify,
    Opening,
    Planned,
    Protection,
    Read,
    Receipt,
    Target,
    World,
)
from engine.contract.registry import Registry
from engine.contract.world import SecretRef


class Query(ActionParams):
    connection: str = Field(description="A prometheus connection")
    query: str = Field(description="PromQL", json_schema_extra={"x-language": "promql"})
    params: dict[str, Any] = Field({}, description="Values of the query's $names")


class Rows(ActionParams):
    connection: str = Field(description="A postgres connection")
    sql: str = Field(description="One statement", json_schema_extra={"x-language": "sql"})
    params: dict[str, Any] = Field({}, description="Values of the placeholders")
    key: list[str] = Field([], description="Columns that name one row")
    max_rows: int = Field(1000, gt=0, description="Most rows")


class Scale(ActionParams):
    connection: str = Field(description="A kubernetes connection")
    namespace: str = Field(description="The namespace")
    deployment: str = Field(description="The deployment")
    replicas: int = Field(ge=0, description="How many")
    strategy: Literal["rolling", "recreate"] = Field("rolling", description="How")
    labels: dict[str, str] = Field({}, description="Labels to set")


class Text(ActionParams):
    text: str = Field(description="What is written")


class _Reads(Read[Any]):
    def read(self, params: Any, world: World) -> Any:
        del params, world
        return None


class _Changes(Change[Any]):
    protection = Protection.CONDITIONAL

    def plan(self, params: Any, world: World) -> Planned:
        del params, world
        return Planned(self.name, Target("x", "y"), {}, {})

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        del planned, world, key
        return Receipt()

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        del planned, receipt, world, key
        return NotApplied()


class PrometheusQuery(_Reads):
    name, summary, Params = "prometheus.query", "Ask Prometheus", Query


class PostgresQuery(_Reads):
    name, summary, Params = "postgres.query", "Read rows", Rows


class PostgresExecute(_Changes):
    name, summary, Params = "postgres.execute", "Change rows", Rows


class KubernetesScale(_Changes):
    name, summary, Params = "kubernetes.scale", "Set the number of replicas", Scale


class LogDecision(Notify[Text]):
    name, summary, Params = "log.decision", "Write into the decisions log", Text

    def send(self, params: Text, world: World, key: str) -> Any:
        del params, world, key
        return None


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str = Field(description="Base URL", pattern="^https?://", examples=["http://127.0.0.1"])
    token: SecretRef | None = Field(None, description="Bearer token")
    allow: dict[str, list[str]] = Field({}, description="What may be touched")


class Dsn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    dsn: SecretRef = Field(description="Where the DSN stands", examples=[{"env": "DSN"}])


class _Kind(ConnectionKind):
    Settings: ClassVar[type[BaseModel]] = Settings

    def open(self, opening: Opening) -> Any:
        del opening

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        del settings, target
        return None


class Prometheus(_Kind):
    kind = "prometheus"


class Kubernetes(_Kind):
    kind = "kubernetes"


class Postgres(_Kind):
    kind = "postgres"
    Settings = Dsn


ACTIONS: tuple[type[Action[Any]], ...] = (
    PrometheusQuery,
    PostgresQuery,
    PostgresExecute,
    KubernetesScale,
    LogDecision,
)
CONNECTIONS = {"metrics": "prometheus", "cluster": "kubernetes", "starforge": "postgres"}
ROLES = ("sre", "dba")
SECRETS = ("github",)


def small_registry() -> Registry:
    """Return the registry of this module's classes."""
    registry = Registry()
    declarations: tuple[type[Any], ...] = (*ACTIONS, Prometheus, Kubernetes, Postgres)
    for declaration in declarations:
        registry.add("tests", declaration)
    return registry
