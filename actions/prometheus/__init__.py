"""Prometheus: queries with bound parameters, now, over time, and against their own past."""

from actions.prometheus.connection import PrometheusKind
from actions.prometheus.history import PrometheusCompare, PrometheusFailureSpike, PrometheusSeries
from actions.prometheus.query import PrometheusQuery, PrometheusRange

DECLARATIONS = (
    PrometheusKind,
    PrometheusQuery,
    PrometheusRange,
    PrometheusCompare,
    PrometheusFailureSpike,
    PrometheusSeries,
)

__all__ = [
    "DECLARATIONS",
    "PrometheusCompare",
    "PrometheusFailureSpike",
    "PrometheusKind",
    "PrometheusQuery",
    "PrometheusRange",
    "PrometheusSeries",
]
