"""`stanch demo`: the main job on real parts, on this machine alone.

A failing ETL (its exporter, a scratch PostgreSQL and the in-memory cluster) makes a real Prometheus fire,
a real Alertmanager posts the alert, and a real `stanch serve` plans, asks, repairs and verifies.
"""

from engine.edges.demo.run import run

__all__ = ["run"]
