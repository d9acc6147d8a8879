"""What all of Alpaca's REST services have in common, on loopback: keys, the request quota with its headers, errors in
Alpaca's form and in a gateway's, and faults by script or by chance. A subclass answers the questions."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

KEY_ID, SECRET = "PKTESTKEYID123456789", "sEcReT0hAlfOfTheKeyThatNobodySees1234567"
GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"
NOT_AUTHORIZED = "<html><head><title>401 Authorization Required</title></head><body>nginx</body></html>"

FAULTS: Mapping[str, tuple[int, Any]] = {
    "401": (401, {"code": 40110000, "message": "request is not authorized"}),
    "401 html": (401, NOT_AUTHORIZED),
    "403": (403, {"message": "forbidden."}),
    "403 feed": (403, {"message": "subscription does not permit querying recent SIP data"}),
    "422": (422, {"code": 42210000, "message": "end should not be before start"}),
    "429": (429, {"message": "too many requests."}),
    "500": (500, {"code": 50010000, "message": "internal server error occurred"}),
    "502": (502, GATEWAY),
    "504": (504, {"message": "gateway timeout"}),
    "moved": (302, GATEWAY),
    "page": (200, "<!DOCTYPE html><html><body>maintenance</body></html>"),
    "cut json": (200, '{"bars":{"SPY":[{"c":601.2,"h"'),
    "list": (200, []),
    "null": (200, {"bars": None, "next_page_token": None}),
    "empty": (200, ""),
}
"""By name: status and body. With "after " before it, what was asked is done first, as by a gateway that lost patience.
Others are "hang", "reset", "truncated" and "drip", which happen to a good answer; with "before " before one of these,
nothing is done of what was asked."""


@dataclass(frozen=True)
class Call:
    """One request as it came; `query` holds the last value of each name, `body` what was posted."""

    method: str
    path: str
    query: Mapping[str, str]
    key_id: str | None
    secret: str | None
    body: Any = None


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any

    def as_bytes(self) -> bytes:
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass
class FaultPlan:
    """`once` are used up one after another, each path's for itself; `standing` hold until they are taken away. Paths
    are looked up by what they contain. `choose` is asked for every other call, on the test's own seeded generator."""

    once: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    standing: dict[str, str] = field(default_factory=dict)
    choose: Callable[[Call], str | None] | None = None

    def due(self, call: Call) -> str | None:
        for part, faults in self.once.items():
            if part in call.path and faults:
                return faults.pop(0)
        for part, fault in self.standing.items():
            if part in call.path:
                return fault
        return self.choose(call) if self.choose is not None else None

    def clear(self) -> None:
        self.once.clear()
        self.standing.clear()
        self.choose = None


class Refusal(Exception):
    """Ends a question with Alpaca's own kind of no."""

    def __init__(self, status: int, message: str, code: int = 0, **fields: Any) -> None:
        super().__init__(message)
        body = {"code": code, "message": message} if code else {"message": message}
        self.answer = Answer(status, {**body, **fields})


class AlpacaHttp:
    """`now` is its clock. `calls` are the requests as they came, also those that a fault ate; `answers` the good ones
    with what was asked. `quota` requests are allowed in each minute of its clock; None counts none. Its Date is `skew`
    ahead of its clock."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.skew = timedelta(0)
        self.keys = {KEY_ID: SECRET}
        self.quota: int | None = None
        self.faults = FaultPlan()
        self.calls: list[Call] = []
        self.answers: list[tuple[Call, Answer]] = []
        self.released = threading.Event()
        self._used: dict[datetime, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"alpaca": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> AlpacaHttp:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def count(self, part: str) -> int:
        """How many requests went to paths that contain `part`."""
        return sum(part in call.path for call in self.calls)

    def respond(self, call: Call) -> Any:
        """The body of a good answer, or an Answer where its status is another than 200. Raises Refusal."""
        raise NotImplementedError

    def is_open_to(self, call: Call) -> bool:
        """Whether the keys fit; a service open to everybody says so."""
        return call.key_id is not None and self.keys.get(call.key_id) == call.secret

    def shut_out(self, call: Call) -> Answer:
        """What is said to keys that do not fit."""
        return Answer(*FAULTS["403"])

    def answer(self, call: Call) -> tuple[Answer, Mapping[str, str], str | None]:
        """The answer, its headers of the quota, and what happens to it on the way."""
        fault = self.faults.due(call)
        headers, is_over = self._counted()
        if fault is not None and fault in FAULTS:
            return Answer(*FAULTS[fault]), headers, fault
        if is_over:
            return Answer(*FAULTS["429"]), headers, None
        if not self.is_open_to(call):
            return self.shut_out(call), {}, None
        if fault is not None and fault.startswith("before "):
            return Answer(200, ""), headers, fault.removeprefix("before ")
        try:
            told = self.respond(call)
            good = told if isinstance(told, Answer) else Answer(200, told)
        except Refusal as refusal:
            return refusal.answer, headers, None
        if fault is not None and fault.startswith("after "):
            return Answer(*FAULTS[fault.removeprefix("after ")]), headers, None
        self.answers.append((call, good))
        return good, headers, fault

    def _counted(self) -> tuple[dict[str, str], bool]:
        minute = self.now().replace(second=0, microsecond=0)
        quota = self.quota if self.quota is not None else 1_000_000
        with self._lock:
            self._used[minute] += 1
            left = quota - self._used[minute]
        reset = int((minute + timedelta(minutes=1)).timestamp())
        headers = {"X-RateLimit-Limit": quota, "X-RateLimit-Remaining": max(0, left), "X-RateLimit-Reset": reset}
        return {name: str(value) for name, value in headers.items()}, left < 0


class _Handler(BaseHTTPRequestHandler):
    """Hands each request to its server, and its answer back as the server's faults will have it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: the second would wait for the client's word
    alpaca: AlpacaHttp

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        key_id, secret = self.headers.get("APCA-API-KEY-ID"), self.headers.get("APCA-API-SECRET-KEY")
        call = Call(self.command, unquote(parts.path), query, key_id, secret, json.loads(body) if body else None)
        self.alpaca.calls.append(call)
        try:
            self.tell(*self.alpaca.answer(call))
        except OSError:
            self.close_connection = True  # the client gave up waiting, which some tests are about

    def do_POST(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def tell(self, answer: Answer, headers: Mapping[str, str], fault: str | None) -> None:
        body = answer.as_bytes()
        if fault == "hang":
            self.alpaca.released.wait(30)
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            raise ConnectionResetError
        self.send_response_only(answer.status)
        self.send_header("Date", format_datetime(self.alpaca.now() + self.alpaca.skew, usegmt=True))
        is_page = isinstance(answer.body, str) and "<" in answer.body
        self.send_header("Content-Type", "text/html" if is_page else "application/json; charset=UTF-8")
        for name, value in headers.items():
            self.send_header(name, value)
        if answer.status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.send_body(body, fault)

    def send_body(self, body: bytes, fault: str | None) -> None:
        if fault == "truncated":
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif fault == "drip":
            for byte in body:
                self.wfile.write(bytes([byte]))
                if self.alpaca.released.wait(0.05):
                    raise ConnectionResetError
        else:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""
