"""Kubernetes: reads, changes, jobs and pods; any kind, under allow-lists."""

from actions.kubernetes.access import KubernetesCanI
from actions.kubernetes.cleaning import KubernetesJobsClean
from actions.kubernetes.configmaps import KubernetesConfigMapMerge
from actions.kubernetes.connection import KubernetesKind
from actions.kubernetes.cronjobs import (
    KubernetesCronJobResume,
    KubernetesCronJobSet,
    KubernetesCronJobSuspend,
)
from actions.kubernetes.debugging import KubernetesDebugPod
from actions.kubernetes.describe import KubernetesDescribe, KubernetesEvents
from actions.kubernetes.execute import KubernetesExec
from actions.kubernetes.jobhistory import KubernetesCronJobHistory
from actions.kubernetes.jobs import KubernetesJobFromCronJob
from actions.kubernetes.logs import KubernetesLogs
from actions.kubernetes.patch import KubernetesPatch
from actions.kubernetes.reads import KubernetesGet, KubernetesList
from actions.kubernetes.recent import KubernetesRecentChanges
from actions.kubernetes.removing import KubernetesDeletePod, KubernetesEvict
from actions.kubernetes.rollbacks import KubernetesRolloutUndo
from actions.kubernetes.rollouts import KubernetesRolloutRestart, KubernetesRolloutStatus
from actions.kubernetes.scale import KubernetesScale
from actions.kubernetes.secrets import KubernetesSecretCheck, KubernetesSecretSet
from actions.kubernetes.waiting import KubernetesJobWait, KubernetesRolloutWait
from actions.kubernetes.workloads import (
    KubernetesSetEnv,
    KubernetesSetImage,
    KubernetesSetResources,
)

DECLARATIONS = (
    KubernetesKind,
    KubernetesGet,
    KubernetesList,
    KubernetesLogs,
    KubernetesPatch,
    KubernetesScale,
    KubernetesRolloutRestart,
    KubernetesRolloutStatus,
    KubernetesCronJobSuspend,
    KubernetesCronJobResume,
    KubernetesCronJobSet,
    KubernetesCronJobHistory,
    KubernetesSetImage,
    KubernetesSetResources,
    KubernetesSetEnv,
    KubernetesConfigMapMerge,
    KubernetesRolloutUndo,
    KubernetesRolloutWait,
    KubernetesJobWait,
    KubernetesDescribe,
    KubernetesEvents,
    KubernetesRecentChanges,
    KubernetesJobFromCronJob,
    KubernetesJobsClean,
    KubernetesDeletePod,
    KubernetesEvict,
    KubernetesCanI,
    KubernetesSecretCheck,
    KubernetesSecretSet,
    KubernetesExec,
    KubernetesDebugPod,
)
