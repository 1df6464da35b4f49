"""S3: listings, conditional puts, and deletes whose every error is read."""

from actions.s3.connection import S3Kind
from actions.s3.delete import S3Delete
from actions.s3.listing import S3List
from actions.s3.put import S3Put

DECLARATIONS = (S3Kind, S3List, S3Put, S3Delete)

__all__ = ["DECLARATIONS", "S3Delete", "S3Kind", "S3List", "S3Put"]
