"""Kubernetes: read, patch, scale, restart, logs; any kind, under allow-lists."""

from actions.kubernetes.connection import KubernetesKind
from actions.kubernetes.logs import KubernetesLogs
from actions.kubernetes.patch import KubernetesPatch
from actions.kubernetes.reads import KubernetesGet, KubernetesList
from actions.kubernetes.rollouts import KubernetesRolloutRestart, KubernetesRolloutStatus
from actions.kubernetes.scale import KubernetesScale

DECLARATIONS = (
    KubernetesKind,
    KubernetesGet,
    KubernetesList,
    KubernetesLogs,
    KubernetesPatch,
    KubernetesScale,
    KubernetesRolloutRestart,
    KubernetesRolloutStatus,
)
