"""One account at Alpaca: its keys, the pace of its requests, and what stands on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from numpy.random import Generator

from core.adapters.alpaca_broker import AlpacaBroker
from core.adapters.alpaca_data import AlpacaData
from core.adapters.alpaca_quotes import AlpacaQuotes
from core.adapters.alpaca_service import AlpacaService, Feed
from core.adapters.alpaca_socket import Patience
from core.adapters.alpaca_stream import QuoteStream, StreamKind
from core.adapters.alpaca_trade_stream import TradeStream
from core.adapters.alpaca_trading import AlpacaTrading
from core.adapters.alpaca_transport import BRISK, AlpacaKeys, AlpacaTransport
from core.adapters.calendars import ExchangeCalendar
from core.adapters.pacing import FastLane, Pacer, RealClock, Restraint
from core.domain.accounts import Account, AccountKind

# 150 requests a minute of the 200 that an account has; the other 50 are for orders, which wait behind no prices.
SPACING = 0.4
AHEAD = 40 * SPACING


@dataclass(frozen=True, slots=True)
class Places:
    """Where Alpaca's services are, if not at its own addresses; `other_trading` that of the other kind of account."""

    data: str | None = None
    streams: Mapping[StreamKind, str] = field(default_factory=dict)
    trading: str | None = None
    other_trading: str | None = None
    trades: str | None = None


class Alpaca:
    """`data` gives bars, `quotes` last prices, `broker` trades; whatever else asks Alpaca for this account takes its
    turn at `pacer`.

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
        self._clock, self._sleep, self._chance, self._patience = clock, sleep, chance, patience
        self._places = where
        self.pacer = Pacer(spacing, clock.monotonic, sleep)
        restraint = Restraint(clock.now, chance)
        transport = AlpacaTransport(clock, sleep, self.pacer, restraint)
        self._service = AlpacaService(keys, transport, restraint, feed, where.data)
        self._stream = QuoteStream(keys, calendar, clock, feed, addresses=where.streams, patience=patience)
        self.data = AlpacaData(self._service, calendar, clock)
        self.quotes = AlpacaQuotes(self._service, calendar, clock, self._stream)

    def broker(self, account: Account) -> AlpacaBroker:
        """A new one, for a paper or a live account. Its requests come before those for prices."""
        is_paper, where = account.kind is AccountKind.ALPACA_PAPER, self._places
        has_other = where.trading is None or where.other_trading is not None
        other = self._trading(where.other_trading, is_paper=not is_paper) if has_other else None
        trading = self._trading(where.trading, is_paper=is_paper, fit_elsewhere=other.fits if other else None)
        return AlpacaBroker(account, trading, self._clock, self.data.actions)

    def _trading(
        self, address: str | None, *, is_paper: bool, fit_elsewhere: Callable[[], bool | None] | None = None
    ) -> AlpacaTrading:
        restraint = Restraint(self._clock.now, self._chance)
        transport = AlpacaTransport(
            self._clock, self._sleep, FastLane(self.pacer, AHEAD), restraint, out_of_reach=BRISK
        )
        return AlpacaTrading(
            self.keys,
            transport,
            restraint,
            self._clock,
            is_paper=is_paper,
            address=address,
            fit_elsewhere=fit_elsewhere,
        )

    def trade_news(self, account: Account) -> TradeStream:
        """Word of what happens to its orders. Whoever has it watched closes it."""
        is_paper = account.kind is AccountKind.ALPACA_PAPER
        return TradeStream(self.keys, self._clock, paper=is_paper, address=self._places.trades, patience=self._patience)

    def refusal(self) -> str:
        """Why Alpaca does not let us in, which only its owner can change; empty where it does or has not been asked."""
        return self._service.refusal or ("does not accept the keys" if self._stream.is_refused() else "")

    def close(self) -> None:
        self.quotes.close()
