"""Prometheus: instant and range queries with bound parameters."""

from actions.prometheus.connection import PrometheusKind
from actions.prometheus.query import PrometheusQuery, PrometheusRange

DECLARATIONS = (PrometheusKind, PrometheusQuery, PrometheusRange)

__all__ = ["DECLARATIONS", "PrometheusKind", "PrometheusQuery", "PrometheusRange"]
