"""S3: looks, conditional puts and copies, and deletes and quarantine whose every error is read."""

from actions.s3.connection import S3Kind
from actions.s3.copy import S3Copy
from actions.s3.delete import S3Delete
from actions.s3.download import S3Download
from actions.s3.listing import S3Head, S3List
from actions.s3.put import S3Put
from actions.s3.quarantine import S3Quarantine
from actions.s3.upload import S3Upload

DECLARATIONS = (
    S3Kind,
    S3List,
    S3Head,
    S3Put,
    S3Copy,
    S3Upload,
    S3Download,
    S3Delete,
    S3Quarantine,
)

__all__ = [
    "DECLARATIONS",
    "S3Copy",
    "S3Delete",
    "S3Download",
    "S3Head",
    "S3Kind",
    "S3List",
    "S3Put",
    "S3Quarantine",
    "S3Upload",
]
