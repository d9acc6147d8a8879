"""One account at Alpaca: its keys, the pace of its requests, and what stands on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from numpy.random import Generator

from core.adapters.alpaca_data import AlpacaData
from core.adapters.alpaca_quotes import AlpacaQuotes
from core.adapters.alpaca_service import AlpacaService, Feed
from core.adapters.alpaca_stream import QuoteStream, StreamKind
from core.adapters.alpaca_transport import AlpacaKeys, AlpacaTransport, RealClock
from core.adapters.calendars import ExchangeCalendar
from core.adapters.pacing import Pacer, Restraint

if TYPE_CHECKING:
    from core.adapters.alpaca_feeds import Patience

# 150 requests a minute of the 200 that an account has: prices never use up what orders may need.
SPACING = 0.4


@dataclass(frozen=True, slots=True)
class Places:
    """Where Alpaca's services are, if not at its own addresses."""

    data: str | None = None
    streams: Mapping[StreamKind, str] = field(default_factory=dict)


class Alpaca:
    """`data` gives bars, `quotes` last prices; whatever else asks Alpaca for this account takes its turn at `pacer`.

    Nothing is asked and no thread started before the first question. `close` ends the stream.
    """

    def __init__(
        self,
        keys: AlpacaKeys,
        calendar: ExchangeCalendar,
        clock: RealClock,
        sleep: Callable[[float], None],
        chance: Generator,
        *,
        feed: Feed = "iex",
        places: Places | None = None,
        spacing: float = SPACING,
        patience: Patience | None = None,
    ) -> None:
        where = places or Places()
        self.keys = keys
        self.pacer = Pacer(spacing, clock.monotonic, sleep)
        restraint = Restraint(clock.now, chance)
        transport = AlpacaTransport(clock, sleep, self.pacer, restraint)
        service = AlpacaService(keys, transport, restraint, feed, where.data)
        stream = QuoteStream(keys, calendar, clock, feed, addresses=where.streams, patience=patience)
        self.data = AlpacaData(service, calendar, clock)
        self.quotes = AlpacaQuotes(service, calendar, clock, stream)

    def close(self) -> None:
        self.quotes.close()
