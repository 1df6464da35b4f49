"""A provider of batches that behaves: OpenAI's Files and Batch API, in memory or over HTTP."""

from worlds.batches.provider import Batch, BatchProvider, Course, Failure

__all__ = ["Batch", "BatchProvider", "Course", "Failure"]
