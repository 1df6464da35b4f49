"""`Objects` over HTTP on loopback, for clients that want an endpoint."""

from __future__ import annotations

from worlds.loopback import Loopback, QuietHandler
from worlds.objects.api import answer
from worlds.objects.objects import Objects
from worlds.objects.requests import Request


class ObjectsServer(Loopback):
    """Serves `objects` on a free port of 127.0.0.1; `url` is the endpoint, path-style addresses."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        super().__init__(_handler(objects))


def _handler(objects: Objects) -> type[QuietHandler]:
    class Handler(QuietHandler):
        wbufsize = 65536  # headers and body in one segment

        def handle_expect_100(self) -> bool:
            going_on = super().handle_expect_100()
            self.wfile.flush()  # boto3 waits a second for it before it sends a body
            return going_on

        def serve(self) -> None:
            given = Request.of(self.command, self.path, dict(self.headers), self.content())
            made = answer(objects, given)
            self.send_response(made.status)
            for name, value in made.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in made.headers and made.status != 204:
                self.send_header("Content-Length", str(len(made.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(made.body)
            self.wfile.flush()

    return Handler
