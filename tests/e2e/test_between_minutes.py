"""What happens between two minutes is seen at once: quotes and trades that Alpaca streams, over loopback, lead to the
same look that the next minute would have made."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.bootstrap import _looked, _sent
from bot.listening import TRADE_STREAM, Listening
from core.adapters.alpaca_quotes import AlpacaQuotes
from core.adapters.alpaca_socket import Patience
from core.adapters.alpaca_stream import QuoteStream
from core.adapters.alpaca_trade_silence import Trust
from core.adapters.alpaca_trade_stream import TradeStream
from core.clock import SystemClock, VirtualClock
from core.domain.events import OrderFilled
from core.domain.orders import Order, Purpose
from core.domain.portfolio import GuardKind
from core.domain.venue import Resting
from core.domain.views import Health
from core.execution.desk import Desk
from core.execution.watch import guard
from jobs.looks import Pace
from tests.alpaca_broker_stand import broker_at
from tests.alpaca_stand import CALENDAR, KEYS, KNOWN, service_at
from tests.builders import COIN, MONDAY, Bench, an_entry
from tests.fakes_bars import StillClock
from tests.fakes_chaos import ChaosVenue
from tests.servers.alpaca_data_server import AlpacaDataServer
from tests.servers.alpaca_stream_server import AlpacaStreamServer, eventually
from tests.servers.alpaca_trading_server import AlpacaTradingServer
from tests.servers.trade_updates_server import TradeUpdatesServer

HUNDRED = Decimal(100)
QUICK = Patience(5.0, first_retry=0.02, longest_retry=0.05)


class MarketTime(StillClock):
    """The time of a bench, by which quotes are dated; what passes, passes really."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock.now())
        self._clock = clock
        self.ahead = 0.0

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return SystemClock().monotonic() + self.ahead


@dataclass
class Stage:
    bench: Bench
    venue: ChaosVenue
    desk: Desk
    clock: MarketTime
    live: AlpacaStreamServer
    trades: TradeUpdatesServer
    quotes: AlpacaQuotes
    news: TradeStream
    listening: Listening
    looks: list[str]

    def look(self) -> None:
        self.looks.append(guard(self.desk, self.bench.clock.now()))
        self.listening.follow()

    def holds(self, units: Decimal = Decimal(10)) -> Order:
        """Ten coins at 100 USD, stop 95, target 115, which nobody but the engine watches."""
        entry = an_entry(self.bench)
        self.bench.place(entry)
        self.venue.fill(entry.client_order_id, units, HUNDRED)
        self.look()
        return entry

    def streams(self, price: float) -> None:
        """A quote, half a minute later, that is surely heard."""
        self.bench.clock.advance(timedelta(seconds=30))
        name, at = COIN.replace("-", "/"), self.bench.clock.now()
        eventually(lambda: name in self.live.listening("coins"))

        def is_heard() -> bool:
            self.live.quote("coins", name, price - 0.01, price + 0.01, at)
            quote = self.quotes._stream.heard("coins", name)  # type: ignore[union-attr]
            return quote is not None and quote.at == at

        eventually(is_heard)

    def sold(self) -> list[str]:
        orders = self.bench.read(lambda work: work.orders("simulated", limit=100))
        return [order.reason for order in orders if order.purpose is Purpose.EXIT]

    def listens(self) -> None:
        """Until the look that the first connection asks for is over."""
        del self.looks[:]
        self.listening.start(self.look)
        eventually(lambda: len(self.looks) > 0)
        del self.looks[:]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    venue = ChaosVenue(VirtualClock(MONDAY), lambda _symbol: HUNDRED, rests=Resting.NOTHING)
    bench = Bench(tmp_path, wrap=lambda _real: venue)
    venue.clock = bench.clock
    with ExitStack() as opened:
        rest = opened.enter_context(AlpacaDataServer(KNOWN, bench.clock.now))
        live = opened.enter_context(AlpacaStreamServer())
        trades = opened.enter_context(TradeUpdatesServer())
        clock = MarketTime(bench.clock)
        stream = QuoteStream(KEYS, CALENDAR, clock, addresses=live.addresses(), patience=QUICK, look_around=0.02)
        quotes = AlpacaQuotes(service_at(rest.address, clock)[0], CALENDAR, clock, stream, budget=5.0)
        news = TradeStream(
            KEYS, clock, paper=True, address=trades.address, patience=QUICK, trust=Trust(), look_around=0.02
        )
        desk = replace(bench.desk, quotes=quotes, looked=partial(_looked, {"simulated": news}))
        bench.desk = desk
        listening = Listening(desk, {"simulated": news}, quotes, clock, Pace(settle=0.02, apart=0.02, refill=0.01))
        bench.start()
        yield Stage(bench, venue, desk, clock, live, trades, quotes, news, listening, [])
        listening.close()
        quotes.close()
        bench.close()


