"""A Kubernetes cluster in memory that answers and behaves like a real one (1.32)."""

from worlds.cluster.cluster import ADMIN_TOKEN, OPERATOR_TOKEN, Cluster
from worlds.cluster.controllers.base import Timing
from worlds.cluster.fates import Fate
from worlds.cluster.inprocess import InProcess
from worlds.cluster.messages import ADMIN, OPERATOR, Request, Response, User
from worlds.cluster.programs import Ran
from worlds.cluster.requests import Fault

__all__ = [
    "ADMIN",
    "ADMIN_TOKEN",
    "OPERATOR",
    "OPERATOR_TOKEN",
    "Cluster",
    "Fate",
    "Fault",
    "InProcess",
    "Ran",
    "Request",
    "Response",
    "Timing",
    "User",
]
