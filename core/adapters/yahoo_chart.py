"""Yahoo's chart answer (v8) as it stands in the JSON: is it what was asked for, and what else does it tell.

yfinance reads it leniently: columns that do not fit, another symbol, months given for days become wrong bars without a
word. Here an answer is believed as a whole or not at all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np

from core.adapters.bar_rows import ZONES
from core.domain.bars import BarSize
from core.domain.corporate import CorporateAction
from core.domain.instruments import AssetClass, Instrument, Listing
from core.domain.values import ONE, ZERO, exact
from core.errors import DataFault, NoBars, UnknownSymbol
from core.ports import Calendar
from core.series import VALUES, Floats, Seconds, time_of

GRANULARITIES: Mapping[BarSize, tuple[str, ...]] = {BarSize.H1: ("1h", "60m")}
KINDS = {AssetClass.STOCK: ("EQUITY", "ETF"), AssetClass.CRYPTO: ("CRYPTOCURRENCY",)}
DELISTED = "YHD"
MOST_VOLUME = 2.0**62
FIRST_SECOND, LAST_SECOND = -5_000_000_000, 10_000_000_000


class BadChart(ValueError):
    """The answer is not the chart that was asked for; the text says in what."""


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """`columns` are open, high, low, close, volume, NaN where Yahoo has null; `times` ascend, up to the last row, which
    may be a live one. Dividends and ratios of splits by their time."""

    meta: Mapping[str, Any]
    times: Seconds
    columns: Mapping[str, Floats]
    dividends: Mapping[int, Decimal]
    splits: Mapping[int, Decimal]


def load(text: str) -> Any:
    """The answer as JSON. Raises BadChart."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("{"):
            raise BadChart("its JSON breaks off or is damaged") from error
        raise BadChart("it is no JSON but a page" if "<" in text[:200] else "it is no JSON") from error


def refusal(answer: Any) -> tuple[str, str]:
    """Code and description of the error that an answer names; two empty texts where it names none."""
    for part in ("chart", "finance"):
        error = _get(_get(answer, part), "error")
        if isinstance(error, Mapping):
            return str(error.get("code") or ""), str(error.get("description") or "")
    return "", ""


def read(answer: Any, instrument: Instrument, size: BarSize) -> Chart:
    """Raises BadChart; UnknownSymbol, NoBars or DataFault where it is a sound answer without usable bars."""
    results = _get(_get(answer, "chart"), "result")
    if not isinstance(results, Sequence) or isinstance(results, str) or len(results) != 1:
        raise BadChart("it holds no chart")
    result = results[0]
    meta = _get(result, "meta")
    if not isinstance(meta, Mapping):
        raise BadChart("it does not say what it is of")
    if str(meta.get("symbol", "")).upper() != instrument.symbol:
        raise BadChart(f"it is of {str(meta.get('symbol'))[:20]!r}")
    if meta.get("exchangeName") == DELISTED:
        raise UnknownSymbol(instrument.symbol, "is no longer listed at Yahoo")
    _check_kind(meta, instrument)
    if meta.get("dataGranularity") not in GRANULARITIES.get(size, (size.value,)):
        raise BadChart(f"its bars are of {str(meta.get('dataGranularity'))[:20]!r}, not {size}")
    times, columns = _table(result, instrument, size)
    events = _get(result, "events")
    splits = {second: ratio for second, ratio in _dated(events, "splits", _ratio) if ratio != ONE}
    return Chart(meta, times, columns, _distributions(events), splits)


def _check_kind(meta: Mapping[str, Any], instrument: Instrument) -> None:
    """What is traded elsewhere, in other money or not at all has no place in our calendar and books."""
    wanted = (
        ("instrumentType", KINDS[instrument.asset_class], "is of the kind"),
        ("exchangeTimezoneName", (ZONES[instrument.asset_class],), "trades by the clock of"),
        ("currency", ("USD",), "is priced in"),
    )
    for name, allowed, words in wanted:
        said = meta.get(name)
        if not isinstance(said, str) or not said:
            raise BadChart(f"it lacks {name}")
        if said not in allowed:
            raise DataFault(instrument.symbol, f"{words} {said[:30]}, which AutoTrader does not trade")


def _table(result: Any, instrument: Instrument, size: BarSize) -> tuple[Seconds, Mapping[str, Floats]]:
    quotes = _get(_get(result, "indicators"), "quote")
    if not isinstance(quotes, list) or len(quotes) != 1 or not isinstance(quotes[0], Mapping):
        raise BadChart("it holds no table of prices")
    times = _get(result, "timestamp")
    if not times and not any(quotes[0].values()):
        raise NoBars(instrument.symbol, f"has no {size} bars in that time")
    seconds = _seconds(times)
    columns = {name: _numbers(name, quotes[0].get(name), len(seconds)) for name in VALUES}
    if (np.abs(columns["volume"]) > MOST_VOLUME).any():
        raise BadChart("a volume is beyond measure")
    return seconds, columns


def _seconds(values: Any) -> Seconds:
    """Ascending; only the last row, which may be a live one, may stand out of order."""
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise BadChart("its times are no whole seconds")
    if not all(FIRST_SECOND < value < LAST_SECOND for value in values):
        raise BadChart("a time is beyond reason")
    seconds = np.array(values, np.int64)
    if (np.diff(seconds[:-1]) < 0).any():
        raise BadChart("its rows are not in the order of time")
    return seconds


def _numbers(name: str, values: Any, length: int) -> Floats:
    if not isinstance(values, list) or len(values) != length:
        raise BadChart(f"its column {name} does not fit its times")
    if not all(value is None or type(value) in (int, float) for value in values):
        raise BadChart(f"its column {name} holds something else than numbers")
    try:
        return np.array([math.nan if value is None else float(value) for value in values], np.float64)
    except OverflowError as error:
        raise BadChart(f"a number in its column {name} is beyond measure") from error


def actions(chart: Chart, instrument: Instrument, calendar: Calendar) -> Iterator[CorporateAction]:
    """Dividends and splits of the chart's time, each at the open of its session. Amounts as Yahoo tells them: USD on
    each unit of today's count."""
    for second in sorted(chart.dividends.keys() | chart.splits.keys()):
        ratio = chart.splits.get(second, ONE)
        # The units held before are fewer: each of them gets what all that it becomes get.
        dividend = chart.dividends.get(second, ZERO) * ratio
        at = _open_of(calendar, instrument.asset_class, time_of(second))
        yield CorporateAction(instrument.symbol, at, dividend, ratio, _close_before(chart, second))


def _open_of(calendar: Calendar, asset_class: AssetClass, at: datetime) -> datetime:
    """The open of the session that is dated like `at`; without one on that date, of the next."""
    bounds = calendar.session_bounds(asset_class, at.date())
    return bounds[0] if bounds is not None else calendar.next_open(asset_class, at)


def _distributions(events: Any) -> Mapping[int, Decimal]:
    """Cash on each unit. Yahoo adds a fund's distributed gains to its dividend and tells of them once more: of the two
    the larger one is all of it."""
    found: dict[int, Decimal] = {}
    for kind in ("dividends", "capitalGains"):
        for second, amount in _dated(events, kind, _amount):
            found[second] = max(amount, found.get(second, ZERO))
    return {second: amount for second, amount in found.items() if amount}


def _dated(events: Any, kind: str, value: Callable[[Any], Decimal]) -> Iterator[tuple[int, Decimal]]:
    found = _get(events, kind) or {}
    if not isinstance(found, Mapping):
        raise BadChart(f"its {kind} are no list")
    for entry in found.values():
        second = _get(entry, "date")
        if type(second) is not int or not FIRST_SECOND < second < LAST_SECOND:
            raise BadChart(f"one of its {kind} has no date")
        yield second, value(entry)


def _amount(entry: Any) -> Decimal:
    return _number(_get(entry, "amount"), "dividend")


def _ratio(entry: Any) -> Decimal:
    numerator, denominator = (_number(_get(entry, name), "split") for name in ("numerator", "denominator"))
    if not (numerator and denominator):
        raise BadChart("a split is of nothing")
    return numerator / denominator


def _number(value: Any, what: str) -> Decimal:
    if type(value) not in (int, float) or not 0 <= value < 1e9:
        raise BadChart(f"the size of a {what} is {str(value)[:20]}")
    return exact(float(value))


def _close_before(chart: Chart, second: int) -> Decimal:
    """The last close known before, in new units; zero where there is none."""
    closes = chart.columns["close"][chart.times < second]
    known = closes[np.isfinite(closes) & (closes > 0)]
    return exact(float(known[-1])) if len(known) else ZERO


def traded_at(chart: Chart) -> tuple[float, datetime] | None:
    """The newest trade: its price and time; None where the answer tells of none."""
    price, second = chart.meta.get("regularMarketPrice"), chart.meta.get("regularMarketTime")
    if not isinstance(price, int | float) or not isinstance(second, int) or not 0 < second < LAST_SECOND:
        return None
    return (float(price), time_of(second)) if 0 < price < math.inf else None


def listing(chart: Chart, symbol: str) -> Listing:
    """What the answer says of its symbol. Raises NoBars where nothing was traded lately."""
    traded = traded_at(chart)
    if traded is None:
        raise NoBars(symbol, "has no price: nothing was traded lately")
    names = (chart.meta.get(each) for each in ("longName", "shortName", "symbol"))
    name = next((" ".join(each.split())[:80] for each in names if isinstance(each, str) and each.strip()), symbol)
    second = chart.meta.get("firstTradeDate")
    first = time_of(second).date() if type(second) is int and FIRST_SECOND < second < LAST_SECOND else None
    return Listing(symbol, name, str(chart.meta["instrumentType"]), str(chart.meta["currency"]), *traded, first)


def _get(part: Any, name: str) -> Any:
    return part.get(name) if isinstance(part, Mapping) else None
