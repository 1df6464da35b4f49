"""The part of OpenAI's API that makes batches: files, batches with metadata, cancelling."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.contract.actions.service import Service
from worlds.batches.api import uploaded


class BatchApi:
    """Adds uploads and new batches to a service's pages. `made` holds the batches by id.

    `breaking` is a path, how many POSTs to it go well before one is answered 502, and whether that one takes
    effect all the same.
    """

    def __init__(self, service: Service, batches: Mapping[str, Any]) -> None:
        self.batches: dict[str, Any] = dict(batches)  # latest first
        self.files: dict[str, bytes] = {}
        self.made: dict[str, Any] = {}
        self.breaking: tuple[str, int, bool] | None = None
        self._service = service
        self._act = service._act
        service._act = self.act  # type: ignore[method-assign]

    def act(self, method: str, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        if method == "POST" and self.breaking is not None and self.breaking[0] == path:
            path, left, acts = self.breaking
            self.breaking = (path, left - 1, acts) if left else None
            if left == 0:
                if acts:
                    self.act(method, path, body)
                return 502, {"error": "bad gateway"}, {}
        where, _, _ = path.partition("?")
        if method == "POST" and path == "/v1/files":
            identity = f"file-new{len(self.files) + 1}"
            self.files[identity] = uploaded(body)
            return 200, {"id": identity, "object": "file", "purpose": "batch"}, {}
        if method == "POST" and path == "/v1/batches":
            return 200, self._create(json.loads(body)), {}
        if method == "POST" and path.endswith("/cancel"):
            batch = self.batches[path.split("/")[3]]
            batch["status"] = "cancelled"
            return 200, batch, {}
        if method == "GET" and where == "/v1/batches":
            return 200, {"data": list(self.batches.values()), "has_more": False}, {}
        name = where.removeprefix("/v1/batches/")
        if method == "GET" and name in self.batches:
            return 200, self.batches[name], {}
        return self._act(method, path, body)

    def _create(self, asked: Any) -> Any:
        lines = self.files[asked["input_file_id"]].decode().splitlines()
        identity = f"batch_new{len(self.made) + 1}"
        batch = {
            "id": identity,
            "object": "batch",
            "status": "validating",
            "endpoint": asked["endpoint"],
            "input_file_id": asked["input_file_id"],
            "metadata": asked["metadata"],
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
        }
        self.made[identity] = batch
        self.batches = {identity: batch, **self.batches}
        return batch

    def state(self) -> Any:
        """What goes on: the items of every batch that is neither ended nor cancelled."""
        going = {}
        for identity, batch in self.batches.items():
            if batch["status"] in ("validating", "in_progress"):
                lines = self.files.get(batch.get("input_file_id", ""), b"").decode().splitlines()
                names = [json.loads(line)["custom_id"] for line in lines]
                going[identity] = (batch["status"], names)
        return going
