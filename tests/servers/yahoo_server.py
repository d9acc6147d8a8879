"""Yahoo's price service on loopback, as yfinance 1.7 meets it: cookie, crumb, and the chart endpoint (v8) with its live
row, nulls, 404, 429, 502 and silence. Paths carry the real host first, so that one port plays all of Yahoo's hosts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from core.adapters.yahoo_session import DeadlineSession
from core.domain.bars import BarSize
from core.series import BarSeries, seconds_of

SIZES = {"1m": BarSize.M1, "5m": BarSize.M5, "1h": BarSize.H1, "60m": BarSize.H1, "1d": BarSize.D1}
RANGES = {"1d": 4, "5d": 8, "1mo": 31}
REACH = {BarSize.M1: 8, BarSize.M5: 60, BarSize.H1: 730}
CRUMB = "c/rumb.1"


class YahooServer:
    """`series` holds what Yahoo knows, by symbol and size; `now` is its clock. `faults` maps a symbol to 429, 502, 404,
    "hang", "html", "cut" or "nulls". `requests` lists what was asked (host and path)."""

    def __init__(self, series: Mapping[tuple[str, BarSize], BarSeries], now: datetime) -> None:
        self.series = dict(series)
        self.now = now
        self.faults: dict[str, int | str] = {}
        self.live: dict[str, tuple[datetime, float]] = {}
        self.requests: list[str] = []
        self.released = threading.Event()
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
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def session(self) -> Callable[[Callable[[], float]], DeadlineSession]:
        """Makes sessions whose requests all come here."""
        address = self.address

        class Redirected(DeadlineSession):
            def request(self, method: Any, url: str, *positional: Any, **options: Any) -> Any:
                parts = urlsplit(url)
                return super().request(method, f"{address}/{parts.hostname}{parts.path}", *positional, **options)

        return Redirected

    def chart_calls(self) -> list[str]:
        return [path for path in self.requests if "/v8/finance/chart/" in path]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                server.requests.append(parts.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                status, kind, body = server.answer(parts.path, query)
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    if parts.path.startswith("/fc.yahoo.com"):
                        self.send_header("Set-Cookie", "A3=d=cookie; Path=/; Max-Age=31536000")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True  # the client gave up waiting, which some tests are about

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        return Handler

    def answer(self, path: str, query: Mapping[str, str]) -> tuple[int, str, bytes]:
        """Status, content type and body of one request."""
        if path.startswith("/fc.yahoo.com"):
            return 404, "text/html", b"<html>nothing here</html>"
        if path.endswith("/v1/test/getcrumb"):
            if 429 in self.faults.values():
                return 429, "text/plain", b"Too Many Requests"
            return 200, "text/plain", CRUMB.encode()
        if "/v8/finance/chart/" in path:
            return self._chart(path.rsplit("/", 1)[1], query)
        return 200, "text/html", b"<html><body>consent is not needed</body></html>"

    def _chart(self, symbol: str, query: Mapping[str, str]) -> tuple[int, str, bytes]:
        fault = self.faults.get(symbol)
        size = SIZES[query["interval"]]
        if fault == "hang":
            self.released.wait(30)
        if fault == 429:
            return 429, "text/plain", b"Too Many Requests\r\n"
        if fault in (502, "html"):
            return (502 if fault == 502 else 200), "text/html", b"<!DOCTYPE html><html><title>Yahoo</title></html>"
        if fault == "cut":
            return 200, "application/json", b'{"chart":{"result":[{"meta":{},"indicators":{"quote":[{"open":[1]}]}}]}}'
        if fault == 404 or not any(known == symbol for known, _ in self.series):
            return 404, "application/json", _error("Not Found", "No data found, symbol may be delisted")
        start = self._start(query)
        reach = REACH.get(size)
        if reach is not None and start < seconds_of(self.now - timedelta(days=reach)):
            text = f"{size} data not available for startTime={start}: it must be within the last {reach} days."
            return 422, "application/json", _error("Unprocessable Entity", text)
        return 200, "application/json", self._result(symbol, size, start, nulls=fault == "nulls")

    def _start(self, query: Mapping[str, str]) -> int:
        if "period1" in query:
            return int(query["period1"])
        return seconds_of(self.now - timedelta(days=RANGES[query["range"]]))

    def _result(self, symbol: str, size: BarSize, start: int, *, nulls: bool) -> bytes:
        known = self.series.get((symbol, size), BarSeries.empty(symbol, size))
        shown = known.part((known.opened_at >= start) & (known.opened_at <= seconds_of(self.now)))
        times = shown.opened_at.tolist()
        columns: dict[str, list[float | None]] = {
            name: getattr(shown, name).tolist() for name in ("open", "high", "low", "close", "volume")
        }
        if nulls and times:
            for values in columns.values():
                values[len(times) // 2] = None
        at, price = self.live.get(symbol, (self.now, columns["close"][-1] if times else None))
        if symbol in self.live:
            times.append(seconds_of(at))
            for name, values in columns.items():
                values.append(0 if name == "volume" else price)
        result: dict[str, Any] = {"meta": self._meta(symbol, shown, at, price), "indicators": {"quote": [{}]}}
        if times:
            result["timestamp"] = times
            quote = {name: [None if v is None else v for v in values] for name, values in columns.items()}
            result["indicators"] = {"quote": [quote], "adjclose": [{"adjclose": columns["close"]}]}
        return json.dumps({"chart": {"result": [result], "error": None}}).encode()

    def _meta(self, symbol: str, shown: BarSeries, traded: datetime, price: float | None) -> dict[str, Any]:
        coin = symbol.endswith("-USD")
        days = sorted({second // 86_400 * 86_400 for second in [*shown.opened_at.tolist(), seconds_of(traded)]})
        zone = "UTC" if coin else "America/New_York"
        hours = (0, 86_340) if coin else (13 * 3_600, 21 * 3_600)
        periods = [[{"timezone": zone, "gmtoffset": 0, "start": day + hours[0], "end": day + hours[1]}] for day in days]
        return {
            "symbol": symbol,
            "currency": "USD",
            "exchangeName": "CCC" if coin else "PCX",
            "instrumentType": "CRYPTOCURRENCY" if coin else "ETF",
            "exchangeTimezoneName": zone,
            "timezone": zone,
            "gmtoffset": 0,
            "priceHint": 2,
            "regularMarketPrice": price,
            "regularMarketTime": seconds_of(traded),
            "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
            "tradingPeriods": periods,
        }


def _error(code: str, description: str) -> bytes:
    return json.dumps({"chart": {"result": None, "error": {"code": code, "description": description}}}).encode()


def known_moment() -> datetime:
    """Wednesday before Thanksgiving 2024, 11:02:17 in New York: a session is running."""
    return datetime(2024, 11, 27, 16, 2, 17, tzinfo=UTC)
