"""Providers over `http` connections: status pages, GitHub's limits, OpenAI's batches."""

from actions.providers.github import GithubRateLimit
from actions.providers.openai import OpenaiBatch, OpenaiBatches
from actions.providers.resubmit import OpenaiCancelBatch, OpenaiRetryBatch, OpenaiSplitBatch
from actions.providers.results import OpenaiResults
from actions.providers.statuspage import StatuspageRead

DECLARATIONS = (
    StatuspageRead,
    GithubRateLimit,
    OpenaiBatches,
    OpenaiBatch,
    OpenaiResults,
    OpenaiRetryBatch,
    OpenaiSplitBatch,
    OpenaiCancelBatch,
)

__all__ = [
    "DECLARATIONS",
    "GithubRateLimit",
    "OpenaiBatch",
    "OpenaiBatches",
    "OpenaiCancelBatch",
    "OpenaiResults",
    "OpenaiRetryBatch",
    "OpenaiSplitBatch",
    "StatuspageRead",
]