@pytest.mark.feature("S13")
@pytest.mark.parametrize(("price", "reason"), [(94.0, "stop-loss"), (116.0, "take-profit")])
def test_a_streamed_quote_beyond_a_level_sells_at_the_next_minute(stage: Stage, price: float, reason: str) -> None:
    stage.holds()
    (watched,) = stage.bench.read(lambda work: work.guards("simulated"))
    assert watched.kind is GuardKind.ENGINE
    stage.streams(100.0)
    stage.look()
    assert stage.sold() == []
    stage.streams(price)
    stage.look()
    (why,) = stage.sold()
    assert reason in why
    assert f"{price:g}" in why


@pytest.mark.feature("S13")
def test_a_streamed_quote_that_reaches_the_stop_sells_without_waiting_for_the_minute(stage: Stage) -> None:
    stage.holds()
    stage.listens()
    stage.streams(97.0)
    assert stage.looks == []
    stage.streams(94.9)
    eventually(lambda: stage.looks == ["1 exits sent"])
    (why,) = stage.sold()
    assert "stop-loss" in why
    stage.streams(94.0)
    stage.streams(93.0)
    assert len(stage.venue.requests) == 2, "the entry and one exit"


@pytest.mark.feature("S10")
@pytest.mark.feature("S13")
def test_what_an_order_fills_at_once_is_seen_and_watched_though_the_stream_says_nothing(stage: Stage) -> None:
    def fills_a_part(checkpoint: str) -> None:
        if checkpoint == "submit.after_call":
            stage.venue.fill(entry.client_order_id, Decimal(4), HUNDRED)

    stage.trades.mute = True
    stage.listens()
    entry = an_entry(stage.bench)
    news = {"simulated": stage.news}
    stage.bench.desk = replace(stage.desk, sent=partial(_sent, news), checkpoint=fills_a_part)
    stage.bench.place(entry)
    eventually(lambda: len(stage.looks) == 1)
    (watched,) = stage.bench.read(lambda work: work.guards("simulated"))
    assert (watched.kind, watched.stop) == (GuardKind.ENGINE, 95)
    assert [event.quantity for event in stage.bench.events(OrderFilled)] == [4]


@pytest.mark.feature("S10")
def test_a_fill_is_booked_guarded_and_told_once_as_soon_as_the_stream_has_word_of_it(stage: Stage) -> None:
    entry = an_entry(stage.bench)
    stage.bench.place(entry)
    stage.listens()
    stage.venue.fill(entry.client_order_id, Decimal(10), HUNDRED)
    for _ in range(3):
        stage.trades.update()
    eventually(lambda: len(stage.bench.events(OrderFilled)) == 1)
    eventually(lambda: bool(stage.bench.read(lambda work: work.guards("simulated"))))
    stage.trades.update("fill")
    stage.look()
    assert [event.quantity for event in stage.bench.events(OrderFilled)] == [10]
    assert stage.bench.read(lambda work: work.portfolio("simulated")).cash == stage.venue.cash


@pytest.mark.feature("S10")
def test_what_happened_while_the_stream_was_away_is_booked_when_it_is_back(stage: Stage) -> None:
    entry = an_entry(stage.bench)
    stage.bench.place(entry)
    stage.listens()
    stage.trades.drop()
    stage.venue.fill(entry.client_order_id, Decimal(10), HUNDRED)
    eventually(lambda: len(stage.bench.events(OrderFilled)) == 1)
    assert stage.trades.connects >= 2


