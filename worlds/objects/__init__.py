"""In-memory objects: what speaks S3 to boto3, keeps versions and rights, and touches no disk.

`Objects` is the world: buckets of keys of versions. Fill it directly, look at it directly:

    objects = Objects(clock=clock)
    objects.create("etl-output", versioned=True)
    objects.put("etl-output", "tmp/a.parquet", b"rows", content_type="application/octet-stream")
    objects.current("etl-output")          # {"tmp/a.parquet": Version(...)}

An `s3` connection reaches it in one of two ways, and no action can tell it from a server:

- over loopback: `with ObjectsServer(objects) as server:` and `endpoint_url: server.url` in the connection's
  settings, with the keys of one of `objects.identities` (`ADMIN` where none are given);
- without a socket: open the connection with any `endpoint_url`, then
  `with client.calling() as boto: attach(boto, objects)`; every request of that client is answered in process.

Signatures and rights (`Identity`, as the real server of `worlds.servers` has them) are checked both ways.
"""

from worlds.objects.inprocess import attach
from worlds.objects.objects import Bucket, Objects, Version
from worlds.objects.server import ObjectsServer
from worlds.servers.s3 import ADMIN, Identity

__all__ = ["ADMIN", "Bucket", "Identity", "Objects", "ObjectsServer", "Version", "attach"]
