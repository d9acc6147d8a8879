"""The last price of instruments at Alpaca: from the stream where it is fresh, asked for where it is not."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from core.adapters.alpaca_names import alpaca_name
from core.adapters.alpaca_service import AlpacaService, Kind
from core.adapters.alpaca_stream import Heard, QuoteStream, StreamKind
from core.adapters.alpaca_transport import Declined
from core.adapters.pacing import RealClock
from core.domain.bars import Quote
from core.domain.instruments import AssetClass, Instrument, instrument_for
from core.errors import MalformedAnswer, Transient
from core.ports import Calendar

FRESH_SECONDS = 10.0
MOST_DELAY = timedelta(minutes=1)
# Wider apart than this, bid and ask say too little about a price that could sell a position: one exchange alone.
MOST_SPREAD = 0.01


class AlpacaQuotes:
    """Quotes. The price is halfway between bid and ask; of a stock only while its exchange is open. A quote that is
    crossed, one-sided or too wide is no price: the last trade is asked for instead.

    Polling takes at most `budget` seconds in all. Without a `stream` everything is polled.
    """

    def __init__(
        self,
        service: AlpacaService,
        calendar: Calendar,
        clock: RealClock,
        stream: QuoteStream | None = None,
        *,
        budget: float = 10.0,
    ) -> None:
        self._service = service
        self._calendar = calendar
        self._clock = clock
        self._stream = stream
        self._budget = budget
        self._symbols: dict[str, str] = {}

    def listen(self, hear: Callable[[str, float], None]) -> None:
        """From now on `hear` gets the symbol and the price (USD) of each streamed quote that is one, whether or not its
        exchange is open. It runs in the stream's thread."""

        def heard(_: StreamKind, name: str, quote: Heard) -> None:
            symbol, price = self._symbols.get(name), middle(quote.bid, quote.ask)
            if symbol is not None and price is not None:
                hear(symbol, price)

        if self._stream is not None:
            self._stream.listen(heard)

    def prefer(self, symbols: Collection[str]) -> None:
        """Streams these before all others."""
        if self._stream is not None:
            kinds = self._by_name(instrument_for(symbol) for symbol in symbols)
            self._stream.prefer({kind: list(names) for kind, names in kinds.items()})

    def last(self, instruments: Sequence[Instrument], now: datetime) -> Mapping[str, Quote]:
        """The last price at or before `now` of each instrument that has one. Raises Transient when none could be had
        because Alpaca could not be asked."""
        until = self._clock.monotonic() + self._budget
        kinds = self._by_name(instruments)
        if self._stream is not None:
            self._stream.watch({kind: list(names) for kind, names in kinds.items()})
        quotes: dict[str, Quote] = {}
        failed: Transient | None = None
        for kind, names in kinds.items():
            quotes |= self._streamed(kind, names, now)
            missing = {name: instrument for name, instrument in names.items() if instrument.symbol not in quotes}
            try:
                quotes |= self._polled(missing, now, until)
            except Transient as error:
                failed = error
        if failed is not None and not quotes:
            raise failed
        return quotes

    def _by_name(self, instruments: Iterable[Instrument]) -> Mapping[StreamKind, Mapping[str, Instrument]]:
        """Those that Alpaca has, by its names."""
        kinds: dict[StreamKind, dict[str, Instrument]] = {"stocks": {}, "coins": {}}
        for instrument in instruments:
            name = alpaca_name(instrument)
            if name is not None:
                kinds["coins" if instrument.is_crypto else "stocks"][name] = instrument
                self._symbols[name] = instrument.symbol
        return kinds

    def close(self) -> None:
        """Ends the stream."""
        if self._stream is not None:
            self._stream.close()

    def _streamed(self, kind: StreamKind, names: Mapping[str, Instrument], now: datetime) -> dict[str, Quote]:
        found: dict[str, Quote] = {}
        monotonic = self._clock.monotonic()
        for name, instrument in names.items() if self._stream is not None else ():
            heard = self._stream.heard(kind, name) if self._stream is not None else None
            if heard is None or monotonic - heard.heard_at > FRESH_SECONDS or now - heard.at > MOST_DELAY:
                continue
            quote = self._quote(instrument, middle(heard.bid, heard.ask), heard.at, now)
            if quote is not None:
                found[instrument.symbol] = quote
        return found

    def _polled(self, names: Mapping[str, Instrument], now: datetime, until: float) -> dict[str, Quote]:
        """Quotes of all, then the last trades of those without one that is a price. `names` are of one class."""
        found: dict[str, Quote] = {}
        kinds: tuple[Kind, ...] = ("quotes", "trades")
        for kind in kinds:
            missing = [name for name, instrument in names.items() if instrument.symbol not in found]
            if not missing or not self._is_worth_asking(names[missing[0]], now):
                break
            try:
                told = self._ask(kind, missing, until)
            except Transient:
                if found:
                    break
                raise
            for name in told.keys() & names.keys():
                quote = self._read(kind, names[name], told[name], now)
                if quote is not None:
                    found[quote.symbol] = quote
        return found

    def _is_worth_asking(self, instrument: Instrument, now: datetime) -> bool:
        """Outside its sessions a stock has no price that its last bar does not tell."""
        return instrument.is_crypto or self._calendar.is_open(AssetClass.STOCK, now)

    def _ask(self, kind: Kind, names: Sequence[str], until: float) -> Mapping[str, Any]:
        """One question about all; where Alpaca refuses it because of one name, one about each."""
        try:
            return self._service.latest(kind, names, self._left(until))
        except Declined as no:
            if len(names) == 1:
                return {}
            refused = no
        told: dict[str, Any] = {}
        for name in names:
            try:
                told |= self._service.latest(kind, [name], self._left(until))
            except Declined:
                continue
        if not told:
            raise MalformedAnswer(f"does not answer the question ({refused})")
        return told

    def _left(self, until: float) -> float:
        return max(0.0, until - self._clock.monotonic())

    def _read(self, kind: Kind, instrument: Instrument, row: Any, now: datetime) -> Quote | None:
        """None for what is no price. Raises MalformedAnswer."""
        try:
            price = middle(row["bp"], row["ap"]) if kind == "quotes" else _positive(row["p"])
            at = pd.Timestamp(row["t"]).to_pydatetime(warn=False)
            if at.tzinfo is None:
                raise ValueError
        except (KeyError, TypeError, ValueError, AttributeError):
            raise MalformedAnswer(f"gave a price of {instrument.symbol} in no known form") from None
        return self._quote(instrument, price, at, now)

    def _quote(self, instrument: Instrument, price: float | None, at: datetime, now: datetime) -> Quote | None:
        at = min(at, now)
        if price is None or (not instrument.is_crypto and not self._calendar.is_open(AssetClass.STOCK, at)):
            return None
        return Quote(instrument.symbol, price, at)


def middle(bid: Any, ask: Any) -> float | None:
    """Halfway between a bid and an ask that can be believed; None for a crossed, locked, one-sided or too wide pair."""
    low, high = _positive(bid), _positive(ask)
    if low is None or high is None or low >= high:
        return None
    price = (low + high) / 2
    return price if high - low <= MOST_SPREAD * price else None


def _positive(value: Any) -> float | None:
    if type(value) not in (int, float) or not math.isfinite(value) or value <= 0:
        return None
    return float(value)
