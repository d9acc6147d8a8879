"""Yahoo's charts (v8) out of any bars: what it answers to a question about one symbol, its own refusals included."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from core.adapters.calendars import ExchangeCalendar
from core.domain.bars import BarSize
from core.domain.corporate import CorporateAction
from core.domain.instruments import AssetClass, instrument_for
from core.series import BarSeries, seconds_of, time_of
from tests.servers.yahoo_faults import Answer, refusal

SIZES = {"1m": BarSize.M1, "5m": BarSize.M5, "1h": BarSize.H1, "60m": BarSize.H1, "1d": BarSize.D1}
RANGES = {"1d": 4, "5d": 8, "1mo": 31}
KEPT_DAYS = {BarSize.M1: 30, BarSize.M5: 60, BarSize.H1: 730}
MOST_DAYS_OF_MINUTES = 8
DAY = 86_400
COLUMNS = ("open", "high", "low", "close", "volume")
CALENDAR = ExchangeCalendar(date(1990, 1, 1), date(2030, 12, 31))


@dataclass
class Exchange:
    """What Yahoo knows at `now`. A bar that is still open is shown with what has happened of it.

    `live` gives a symbol a row of its newest trade; `delisted` are remembered and have no prices; `meta` overrides what
    is said of a symbol.
    """

    series: dict[tuple[str, BarSize], BarSeries]
    now: datetime
    live: dict[str, tuple[datetime, float]] = field(default_factory=dict)
    actions: dict[str, Sequence[CorporateAction]] = field(default_factory=dict)
    delisted: set[str] = field(default_factory=set)
    meta: dict[str, dict[str, Any]] = field(default_factory=dict)

    def knows(self, symbol: str) -> bool:
        return any(known == symbol for known, _ in self.series)


def answer(exchange: Exchange, symbol: str, query: Mapping[str, str]) -> Answer:
    """The answer to one question."""
    if symbol in exchange.delisted:
        meta = {"symbol": symbol, "exchangeName": "YHD", "instrumentType": "MUTUALFUND", "currency": None}
        meta |= {"exchangeTimezoneName": "America/New_York", "dataGranularity": query["interval"], "validRanges": []}
        return _chart({"meta": meta, "indicators": {"quote": [{}], "adjclose": [{}]}})
    if not exchange.knows(symbol):
        return Answer(404, refusal("Not Found", "No data found, symbol may be delisted"))
    size = SIZES.get(query["interval"])
    if size is None:
        words = f"Invalid input - interval={query['interval']} is not supported. Valid intervals: {list(SIZES)}"
        return Answer(422, refusal("Unprocessable Entity", words))
    start, end = _asked(exchange, query)
    no = _refused(exchange, symbol, size, start, end)
    if no is not None:
        return no
    return _chart(_result(exchange, symbol, size, query["interval"], start, end))


def _asked(exchange: Exchange, query: Mapping[str, str]) -> tuple[int, int]:
    now = seconds_of(exchange.now)
    if "period1" in query:
        return int(query["period1"]), int(query["period2"])
    return now - RANGES[query["range"]] * DAY, now


def _refused(exchange: Exchange, symbol: str, size: BarSize, start: int, end: int) -> Answer | None:
    if start >= end:
        words = f"Invalid input - start date cannot be after end date. startDate = {start}, endDate = {end}"
        return Answer(400, refusal("Bad Request", words))
    now, days = seconds_of(exchange.now), KEPT_DAYS.get(size)
    span = f"{size} data not available for startTime={start} and endTime={end}."
    if days is not None and start <= now - days * DAY:
        words = f"{span} The requested range must be within the last {days} days."
        return Answer(422, refusal("Unprocessable Entity", words))
    if size is BarSize.M1 and min(end, now) - start > MOST_DAYS_OF_MINUTES * DAY:
        words = f"{span} Only {MOST_DAYS_OF_MINUTES} days worth of 1m granularity data are allowed to be fetched"
        return Answer(422, refusal("Unprocessable Entity", f"{words} per request."))
    first = _first_trade(exchange, symbol)
    if first is not None and end <= first:
        return Answer(400, refusal("Bad Request", f"Data doesn't exist for startDate = {start}, endDate = {end}"))
    return None


def _first_trade(exchange: Exchange, symbol: str) -> int | None:
    known = [
        int(series.opened_at[0]) for (name, _), series in exchange.series.items() if name == symbol and len(series)
    ]
    return min(known, default=None)


def _chart(result: dict[str, Any]) -> Answer:
    return Answer(200, json.dumps({"chart": {"result": [result], "error": None}}).encode())


def _result(exchange: Exchange, symbol: str, size: BarSize, interval: str, start: int, end: int) -> dict[str, Any]:
    now = seconds_of(exchange.now)
    known = exchange.series.get((symbol, size), BarSeries.empty(symbol, size))
    shown = known.part((known.opened_at >= start) & (known.opened_at < min(end, now + 1)))
    times = shown.opened_at.tolist()
    columns: dict[str, list[float]] = {name: getattr(shown, name).tolist() for name in COLUMNS}
    adjusted = _adjusted(shown, exchange.actions.get(symbol, ())) if size is BarSize.D1 else None
    if times and shown.closed_at[-1] > now:
        for name in ("high", "low", "close"):
            columns[name][-1] = columns["open"][-1]
        columns["volume"][-1] = columns["volume"][-1] // 2
    traded, price = exchange.live.get(symbol, (exchange.now, columns["close"][-1] if times else None))
    if symbol in exchange.live:
        times.append(seconds_of(traded))
        for name in COLUMNS:
            columns[name].append(0 if name == "volume" else float(price or 0))
    result: dict[str, Any] = {"meta": _meta(exchange, symbol, size, interval, times, traded, price)}
    events = _events(exchange.actions.get(symbol, ()), start, min(end, now + 1))
    if events:
        result["events"] = events
    result["indicators"] = {"quote": [{}]}
    if times:
        result |= {"timestamp": times, "indicators": {"quote": [columns]}}
        if adjusted is not None:
            adjusted += columns["close"][len(adjusted) :]
            result["indicators"]["adjclose"] = [{"adjclose": adjusted}]
    return result


def _adjusted(shown: BarSeries, actions: Sequence[CorporateAction]) -> list[float]:
    """Closes lowered by the dividends that came later, in proportion."""
    factor = np.ones(len(shown))
    for action in actions:
        before = shown.opened_at < seconds_of(action.at)
        if action.dividend and before.any():
            factor[before] *= 1 - float(action.dividend / action.ratio) / float(shown.close[before][-1])
    return [float(close) for close in shown.close * factor]


def _events(actions: Sequence[CorporateAction], start: int, end: int) -> dict[str, Any]:
    """Amounts as Yahoo has them: on each unit of today's count."""
    found: dict[str, Any] = {}
    for action in actions:
        second = seconds_of(action.at)
        if not start <= second < end:
            continue
        if action.dividend:
            amount = float(action.dividend / action.ratio)
            found.setdefault("dividends", {})[str(second)] = {"amount": amount, "date": second}
        if action.is_split:
            numerator, denominator = action.ratio.as_integer_ratio()
            found.setdefault("splits", {})[str(second)] = {
                "date": second,
                "numerator": float(numerator),
                "denominator": float(denominator),
                "splitRatio": f"{numerator}:{denominator}",
            }
    return found


