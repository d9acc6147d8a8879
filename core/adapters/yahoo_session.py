"""The HTTP session that yfinance uses: paced, within a deadline, and the place where Yahoo's answers are judged.

yfinance asks up to seven times behind one call, with time-outs of up to 30 seconds each, and what went wrong is lost on
the way: an answer 401 looks like an absence of prices. Here every answer about prices is seen as it came. One that says
no ends the call at once; yfinance reads only charts that are what was asked for.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from curl_cffi.requests import Session
from curl_cffi.requests.exceptions import ConnectionError as CurlConnectionError
from curl_cffi.requests.exceptions import DNSError, ProxyError, RequestException, SSLError, Timeout

from core.adapters import yahoo_chart
from core.adapters.pacing import Pacer, Pause, Restraint, http_date
from core.adapters.yahoo_chart import BadChart, Chart
from core.domain.bars import BarSize
from core.domain.instruments import Instrument
from core.errors import AccessRefused, NoBars, RateLimited, Transient, UnknownSymbol, Unreachable

CHART, CRUMB = "/v8/finance/chart/", "/v1/test/getcrumb"
DOWN = "Will be right back"
TUNNEL = "CONNECT tunnel failed"
REFUSED = Pause(timedelta(minutes=1), timedelta(minutes=32))
OUT_OF_REACH = Pause(timedelta(seconds=20), timedelta(minutes=2), patience=4)
LIMITED = (429, 999)
BARRED = (401, 403, 451)
# Cookie, crumb and consent help, and prices come without them: they may take this part of a call's time each, and are
# left alone for a while when they do not answer.
SIDE_SHARE = 0.25
SIDE_DOORS_SHUT = 300.0
_CRUMB_LIKE = re.compile(r"[^\s<>{}]{1,64}")


@dataclass(slots=True)
class Call:
    """One question about one instrument and what came of it. `until` by the monotonic clock."""

    instrument: Instrument
    size: BarSize
    seconds: float
    until: float
    chart: Chart | None = None
    yahoo_time: datetime | None = None
    turned_away: int = 0


class YahooSession(Session[Any]):
    """A browser-like session. Requests belong to the `call` that their thread is in; there is none outside of one."""

    def __init__(self, monotonic: Callable[[], float], pacer: Pacer, restraint: Restraint) -> None:
        super().__init__(impersonate="chrome")
        self._monotonic = monotonic
        self._pacer = pacer
        self._restraint = restraint
        self._current = threading.local()
        self._side_doors_open_at = 0.0

    @contextmanager
    def call(self, instrument: Instrument, size: BarSize, seconds: float) -> Iterator[Call]:
        """All requests of this thread inside the block end within `seconds`. They raise Unreachable, RateLimited,
        AccessRefused, UnknownSymbol, NoBars and DataFault, and BadChart for an answer that cannot be used."""
        call = Call(instrument, size, seconds, self._monotonic() + seconds)
        self._current.call = call
        try:
            yield call
        finally:
            self._current.call = None

    def request(self, method: Any, url: str, *positional: Any, **options: Any) -> Any:
        call: Call = self._current.call
        is_chart = _is_of_prices(url)
        if not is_chart and self._monotonic() < self._side_doors_open_at:
            raise CurlConnectionError("it did not answer a moment ago")
        self._restraint.check()
        if not self._pacer.wait(call.until):
            # It says nothing about Yahoo, so that no pause follows from it.
            raise Unreachable(f"was not asked within {call.seconds:.2g} s: too many questions wait for their turn")
        left = call.until - self._monotonic()
        if left <= 0:
            raise self._no_answer(call, Timeout("its time is used up"))
        options["timeout"] = left if is_chart else min(left, SIDE_SHARE * call.seconds)
        try:
            response = super().request(method, url, *positional, **options)
        except RequestException as error:
            if not is_chart:
                self._side_doors_open_at = self._monotonic() + SIDE_DOORS_SHUT
                raise
            raise self._no_answer(call, error) from error
        # Agreeing to the consent page leads to the chart, too.
        if is_chart or _is_of_prices(str(response.url)):
            return self._judged(call, response)
        if CRUMB in url and not _is_crumb(response):
            # yfinance would take an error's text for a crumb, and be turned away with it from then on.
            self._side_doors_open_at = self._monotonic() + SIDE_DOORS_SHUT
            raise CurlConnectionError("it gave no crumb")
        return response

    def _judged(self, call: Call, response: Any) -> Any:
        """Hands on a chart that is what was asked for, and once in a while a refusal that another cookie may mend."""
        if _is_consent_page(response):
            return response
        status = int(response.status_code)
        if status in LIMITED or status in BARRED:
            return self._turned_away(call, status, response)
        if status >= 500:
            raise self._restraint.refused(Unreachable, f"is out of order (HTTP {status})", OUT_OF_REACH)
        if DOWN in response.text[:10_000]:
            raise self._restraint.refused(Unreachable, "is down, and says that it will be right back", OUT_OF_REACH)
        try:
            answer = yahoo_chart.load(response.text)
            if status >= 400 or any(yahoo_chart.refusal(answer)):
                raise _no_for_an_answer(call, status, *yahoo_chart.refusal(answer))
            call.chart = yahoo_chart.read(answer, call.instrument, call.size)
        except BadChart as error:
            raise BadChart(f"{error} (HTTP {status})" if status != 200 else str(error)) from error
        call.yahoo_time = http_date(response.headers.get("Date"))
        return response

    def _turned_away(self, call: Call, status: int, response: Any) -> Any:
        """The first 401 of a call, and a 429 that outlasted its pause, go to yfinance, which then asks for another
        cookie. Everything else ends the call: asking on is what was complained about."""
        call.turned_away += 1
        limited = status in LIMITED
        may_mend = self._restraint.refusals > 0 if limited else True
        if may_mend and call.turned_away == 1:
            self._side_doors_open_at = 0.0
            return response
        if limited:
            raise self._restraint.refused(
                RateLimited, "asks us to slow down (too many requests)", REFUSED, _asked(response)
            )
        try:
            said = yahoo_chart.refusal(yahoo_chart.load(response.text))[1][:80]
        except BadChart:
            said = ""
        words = f"does not let us in (HTTP {status}{': ' if said else ''}{said})"
        raise self._restraint.refused(AccessRefused, words, REFUSED)

    def _no_answer(self, call: Call, error: RequestException) -> Transient:
        return self._restraint.refused(Unreachable, _why_not(error, call.seconds), OUT_OF_REACH)


def _no_for_an_answer(call: Call, status: int, code: str, description: str) -> Exception:
    """What an error in the chart's own form means."""
    symbol = call.instrument.symbol
    if not (code or description):
        return BadChart("it is an error without a reason")
    if status == 404 or code == "Not Found":
        if "date range" in description:
            return NoBars(symbol, f"has no {call.size} bars in that time")
        return UnknownSymbol(symbol, f"knows no such symbol ({description or code})")
    if status in (400, 422):
        return NoBars(symbol, f"has no {call.size} bars in that time ({description or code})")
    return BadChart(f"it is the error {code}: {description}")


