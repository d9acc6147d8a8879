"""Months of trading on the simulated market with a venue that fails: what was injected, and every promise it broke."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np

from bot.bootstrap import SIMULATED, Clocks, Engine, Hooks, build_engine, open_ledger
from bot.opening import open_accounts
from bot.price_sources import make_calendar, make_simulated_market
from bot.worlds import Place
from core.clock import VirtualClock
from core.cycle import recover, run_cycle
from core.domain.accounts import World
from core.domain.bars import BarSize
from core.domain.instruments import DEFAULT_SYMBOLS, instrument_for
from core.domain.orders import Order, OrderState, Purpose
from core.domain.portfolio import Guard, GuardKind
from core.domain.values import ZERO, floor_to
from core.domain.venue import VenueOrder
from core.execution.watch import guard
from core.series import BarSeries
from core.settings import load_settings
from tests.builders import SteadyPredictor
from tests.soak.faulty_venue import FaultyVenue, Way

START = datetime(2025, 1, 6, tzinfo=UTC)
GUARD_INTERVAL = timedelta(minutes=5)
TICK_EVERY = 6
WARM_UP = timedelta(days=9)
CRASH_EVERY = timedelta(days=9, hours=5)
SHARE = 0.05
MOST = 1_000_000
LIVELY = {
    "STOP_LOSS": "0.012",
    "TAKE_PROFIT": "0.02",
    "DAILY_LOSS_LIMIT": "0.99",
    "DRAWDOWN_LIMIT": "0.99",
    "LOSS_STREAK": "1000",
    "TIME_ZONE": "UTC",
}
"""Narrow stops and no brakes: as many orders as a period can hold."""


@dataclass
class Outcome:
    """`violations` in words; `guards` and `ticks` are runs, `calls` what the venue was asked."""

    days: int
    ticks: int = 0
    guards: int = 0
    restarts: int = 0
    calls: int = 0
    orders: int = 0
    fills: int = 0
    injected: Counter[Way] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def words(self) -> str:
        ways = ", ".join(f"{way.value} {self.injected[way]}" for way in Way)
        failed = sum(self.injected.values())
        return (
            f"{self.days} trading days: {self.ticks} ticks, {self.guards} guards, {self.restarts} crashes, "
            f"{self.orders} orders, {self.fills} fills; {failed} of {self.calls} calls failed ({ways}); "
            f"{len(self.violations)} promises broken"
        )


class LongRun:
    """One soak. `folder` takes its files; the same seed gives the same run."""

    def __init__(self, folder: Path, trading_days: int, seed: int) -> None:
        self._folder = folder
        self._clock = VirtualClock(START)
        self._generator = np.random.default_rng(seed)
        self._calendar = make_calendar()
        self._settings = load_settings({**LIVELY, "STATE_DIR": str(folder)}, None)
        self._settings.make_folders()
        self._place = Place(
            World.SIMULATED, f"sqlite:///{folder / 'soak.sqlite'}", True, folder / "venue.sqlite", "soak"
        )
        self._end = self._after(trading_days)
        self._bare: dict[str, int] = {}
        self._missed: dict[str, int] = {}
        self.outcome = Outcome(trading_days)
        self._open()
        self._seen: datetime | None = None
        self._bars = self._coming(seed)
        self._bars_close()

    def _after(self, trading_days: int) -> datetime:
        _, _, closes = self._calendar.sessions_between(
            START.date(), (START + timedelta(days=2 * trading_days + 9)).date()
        )
        return datetime.fromtimestamp(int(closes[trading_days - 1]), UTC)

    def _coming(self, seed: int) -> list[BarSeries]:
        """All bars of the period, and those before it that every average needs."""
        market = make_simulated_market(seed, self._calendar)
        counts = {BarSize.D1: 1_000, BarSize.M5: (self._end - START + WARM_UP) // BarSize.M5.span}
        return [
            market.bars(instrument_for(symbol), size, self._end, counts[size])
            for symbol in DEFAULT_SYMBOLS
            for size in (BarSize.D1, BarSize.M5)
        ]

    def _bars_close(self) -> None:
        """What has closed by now reaches the store, as it does while the product runs."""
        now = self._clock.now()
        news = [series.after(self._seen).until(now) if self._seen else series.until(now) for series in self._bars]
        self._engine.database.bars.write_all([(series, "simulated") for series in news if len(series)])
        self._seen = now

    def _open(self) -> None:
        database = open_ledger(self._place, self._clock, durable=False, installation_id="soak")
        hooks = Hooks(lambda _component, _state, _reason: None)
        engine = build_engine(
            self._settings, self._place, database, Clocks(self._clock, self._clock), hooks, [], self._calendar
        )
        venue = engine.venue
        assert venue is not None
        self._venue = FaultyVenue(venue, self._clock, self._generator, SHARE)
        predictor = SteadyPredictor()
        brokers = {**engine.desk.brokers, SIMULATED: self._venue}
        self._engine: Engine = replace(engine, desk=replace(engine.desk, brokers=brokers, predictor=lambda: predictor))

    def run(self) -> Outcome:
        desk = self._engine.desk
        self._venue.failing = False
        open_accounts(desk, Decimal(10_000))
        self._venue.failing = True
        crash_at, step = START + CRASH_EVERY, 0
        while self._clock.now() < self._end:
            self._clock.advance(GUARD_INTERVAL)
            self._bars_close()
            now, failed_before = self._clock.now(), sum(self._venue.injected.values())
            desk = self._engine.desk
            guard(desk, now)
            self.outcome.guards += 1
            if step % TICK_EVERY == 0:
                run_cycle(now, desk, now)
                self.outcome.ticks += 1
            self._watch(answered=sum(self._venue.injected.values()) == failed_before)
            if now >= crash_at:
                self._crash()
                crash_at += CRASH_EVERY
            step += 1
        self._finish()
        return self.outcome

    def close(self) -> None:
        self._engine.close()

    def _crash(self) -> None:
        """The process is gone without a word; the next one recovers."""
        self._count()
        self._engine.close()
        self._open()
        recover(self._engine.desk, self._clock.now())
        self.outcome.restarts += 1

    def _count(self) -> None:
        self.outcome.calls += self._venue.calls
        self.outcome.injected += self._venue.injected
        self._venue.calls = 0
        self._venue.injected.clear()

    def _watch(self, *, answered: bool) -> None:
        """The promises that hold at every moment; `answered`: no call failed in this interval."""
        truth = self._venue.broker.state().positions
        live = self._venue.broker.orders()
        entries = Counter(order.symbol for order in live if order.purpose is Purpose.ENTRY)
        self._break(f"{count} live entries in {symbol}" for symbol, count in entries.items() if count > 1)
        self._break(f"{symbol} oversold: {units}" for symbol, units in truth.items() if units < 0)
        with self._engine.desk.reading() as work:
            guards = {each.symbol: each for each in work.guards(SIMULATED)}
        for symbol in set(truth) | set(self._bare):
            units = truth.get(symbol, ZERO)
            stops = [order for order in live if order.symbol == symbol and order.purpose is Purpose.STOP]
            resting = sum((order.quantity - order.filled_quantity for order in stops), ZERO)
            watched = symbol in guards and guards[symbol].kind is GuardKind.ENGINE
            # Less than a step cannot be sold, nor guarded.
            is_safe = resting >= floor_to(units, instrument_for(symbol).quantity_step) or watched
            self._bare[symbol] = 0 if is_safe or not answered else self._bare.get(symbol, 0) + 1
            if self._bare[symbol] == 2:
                self._break(
                    [f"{symbol}: {units} unguarded for more than an interval, {resting} rest, {guards.get(symbol)}"]
                )
            self._watch_stop(symbol, units, guards, live, answered=answered)

    def _watch_stop(
        self, symbol: str, units: Decimal, guards: Mapping[str, Guard], live: Sequence[VenueOrder], *, answered: bool
    ) -> None:
        """A price through the stop while the market is open and the venue answers: sold within an interval."""
        desk, now = self._engine.desk, self._clock.now()
        bar = desk.bars.read(symbol, BarSize.M5, now, 1)
        instrument = instrument_for(symbol)
        through = (
            units >= instrument.quantity_step
            and symbol in guards
            and len(bar) > 0
            and Decimal(float(bar.close[-1])) < guards[symbol].stop
            and desk.calendar.is_open(instrument.asset_class, now)
            and not any(order.symbol == symbol and order.purpose is Purpose.EXIT for order in live)
        )
        self._missed[symbol] = 0 if not through or not answered else self._missed.get(symbol, 0) + 1
        if self._missed[symbol] == 2:
            self._break([f"{symbol} at {float(bar.close[-1])} is through its stop {guards[symbol].stop} and not sold"])

    def _finish(self) -> None:
        """Everything answers again: soon nothing is in doubt and both sides agree."""
        self._venue.failing = False
        for _ in range(8):
            self._clock.advance(timedelta(minutes=1))
            guard(self._engine.desk, self._clock.now())
        self._count()
        broker, desk = self._venue.broker, self._engine.desk
        truth, orders = broker.state(), broker.orders()
        with desk.reading() as work:
            portfolio, live, sent = (
                work.portfolio(SIMULATED),
                work.live_orders(SIMULATED),
                work.orders(SIMULATED, limit=MOST),
            )
        held = {symbol: position.quantity for symbol, position in portfolio.positions.items()}
        if (portfolio.cash, held) != (truth.cash, dict(truth.positions)):
            self._break([f"the ledger has {portfolio.cash} {held}, the venue {truth.cash} {dict(truth.positions)}"])
        if {order.client_order_id for order in live} != {order.client_order_id for order in orders}:
            self._break([f"live in the ledger {live}, at the venue {orders}"])
        undecided = [order for order in live if order.state in (OrderState.SUBMITTING, OrderState.UNKNOWN)]
        self._break(f"left undecided: {order}" for order in undecided)
        fills = broker.fills_since(START)
        self._break_doubles(sent)
        self._break(self._engine.database.verify())
        self.outcome.orders, self.outcome.fills = len(sent), len(fills)

    def _break_doubles(self, sent: Sequence[Order]) -> None:
        """One decision, one order: no two orders of one origin, symbol, side and purpose."""
        made = Counter(
            (order.origin, order.symbol, order.side, order.purpose) for order in sent if order.parent_id is None
        )
        self._break(f"doubled: {key} {count} times" for key, count in made.items() if count > 1)

    def _break(self, words: Iterable[str]) -> None:
        now = self._clock.now()
        self.outcome.violations += [f"{now:%Y-%m-%d %H:%M} {each}" for each in words]