@pytest.mark.feature("S10")
def test_a_stream_without_a_word_of_what_the_minutes_find_is_degraded_and_opened_anew(stage: Stage) -> None:
    states: dict[str, tuple[Health, str]] = {}

    def health() -> tuple[Health, str]:
        stage.listening.report(lambda component, state, reason: states.update({component: (state, reason)}))
        return states[TRADE_STREAM]

    entry = an_entry(stage.bench)
    stage.bench.place(entry)
    stage.listens()
    assert health() == (Health.RUNNING, "listens")
    stage.clock.ahead += 1_000
    stage.look()
    stage.venue.fill(entry.client_order_id, Decimal(10), HUNDRED)
    stage.clock.ahead += 60
    stage.look()
    assert len(stage.bench.events(OrderFilled)) == 1
    stage.clock.ahead += 16
    eventually(lambda: stage.trades.connects == 2 and len(stage.trades.listeners) == 1)
    eventually(lambda: health()[0] is Health.DEGRADED)
    assert "silent" in health()[1]
    assert "next minute" in health()[1]
    stage.trades.update()
    eventually(lambda: health() == (Health.RUNNING, "listens"))


def test_closing_leaves_no_thread_behind(stage: Stage) -> None:
    stage.listens()
    stage.listening.close()
    stage.quotes.close()
    left: list[Any] = [each.name for each in threading.enumerate()]
    assert not {"looks", "alpaca trades", "alpaca quotes"} & set(left)


@pytest.mark.feature("S10")
@pytest.mark.feature("M13")
def test_fills_at_alpaca_are_booked_once_whoever_ordered_and_whatever_the_stream_says(tmp_path: Path) -> None:
    with ExitStack() as opened:
        market = VirtualClock(MONDAY)
        clock = MarketTime(market)
        trading = opened.enter_context(AlpacaTradingServer(market.now))
        updates = opened.enter_context(TradeUpdatesServer())
        updates.follow(trading)
        trading.set_price("BTC/USD", 100)
        trading.venue.habits.frozen.add("BTC/USD")
        bench = Bench(tmp_path, wrap=lambda real: broker_at(trading.address, real.account, clock))
        market.advance(timedelta(minutes=1))
        bench.clock = market
        news = TradeStream(KEYS, clock, paper=True, address=updates.address, patience=QUICK, look_around=0.02)
        desk = bench.desk = replace(bench.desk, market_clock=market, looked=partial(_looked, {"simulated": news}))
        bench.start()
        entry = an_entry(bench)
        bench.place(entry)
        listening = Listening(desk, {"simulated": news}, None, clock, Pace(settle=0.02, apart=0.02, refill=0.01))
        listening.start(lambda: guard(desk, market.now()))

        def told() -> list[Decimal]:
            return [event.quantity for event in bench.events(OrderFilled)]

        eventually(lambda: len(updates.listeners) == 1)
        updates.repeats = 2
        trading.fill(entry.client_order_id, 4, 100)
        eventually(lambda: told() == [4])
        updates.drop()
        trading.fill(entry.client_order_id, 3, 101)
        eventually(lambda: told() == [4, 3])
        eventually(lambda: len(updates.listeners) == 1)
        updates.mute = True
        trading.fill(entry.client_order_id, 3, 102)
        assert told() == [4, 3]
        market.advance(timedelta(minutes=1))
        guard(desk, market.now())
        assert told() == [4, 3, 3]
        updates.mute = False
        trading.set_price("ETH/USD", 50)
        trading.trade_outside("ETH/USD", "buy", 2, 50)
        eventually(lambda: told() == [4, 3, 3, 2])
        listening.close()
        state = desk.brokers["simulated"].state()
        portfolio = bench.read(lambda work: work.portfolio("simulated"))
        assert (portfolio.cash, portfolio.quantity(COIN)) == (state.cash, state.positions[COIN])
        bench.close()
