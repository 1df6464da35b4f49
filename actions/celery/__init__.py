"""Celery on Redis: workers, consumption, failed tasks, messages of dead workers."""

from actions.celery.connection import CeleryKind
from actions.celery.consumption import CeleryPause, CeleryResume
from actions.celery.queues import CeleryQueues
from actions.celery.recover import CeleryRecover
from actions.celery.restore import CeleryRestore
from actions.celery.results import CeleryFailed
from actions.celery.unacked import CeleryUnacked
from actions.celery.workers import CeleryWorkers

DECLARATIONS = (
    CeleryKind,
    CeleryQueues,
    CeleryWorkers,
    CeleryFailed,
    CeleryUnacked,
    CeleryPause,
    CeleryResume,
    CeleryRecover,
    CeleryRestore,
)

__all__ = [
    "DECLARATIONS",
    "CeleryFailed",
    "CeleryKind",
    "CeleryPause",
    "CeleryQueues",
    "CeleryRecover",
    "CeleryRestore",
    "CeleryResume",
    "CeleryUnacked",
    "CeleryWorkers",
]
