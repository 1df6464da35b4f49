"""S3 by bare signed requests: what tests put into buckets and look at, another way than the actions'.

A request costs a tenth of boto3's, and the tests of a case make dozens that are not what they are about.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from worlds.servers.s3 import ADMIN

Seen = tuple[bytes, str, dict[str, str]]  # an object: content, type, metadata


class BareS3:
    """The administrator's requests to one endpoint, path-style addresses."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(retries=False, timeout=60)
        credentials = Credentials(ADMIN.access_key, ADMIN.secret_key)
        self._auth = S3SigV4Auth(credentials, "s3", "us-east-1")

    def close(self) -> None:
        self._pool.clear()

    def put(self, bucket: str, key: str, body: bytes, **headers: str) -> None:
        self._ask(
            "PUT", bucket, key, body, {name.replace("_", "-"): v for name, v in headers.items()}
        )

    def get(self, bucket: str, key: str) -> Seen:
        """All that a reader of an object sees."""
        answer = self._ask("GET", bucket, key)
        mark = "x-amz-meta-"
        named = {name.lower(): value for name, value in answer.headers.items()}
        metadata = {name[len(mark) :]: v for name, v in named.items() if name.startswith(mark)}
        return answer.data, named["content-type"], metadata

    def keys(self, bucket: str) -> list[str]:
        """The current objects, of which there must be less than a page."""
        root = self._page(bucket, {"list-type": "2"})
        assert root.findtext("{*}IsTruncated") == "false", f"{bucket} holds more than a page"
        return [str(item.findtext("{*}Key")) for item in root.iterfind("{*}Contents")]

    def empty(self, bucket: str) -> None:
        """Delete every version and marker."""
        more = True
        while more:
            root = self._page(bucket, {"versions": ""})
            found = [*root.iterfind("{*}Version"), *root.iterfind("{*}DeleteMarker")]
            if found:
                self._delete(bucket, found)
            more = root.findtext("{*}IsTruncated") == "true"

    def _delete(self, bucket: str, found: Iterable[ElementTree.Element]) -> None:
        asked = ElementTree.Element("Delete")
        ElementTree.SubElement(asked, "Quiet").text = "true"
        for item in found:
            one = ElementTree.SubElement(asked, "Object")
            for name in ("Key", "VersionId"):
                ElementTree.SubElement(one, name).text = item.findtext(f"{{*}}{name}")
        body = ElementTree.tostring(asked)
        md5 = b64encode(hashlib.md5(body).digest()).decode()
        answer = self._ask("POST", bucket, "", body, {"content-md5": md5}, {"delete": ""})
        assert b"<Error>" not in answer.data, answer.data

    def _page(self, bucket: str, query: Mapping[str, str]) -> ElementTree.Element:
        return ElementTree.fromstring(self._ask("GET", bucket, query=query).data)

    def _ask(
        self,
        method: str,
        bucket: str,
        key: str = "",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        url = f"{self._url}/{bucket}" + (f"/{quote(key)}" if key else "")
        if query:
            url += f"?{urlencode(query)}"
        request = AWSRequest(method, url, headers=dict(headers or {}), data=body)
        self._auth.add_auth(request)
        answer = self._pool.request(
            method, url, body=body, headers={**request.headers}, preload_content=True
        )
        assert answer.status < 300, f"{method} {url}: {answer.status} {answer.data!r}"
        return answer
