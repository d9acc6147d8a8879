"""Time, sessions, prices and bars."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from core.domain.bar_records import NO_NOTES, BarNotes, KnownGap, Seam
from core.domain.bars import BarSize, Quote
from core.domain.instruments import AssetClass, Instrument, Listing
from core.series import BarSeries, Seconds


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC."""
        ...


class Calendar(Protocol):
    """Sessions. Stocks follow XNYS, coins never close. All times aware UTC."""

    def is_open(self, asset_class: AssetClass, at: datetime) -> bool: ...

    def next_open(self, asset_class: AssetClass, at: datetime) -> datetime:
        """The first moment at or after `at` at which orders of the class can fill; `at` itself when open."""
        ...

    def next_close(self, asset_class: AssetClass, at: datetime) -> datetime:
        """The first session close after `at`; for coins the next 24:00Z."""
        ...

    def session_of(self, asset_class: AssetClass, at: datetime) -> date:
        """The session that `at` belongs to, or the last one before it; for coins the UTC date."""
        ...

    def session_bounds(self, asset_class: AssetClass, session: date) -> tuple[datetime, datetime] | None:
        """Open and close of a session; None where there is none on that date."""
        ...

    def bar_close(self, asset_class: AssetClass, size: BarSize, opened_at: datetime) -> datetime:
        """When the bar that opened then closes: open + size or the session close, whichever is earlier.

        A daily bar is named by its session date (00:00Z of it) and closes with the session; a coin's at 24:00Z.
        """
        ...

    def sessions_between(self, first: date, last: date) -> tuple[Seconds, Seconds, Seconds]:
        """XNYS sessions dated from `first` to `last`, both included, ascending: their dates (00:00Z), opens and closes
        in whole seconds since 1970."""
        ...

    def day_end(self, at: datetime) -> datetime:
        """The next end of a trading day strictly after `at`: XNYS close + 15 minutes, or 24:00Z without a session."""
        ...


class MarketData(Protocol):
    """A source of bars. Blocking; called in threads under a deadline."""

    name: str

    def bars(self, instrument: Instrument, size: BarSize, end: datetime, count: int) -> BarSeries:
        """At most `count` newest bars closed at or before `end`, ascending; never one that closes later.

        Raises DataFault (this symbol has no usable data), Transient (ask again later).
        """
        ...

    def reach(self, size: BarSize) -> timedelta | None:
        """How far back from now bars of that size can be asked for: None without limit, zero not at all."""
        ...


class Quotes(Protocol):
    def last(self, instruments: Sequence[Instrument], now: datetime) -> Mapping[str, Quote]:
        """The last price at or before `now` of each instrument that has one. Raises Transient."""
        ...


class LivePrices(Protocol):
    def listen(self, hear: Callable[[str, float], None]) -> None:
        """From now on `hear` is called with the symbol and the price (USD) of each live quote that is one, of whatever
        `Quotes.last` was asked about lately. In some thread, where it must not wait. Quotes may be missed."""
        ...

    def prefer(self, symbols: Collection[str]) -> None:
        """From now on these come first, and these alone, where not all can be listened to. Returns at once."""
        ...


class SymbolLookup(Protocol):
    def look_up(self, symbol: str) -> Listing:
        """What the source says of a symbol that may be traded. Blocking; called in threads.

        Raises UnknownSymbol, DataFault (it knows the symbol, and we do not trade such: in other money, of another kind,
        by another clock) and Transient.
        """
        ...


class BarStore(Protocol):
    """Bars on disk, written in bulk and read as columns. Not part of the ledger's transactions."""

    def write(self, series: BarSeries, source: str) -> int:
        """Inserts or replaces; returns how many rows were written."""
        ...

    def write_all(self, parts: Sequence[tuple[BarSeries, str]], notes: BarNotes = NO_NOTES) -> Sequence[int]:
        """Writes several series, none twice, each with its source, and `notes` on them, in one transaction; how many
        rows of each."""
        ...

    def read(self, symbol: str, size: BarSize, end: datetime, count: int) -> BarSeries: ...

    def closes(self, symbol: str, size: BarSize, after: int, until: int) -> Seconds:
        """When the stored bars close that close after `after` and at or before `until`, in seconds, ascending."""
        ...

    def known_gaps(self, symbol: str, size: BarSize) -> Sequence[KnownGap]:
        """What the sources are known not to have of the series, ascending."""
        ...

    def seams(self, after_id: int = 0) -> Sequence[Seam]:
        """Those recorded after the one of that id, of all series, in the order of their recording."""
        ...

    def newest_close(self, symbol: str, size: BarSize) -> datetime | None: ...

    def oldest_close(self, symbol: str, size: BarSize) -> datetime | None: ...

    def rescale(self, symbol: str, size: BarSize, until: datetime, ratio: Decimal) -> int:
        """Divides the prices and multiplies the volumes of all bars closed at or before `until`: a split of `ratio`
        new units for one old. Returns how many bars."""
        ...

    def source_of(self, symbol: str, size: BarSize) -> str | None:
        """The source of the newest stored bar: two sources are never mixed in one series."""
        ...
