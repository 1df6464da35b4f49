"""A small SMTP server (RFC 5321, AUTH PLAIN and LOGIN) that keeps what it accepts.

What it refuses it repeats, credentials and all: a client must keep that to itself.
"""

from __future__ import annotations

import base64
import socketserver
import threading
from email import message_from_bytes
from email.message import Message
from email.policy import default
from typing import Self

USER, PASSWORD = "stanch", "p0st+box/=&"


class Postbox:
    """The server, the messages it took with their recipients, and how it misbehaves.

    Attributes:
        breaks: closes the connection instead of answering the message's end.
        full: answers it with 452.
    """

    def __init__(self) -> None:
        self.mail: list[tuple[list[str], Message]] = []
        self.breaks = False
        self.full = False
        box = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.say("220 postbox")
                recipients: list[str] = []
                known = False
                while line := self.rfile.readline().decode().strip():
                    verb = line[:4].upper()
                    if verb == "EHLO":
                        self.say("250-postbox", "250 AUTH PLAIN")
                    elif verb == "AUTH":
                        given = base64.b64decode(line.split()[2]).decode()
                        known = given == f"\0{USER}\0{PASSWORD}"
                        self.say(
                            "235 in" if known else f"535 not {given!r} {line}".replace("\n", "")
                        )
                    elif verb == "MAIL":
                        self.say("250 go on" if known else "530 log in first")
                    elif verb == "RCPT":
                        address = line[line.index("<") + 1 : line.index(">")]
                        nobody = address.startswith("nobody@")
                        self.say("550 nobody here" if nobody else "250 fine")
                        recipients += [] if nobody else [address]
                    elif verb == "DATA":
                        self.say("354 speak")
                        if not self.take(recipients):
                            return
                        recipients = []
                    elif verb == "RSET":
                        self.say("250 fine")
                    else:
                        self.say("221 bye")
                        return

            def take(self, recipients: list[str]) -> bool:
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line[1:] if line.startswith(b"..") else line)
                if box.breaks:
                    return False
                if box.full:
                    self.say("452 no room")
                    return True
                message = message_from_bytes(b"".join(lines), policy=default)
                box.mail.append((list(recipients), message))
                self.say("250 taken")
                return True

            def say(self, *lines: str) -> None:
                self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