def _meta(
    exchange: Exchange,
    symbol: str,
    size: BarSize,
    interval: str,
    times: Sequence[int],
    traded: datetime,
    price: float | None,
) -> dict[str, Any]:
    coin = instrument_for(symbol).is_crypto
    zone = "UTC" if coin else "America/New_York"
    meta = {
        "currency": "USD",
        "symbol": symbol,
        "exchangeName": "CCC" if coin else "PCX",
        "fullExchangeName": "CCC" if coin else "NYSEArca",
        "instrumentType": "CRYPTOCURRENCY" if coin else "ETF",
        "firstTradeDate": _first_trade(exchange, symbol),
        "regularMarketTime": seconds_of(traded),
        "hasPrePostMarketData": not coin,
        "gmtoffset": 0 if coin else -18_000,
        "timezone": "UTC" if coin else "EST",
        "exchangeTimezoneName": zone,
        "regularMarketPrice": price,
        "longName": f"{symbol} of the exchange",
        "priceHint": 2,
        "dataGranularity": interval,
        "range": "",
        "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
    }
    if size.is_intraday:
        meta["tradingPeriods"] = _periods(symbol, times)
    return meta | exchange.meta.get(symbol, {})


def _periods(symbol: str, times: Sequence[int]) -> list[list[dict[str, Any]]]:
    """Yahoo's sessions of the days shown; a coin's ends a minute before midnight."""
    days = sorted({time_of(second).date() for second in times})
    if instrument_for(symbol).is_crypto:
        midnights = [int((day - date(1970, 1, 1)) / timedelta(days=1)) * DAY for day in days]
        return [[{"timezone": "UTC", "gmtoffset": 0, "start": each, "end": each + DAY - 60}] for each in midnights]
    found = [CALENDAR.session_bounds(AssetClass.STOCK, day) for day in days]
    return [
        [{"timezone": "EST", "gmtoffset": -18_000, "start": seconds_of(each[0]), "end": seconds_of(each[1])}]
        for each in found
        if each is not None
    ]
