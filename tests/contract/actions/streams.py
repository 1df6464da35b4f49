"""A server whose answers are any size and may break off: `python -m tests.contract.actions.streams`.

It answers `GET /lines/<megabytes>` with JSON Lines, sent chunked from one piece of memory, and cuts the
answers to `/cut/length` and `/cut/chunked` in the middle. It prints its port and serves until it is ended.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LINE = json.dumps({"custom_id": "item", "text": "x" * 65_000}).encode() + b"\n"
PIECE = LINE * 16


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        _, kind, size = self.path.split("/")
        self.send_response(200)
        self.send_header("Content-Type", "application/jsonl")
        if kind == "cut":
            self._cut(size)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        framed = f"{len(PIECE):x}\r\n".encode() + PIECE + b"\r\n"
        for _ in range(int(size) * 2**20 // len(PIECE) + 1):
            self.wfile.write(framed)
        self.wfile.write(b"0\r\n\r\n")

    def _cut(self, how: str) -> None:
        if how == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b'a\r\n{"a": 1}\n\n\r\n14\r\n{"b"')
        else:
            self.send_header("Content-Length", "20")
            self.end_headers()
            self.wfile.write(b'{"a": 1}\n')
        self.close_connection = True


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
