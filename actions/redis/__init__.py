"""Redis and queues in it, Celery's among them."""

from actions.redis.connection import RedisKind
from actions.redis.queues import RedisQueues
from actions.redis.requeue import RedisRequeue

DECLARATIONS = (RedisKind, RedisQueues, RedisRequeue)

__all__ = ["DECLARATIONS", "RedisKind", "RedisQueues", "RedisRequeue"]
