"""An ntfy server and a mail server on loopback, each in a thread: they keep what they get and fail on demand."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any


@dataclass
class Got:
    """What came; `status` is what the next ones are answered with, `hangs` for how many seconds nothing is."""

    status: int
    hangs: float = 0.0
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        self.released.wait(self.hangs)


@contextmanager
def ntfy_server() -> Iterator[tuple[str, Got]]:
    """Its address up to the topic, and what it got."""
    got = Got(200)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.wait()
            got.headers.append(dict(self.headers.items()))
            got.bodies.append(body.decode())
            self.send_response(got.status)
            self.send_header("Content-Length", "0")
            if got.status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler), got) as port:
        yield f"127.0.0.1:{port}/my-topic", got


@contextmanager
def mail_server() -> Iterator[tuple[str, Got]]:
    """Host and port, and what it got. It takes any password, without encryption."""
    got = Got(250)

    class Handler(StreamRequestHandler):
        def say(self, words: str) -> None:
            self.wfile.write(f"{words}\r\n".encode())

        def handle(self) -> None:
            got.wait()
            self.say("220 here")
            while (line := self.rfile.readline().decode().strip()) and self.obey(line):
                pass

        def obey(self, line: str) -> bool:
            verb = line.split(maxsplit=1)[0].upper()
            if verb == "EHLO":
                self.say("250-here\r\n250 AUTH PLAIN")
            elif verb == "AUTH":
                got.logins.append(base64.b64decode(line.split()[2]).decode())
                self.say("235 welcome")
            elif verb == "RCPT":
                got.recipients.append(line.partition(":")[2])
                self.say(f"{got.status} {'fine' if got.status == 250 else 'no such user'}")
            elif verb == "DATA":
                self.say("354 go on")
                lines = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                got.bodies.append("".join(lines))
                self.say("250 taken")
            else:
                self.say("221 bye" if verb == "QUIT" else "250 fine")
            return verb != "QUIT"

    with _serving(ThreadingTCPServer(("127.0.0.1", 0), Handler), got) as port:
        yield f"127.0.0.1:{port}", got


@contextmanager
def _serving(server: Any, got: Got) -> Iterator[int]:
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        got.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
