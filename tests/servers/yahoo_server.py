"""Yahoo's price service on loopback, as yfinance 1.7 meets it: cookie, crumb, consent pages and charts, all hosts.

It is reached in the clear, as an HTTP proxy for sessions that `session()` makes, or at the real addresses through
`tests.servers.https_proxy`. Either way it sees the real host names.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from core.adapters.pacing import Pacer, Restraint
from core.adapters.yahoo_session import YahooSession
from core.domain.bars import BarSize
from core.domain.corporate import CorporateAction
from core.series import BarSeries
from tests.servers.yahoo_charts import Exchange, answer
from tests.servers.yahoo_faults import CONSENT, COOKIE, CRUMB, PAGE, Answer, Faults, Wire, refusal

CHART = "/v8/finance/chart/"
HTML = "text/html;charset=utf-8"
HOSTS = (
    "fc.yahoo.com",
    "query1.finance.yahoo.com",
    "query2.finance.yahoo.com",
    "guce.yahoo.com",
    "consent.yahoo.com",
    "finance.yahoo.com",
)
FORM = """<!DOCTYPE html><html><body><form method="post" action="/v2/collectConsent?sessionId={session}">
<input type="hidden" name="csrfToken" value="t0ken"><input type="hidden" name="sessionId" value="{session}">
<input type="hidden" name="originalDoneUrl" value="{done}"><input type="hidden" name="namespace" value="yahoo">
<button type="submit" name="agree" value="agree">Accept all</button></form></body></html>"""


@dataclass(frozen=True)
class Asked:
    """One request as it came, and the status of its answer (0: none)."""

    scheme: str
    host: str
    path: str
    query: Mapping[str, str]
    status: int

    @property
    def is_chart(self) -> bool:
        return self.path.startswith(CHART)

    @property
    def symbol(self) -> str:
        return unquote(self.path.removeprefix(CHART)) if self.is_chart else ""


@dataclass(frozen=True)
class _Request:
    scheme: str
    host: str
    path: str
    query: Mapping[str, str]
    cookies: Mapping[str, str]
    form: Mapping[str, str]

    @property
    def url(self) -> str:
        asked = "&".join(f"{name}={quote(value)}" for name, value in self.query.items())
        return f"{self.scheme}://{self.host}{self.path}?{asked}"


class YahooServer:
    """`exchange` holds what Yahoo knows, `faults` what goes wrong, `asked` what came in.

    `checks_crumbs`: a crumb that is not the one given last is refused, which charts without one are not.
    `wants_consent`: without the cookie of the consent page every chart leads to that page.
    """

    def __init__(
        self,
        series: Mapping[tuple[str, BarSize], BarSeries],
        now: datetime,
        actions: Mapping[str, Sequence[CorporateAction]] | None = None,
    ) -> None:
        self.exchange = Exchange(dict(series), now, actions=dict(actions or {}))
        self.faults = Faults()
        self.asked: list[Asked] = []
        self.checks_crumbs = True
        self.wants_consent = False
        self.released = threading.Event()
        self._crumbs = (f"c/rumb.{number}" for number in itertools.count(1))
        self._crumb = next(self._crumbs)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> YahooServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    def session(self) -> Callable[[Callable[[], float], Pacer, Restraint], YahooSession]:
        """Makes sessions whose requests all come here, in the clear."""
        proxy = f"http://127.0.0.1:{self.port}"

        class Redirected(YahooSession):
            def request(self, method: Any, url: str, *positional: Any, **options: Any) -> Any:
                clear = url.replace("https://", "http://", 1)
                return super().request(method, clear, *positional, **options, proxy=proxy)

        return Redirected

    def charts(self, symbol: str | None = None) -> list[Asked]:
        """The requests for prices, of one symbol or of all."""
        return [each for each in self.asked if each.is_chart and symbol in (None, each.symbol)]

    def renew_crumb(self) -> None:
        """From now on the crumb given before is refused."""
        self._crumb = next(self._crumbs)

    def _answer(self, request: _Request) -> Answer:
        key, act = self._meant(request)
        fault = self.faults.due(key)
        return act() if fault is None else fault(act)

    def _meant(self, request: _Request) -> tuple[str, Callable[[], Answer]]:
        if request.host == "fc.yahoo.com":
            headers = {"Set-Cookie": "A3=d=AQ&S=AQ; Domain=.yahoo.com; Path=/; Max-Age=31536000"}
            return COOKIE, lambda: Answer(404, PAGE.format("Not found").encode(), HTML, headers)
        if request.path == "/v1/test/getcrumb":
            return CRUMB, lambda: self._give_crumb(request)
        if request.path.startswith(CHART):
            symbol = unquote(request.path.removeprefix(CHART))
            return symbol, lambda: self._chart(symbol, request)
        return CONSENT, lambda: self._consent(request)

    def _give_crumb(self, request: _Request) -> Answer:
        if "A3" not in request.cookies and "GUCS" not in request.cookies:
            return Answer(401, refusal("Unauthorized", "Invalid Cookie", "finance"))
        return Answer(200, self._crumb.encode(), "text/plain;charset=utf-8")

    def _chart(self, symbol: str, request: _Request) -> Answer:
        if self.wants_consent and "GUCS" not in request.cookies:
            done = quote(request.url, safe="")
            return Answer(302, headers={"Location": f"{request.scheme}://guce.yahoo.com/consent?done={done}"})
        if self.checks_crumbs and request.query.get("crumb", self._crumb) != self._crumb:
            return Answer(401, refusal("Unauthorized", "Invalid Crumb", "finance"))
        return answer(self.exchange, symbol, request.query)

    def _consent(self, request: _Request) -> Answer:
        """The page, agreeing to it, and what follows: a cookie, and the way back to where one wanted to go."""
        done = request.query.get("done", "https://finance.yahoo.com/")
        if request.host == "guce.yahoo.com" and request.path == "/consent":
            where = f"{request.scheme}://consent.yahoo.com/v2/collectConsent?sessionId=3_cc&done={quote(done, safe='')}"
            return Answer(302, headers={"Location": where})
        if request.host == "consent.yahoo.com" and not request.form:
            return Answer(200, FORM.format(session="3_cc", done=done).encode(), HTML)
        if request.host == "consent.yahoo.com":
            headers = {"Set-Cookie": "GUCS=agreed; Domain=.yahoo.com; Path=/; Max-Age=31536000"}
            agreed = "agree" in request.form and request.form.get("csrfToken") == "t0ken"
            where = request.form.get("originalDoneUrl", "").replace("https://", f"{request.scheme}://", 1)
            return Answer(302, headers={"Location": where, **headers}) if agreed else Answer(400)
        return Answer(200, PAGE.format("Yahoo Finance").encode(), HTML)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                request = self._read()
                given = server._answer(request)
                status = given.status if given.wire in (Wire.WHOLE, Wire.SHORT) else 0
                server.asked.append(Asked(request.scheme, request.host, request.path, request.query, status))
                with contextlib.suppress(OSError):  # the client gave up waiting, which some tests are about
                    self._send(given)

            do_POST = do_GET  # noqa: N815

            def _read(self) -> _Request:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                return _Request(
                    parts.scheme or "https",
                    (parts.hostname or str(self.headers.get("Host", "")).split(":")[0]),
                    parts.path,
                    {name: values[0] for name, values in parse_qs(parts.query).items()},
                    {name: morsel.value for name, morsel in SimpleCookie(self.headers.get("Cookie", "")).items()},
                    {name: values[0] for name, values in parse_qs(body).items()},
                )

            def _send(self, given: Answer) -> None:
                if given.wire is Wire.NEVER:
                    server.released.wait(30)
                if given.wire in (Wire.NEVER, Wire.RESET):
                    self._reset()
                    return
                self.send_response_only(given.status)
                self.send_header("Date", format_datetime(server.exchange.now.astimezone(UTC), usegmt=True))
                self.send_header("Content-Type", given.kind)
                for name, value in given.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(given.body)))
                self.end_headers()
                self.wfile.write(given.body[: len(given.body) // 2] if given.wire is Wire.SHORT else given.body)
                self.wfile.flush()
                self.close_connection = self.close_connection or given.wire is Wire.SHORT

            def _reset(self) -> None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        return Handler


def known_moment() -> datetime:
    """Wednesday before Thanksgiving 2024, 11:02:17 in New York: a session is running."""
    return datetime(2024, 11, 27, 16, 2, 17, tzinfo=UTC)