def _why_not(error: RequestException, seconds: float) -> str:
    if isinstance(error, Timeout):
        return f"did not answer within {seconds:.2g} s"
    if isinstance(error, ProxyError) or TUNNEL in str(error):
        return "cannot be reached: the proxy that is set here does not connect"
    if isinstance(error, DNSError):
        return "cannot be reached: its name is not found, so this machine may be offline"
    if isinstance(error, SSLError):
        return "cannot be reached: no trusted connection (something in between, or this machine's clock)"
    if isinstance(error, CurlConnectionError):
        return "cannot be reached: no connection"
    return f"broke off its answer ({type(error).__name__})"


def _is_of_prices(url: str) -> bool:
    return CHART in urlsplit(url).path


def _is_crumb(response: Any) -> bool:
    return response.status_code == 200 and _CRUMB_LIKE.fullmatch(response.text) is not None


def _is_consent_page(response: Any) -> bool:
    """yfinance itself agrees to the page that Yahoo shows in Europe, and gets the chart behind it."""
    return (urlsplit(str(response.url)).hostname or "").endswith("consent.yahoo.com")


def _asked(response: Any) -> timedelta:
    """How long Yahoo itself asks us to wait."""
    text = str(response.headers.get("Retry-After") or "").strip()
    return timedelta(seconds=min(int(text), 86_400)) if text.isdecimal() else timedelta(0)
