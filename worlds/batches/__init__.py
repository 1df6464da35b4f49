"""A provider of batches that behaves: OpenAI's Files and Batch API, in memory or over HTTP."""

from worlds.batches.provider import Batch, BatchProvider, Course, Failure
from worlds.batches.server import BatchServer

__all__ = ["Batch", "BatchProvider", "BatchServer", "Course", "Failure"]
