"""Alpaca's bars through alpaca-py, dividends and splits.

Of the stocks' feeds IEX is free: the trades of one exchange, two or three of a hundred, in real time. Prices are asked
for adjusted for splits and not for dividends, as the store keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from core.adapters.alpaca_door import Told
from core.adapters.alpaca_names import alpaca_name
from core.adapters.alpaca_rows import Rows, actions_of, bars_of, joined, rows_of
from core.adapters.alpaca_service import AlpacaService
from core.adapters.alpaca_transport import Declined
from core.adapters.calendars import ExchangeCalendar
from core.adapters.pacing import RealClock
from core.domain.bars import BarSize
from core.domain.corporate import CorporateAction
from core.domain.instruments import Instrument, instrument_for
from core.errors import DataFault, MalformedAnswer, NoBars, UnknownSymbol
from core.feed.depth import first_open, newest_close
from core.series import BarSeries

if TYPE_CHECKING:
    from core.adapters.alpaca_vendor import Vendor

PROBE = "SPY"
ROWS_AT_ONCE = 9_000
# Before these days Alpaca has nothing.
FIRST_STOCK_BAR, FIRST_COIN_BAR = datetime(2016, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
# Alpaca finds corporate actions by the day it books them, which is up to months after the ex-date.
BOOKED_BEFORE, BOOKED_AFTER = timedelta(days=7), timedelta(days=120)


class AlpacaData:
    """MarketData. A call takes at most `budget` seconds and asks about one instrument; safe to use from threads."""

    name = "alpaca"

    def __init__(
        self, service: AlpacaService, calendar: ExchangeCalendar, clock: RealClock, *, budget: float = 30.0
    ) -> None:
        self._service = service
        self._calendar = calendar
        self._clock = clock
        self._budget = budget

    def bars(self, instrument: Instrument, size: BarSize, end: datetime, count: int) -> BarSeries:
        """At most `count` newest bars closed at or before `end` (and now, by the slower of our clock and Alpaca's),
        ascending, of regular sessions.

        Raises the classes of core.errors: UnknownSymbol, NoBars and DataFault (the symbol), RateLimited, AccessRefused,
        Unreachable and MalformedAnswer (Alpaca).
        """
        name, now = _name_of(instrument), self._clock.now()
        newest = newest_close(self._calendar, instrument, size, now)
        end = newest_close(self._calendar, instrument, size, min(end, now))
        floor = FIRST_COIN_BAR if instrument.is_crypto else FIRST_STOCK_BAR
        start = first_open(self._calendar, instrument, size, end, count, floor)
        series = BarSeries.empty(instrument.symbol, size)
        until = self._clock.monotonic() + self._budget
        if start < end:
            rows, told_at = self._rows(instrument, name, size, start, end, until)
            series = bars_of(rows, instrument, size, self._calendar).until(min(end, told_at)).last(count)
        if not len(series):
            # Alpaca has no bars of a symbol that it does not know, either; it has a last quote of any other.
            if name not in self._ask(instrument, until, lambda vendor: vendor.latest("quotes", [name])).body:
                raise UnknownSymbol(instrument.symbol, "knows no such symbol")
            if end == newest:
                raise NoBars(instrument.symbol, f"has no {size} bars in that time")
        return series

    def _rows(
        self, instrument: Instrument, name: str, size: BarSize, start: datetime, end: datetime, until: float
    ) -> tuple[Rows, datetime]:
        """What Alpaca has of a span, and when by its clock it said so. A page at a time: the words of long answers take
        a hundred times the room of their numbers."""
        hourly = instrument.is_crypto and not size.is_intraday
        # Of a week's hours a stock trades in less than half, early and late ones included.
        page = ROWS_AT_ONCE * (timedelta(hours=1) if hourly else size.span) * (1 if instrument.is_crypto else 2)
        parts, told_at = [], end
        while start < end:
            stop = min(start + page, end)
            answer = self._ask(instrument, until, partial(_bars, name=name, size=size, start=start, end=stop))
            parts.append(rows_of(answer.body, name))
            told_at = answer.at or end
            start = stop
        return joined(parts), told_at

    def reach(self, _size: BarSize) -> timedelta | None:
        """All sizes reach back to the first bar that Alpaca has."""
        return None

    def actions(self, symbol: str, after: datetime, until: datetime) -> Sequence[CorporateAction]:
        """Dividends and splits in effect after `after` and by `until`, ascending; coins have none. Raises as `bars`."""
        instrument = instrument_for(symbol)
        if instrument.is_crypto:
            return ()
        name, first, last = _name_of(instrument), (after - BOOKED_BEFORE).date(), (until + BOOKED_AFTER).date()
        by = self._clock.monotonic() + self._budget
        answer = self._ask(instrument, by, lambda vendor: vendor.actions(name, first, last))
        told = actions_of(answer.body, instrument.symbol, self._calendar)
        return [action for action in told if after < action.at <= until]

    def look(self, deadline: float) -> None:
        """Asks for one price, within `deadline` seconds, to see how Alpaca is and whether it accepts the keys. Raises
        Transient."""
        try:
            self._service.latest("trades", [PROBE], deadline)
        except Declined as no:
            raise MalformedAnswer(f"does not answer the question ({no})") from None

    def _ask(self, instrument: Instrument, until: float, question: Callable[[Vendor], Any]) -> Told:
        try:
            return self._service.ask(question, max(0.0, until - self._clock.monotonic()))
        except Declined as no:
            if no.status == 404 or "symbol" in no.words:
                raise UnknownSymbol(instrument.symbol, f"knows no such symbol ({no.words})") from None
            raise DataFault(instrument.symbol, f"does not answer the question ({no})") from None


def _bars(vendor: Vendor, name: str, size: BarSize, start: datetime, end: datetime) -> Any:
    return vendor.bars(name, size, start, end)


def _name_of(instrument: Instrument) -> str:
    name = alpaca_name(instrument)
    if name is None:
        raise UnknownSymbol(instrument.symbol, "knows no such symbol (it has US stocks, and coins in USD)")
    return name
