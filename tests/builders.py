"""A desk on real files for tests: SQLite ledger, simulated venue with its journal, manual account, bars fed by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import numpy as np

from core.adapters.simulated_broker import SimulatedBroker
from core.adapters.simulated_faults import FaultPlan
from core.adapters.simulated_profiles import DOLLARS, VenueProfile
from core.clock import VirtualClock
from core.domain.accounts import Account, AccountKind, Mode, World
from core.domain.bars import Bar, BarSize
from core.domain.decisions import Decision, Prediction, Signal, Verdict
from core.domain.instruments import Instrument, Universe, instrument_for
from core.domain.orders import Bracket, Order, OrderNamespace, OrderState, Purpose, Side
from core.domain.records import Instruction
from core.execution import executor
from core.execution.desk import Desk
from core.execution.exits import withdraw
from core.execution.manual_broker import ManualBroker
from core.execution.owner import OwnerDesk
from core.execution.protect import protect
from core.execution.reconcile import Reconciled, reconcile
from core.ports import Broker
from core.series import BarSeries
from core.storage.store import Database, open_database
from core.strategy.policy import Policy
from tests.fakes_bars import MemoryBarStore
from tests.fakes_venue import AlwaysOpen
from tests.ledger_builders import lay_out

E = TypeVar("E")

MONDAY = datetime(2024, 3, 4, tzinfo=UTC)
FIVE = timedelta(minutes=5)
UNIVERSAL = ZoneInfo("UTC")
COIN = "BTC-USD"
BROKER_ACCOUNT = Account("simulated", AccountKind.SIMULATED, World.REAL)
MANUAL_ACCOUNT = Account("manual", AccountKind.MANUAL, World.REAL)
NAMESPACE = OrderNamespace("test-installation", 1)


class SteadyPredictor:
    """The Predictor port with one answer for every symbol, None where told so."""

    version = "model-1"

    def __init__(self, probability: float = 0.7) -> None:
        self.probability = probability

    def predict(self, daily: BarSeries) -> Prediction | None:
        if not len(daily):
            return None
        closed_at = daily.bar(len(daily) - 1).closed_at
        return Prediction(daily.symbol, self.probability, "close higher after 10 bars", self.version, closed_at)


class HealthBook:
    """Remembers what was said of each component."""

    def __init__(self) -> None:
        self.states: dict[str, tuple[Any, str]] = {}

    def __call__(self, component: str, state: Any, reason: str) -> None:
        self.states[component] = (state, reason)


def no_checkpoint(name: str) -> None:
    """Nobody watches."""


def no_fence() -> None:
    """Nobody else can hold the ledger."""


@dataclass(eq=False)
class Bench:
    """One installation. `restart` opens the same files again, as a new process would.

    A `symbol` costs 100 USD at the start. `has_broker` False leaves only the manual account. `wrap` may put a
    fault between the desk and its venue. Two installations that are given one `venue_file` share the venue.
    """

    folder: Path
    symbols: tuple[str, ...] = (COIN,)
    mode: Mode = Mode.AUTO
    has_broker: bool = True
    cash: str = "10000"
    policy: Policy = field(default_factory=Policy)
    checkpoint: Callable[[str], None] = no_checkpoint
    faults: FaultPlan | None = None
    profile: VenueProfile = DOLLARS
    wrap: Callable[[SimulatedBroker], Broker] = lambda broker: broker
    confirm_size: BarSize = BarSize.M5
    world: World = World.REAL
    installation: str = NAMESPACE.installation_id
    venue_file: Path | None = None
    fence: Callable[[], None] = no_fence
    calendar: Any = field(default_factory=AlwaysOpen)
    zone: ZoneInfo = UNIVERSAL

    def __post_init__(self) -> None:
        self.clock = VirtualClock(MONDAY)
        self.system = VirtualClock(MONDAY)
        self.bars = MemoryBarStore()
        self.health = HealthBook()
        self.predictor: Any = SteadyPredictor()
        for symbol in self.symbols:
            self.bars.write(rising_days(symbol, MONDAY), "test")
            self.bars.write(rising_minutes(symbol, MONDAY), "test")
        self.open()

    def open(self) -> None:
        """Opens ledger and venue; call `start` to recover and to open the accounts."""
        lay_out(self.folder / "ledger.db")
        self.database: Database = open_database(
            self.folder / "ledger.db",
            durable=False,
            clock=self.system,
            installation_id=self.installation,
            checkpoint=self._pass,
        )
        known = self.database.installation()
        self.namespace = OrderNamespace(known.installation_id, known.epoch)
        brokers: dict[str, Broker] = {
            "manual": ManualBroker(replace(MANUAL_ACCOUNT, world=self.world), self.database.unit_of_work, self.clock)
        }
        if self.has_broker:
            self.venue = SimulatedBroker(
                replace(BROKER_ACCOUNT, world=self.world),
                clock=self.clock,
                bars_after=self._bars_after,
                calendar=self.calendar,
                opening_cash=Decimal(self.cash),
                path=self.venue_file or self.folder / "venue.sqlite",
                profile=self.profile,
                faults=self.faults,
                fence=self.fence,
            )
            brokers["simulated"] = self.wrap(self.venue)
        self.desk = Desk(
            ledger=self.database.unit_of_work,
            reader=self.database.reading,
            brokers=brokers,
            bars=self.bars,
            calendar=self.calendar,
            market_clock=self.clock,
            system_clock=self.system,
            namespace=self.namespace,
            rules=lambda: self.policy,
            universe=Universe.of(self.symbols),
            world=self.world,
            signals_folder=self.folder / "signals",
            trading_account="simulated" if self.has_broker else None,
            confirm_size=self.confirm_size,
            predictor=lambda: self.predictor,
            health=self.health,
            checkpoint=self._pass,
            fence=self.fence,
            default_mode=self.mode,
            zone=lambda: self.zone,
        )
        self.owner = OwnerDesk(self.desk)

    def _pass(self, name: str) -> None:
        self.checkpoint(name)

    def _bars_after(self, symbol: str, after: datetime, until: datetime) -> BarSeries:
        return self.bars.read(symbol, BarSize.M5, until, 100_000).after(after)

    def restart(self) -> None:
        """The process is gone without a word; the next one opens its files."""
        self.database.close()
        self.open()

    def start(self) -> Bench:
        """Opens the accounts, as a first start does."""
        self.reconcile()
        return self

    def bar(self, *prices: float, symbol: str = COIN, volume: float = 1000.0) -> None:
        """The next five minutes: one flat price, or open, high, low and close; the clocks go on."""
        four = (prices[0],) * 4 if len(prices) == 1 else (prices[0], prices[1], prices[2], prices[3])
        now = self.clock.now()
        bar = Bar(symbol, BarSize.M5, now, now + FIVE, *four, volume=volume)
        self.bars.write(BarSeries.of(symbol, BarSize.M5, [bar]), "test")
        self.clock.advance(FIVE)
        self.system.advance(FIVE)

    def tick(self, scheduled_at: datetime | None = None) -> Any:
        """One cycle, with the real decision."""
        from core.cycle import run_cycle

        return run_cycle(self.clock.now(), self.desk, scheduled_at or self.clock.now())

    def reconcile(self) -> Reconciled:
        reconciled = reconcile(self.desk, self.clock.now())
        protect(self.desk, self.clock.now(), reconciled.reachable)
        return reconciled

    def place(self, *orders: Order, signals: tuple[Signal, ...] = ()) -> executor.Committed:
        """Commits and sends hand-made intents as a cycle does with decided ones; before an exit the way is cleared."""
        places = {(order.account, order.symbol) for order in orders if order.purpose is Purpose.EXIT}
        resting = [
            order for order in self.read(lambda work: work.live_orders()) if (order.account, order.symbol) in places
        ]
        resting = [order for order in resting if order.account in self.desk.venues()]
        if resting:
            withdraw(self.desk, resting, self.clock.now())
            reconcile(self.desk, self.clock.now())
        account = orders[0].account if orders else "simulated"
        decision = Decision(self.clock.now(), account, signals, orders)
        committed = executor.commit_intents(self.desk, decision, self.clock.now())
        executor.submit_all(self.desk, committed.to_submit, self.clock.now())
        return committed

    def declare_cash(self, amount: str = "10000") -> None:
        self.owner.declare_cash(Decimal(amount), "test", f"cash {amount} {self.clock.now()}")

    def instruct(self, **changes: Any) -> Instruction:
        """A manual instruction as the engine issues it; returns it."""
        self.place(an_entry(self, account="manual", state=OrderState.AWAITING_OWNER, **changes))
        with self.database.reading() as work:
            return max(work.open_instructions(), key=lambda each: each.number)

    def order(self, client_order_id: str) -> Order:
        with self.database.reading() as work:
            order = work.order(client_order_id)
        assert order is not None
        return order

    def read(self, question: Callable[[Any], E]) -> E:
        """What the ledger answers."""
        with self.database.reading() as work:
            return question(work)

    def events(self, kind: type[E]) -> list[E]:
        """Everything of that kind that was ever published, oldest first."""
        messages = self.read(lambda work: work.messages(limit=10_000))
        ordered = sorted(messages, key=lambda message: message.id)
        return [message.event for message in ordered if isinstance(message.event, kind)]

    def close(self) -> None:
        self.database.close()
        if self.has_broker:
            self.venue.close()


def an_entry(bench: Bench, **changes: Any) -> Order:
    """An entry of 10 units at 100 USD with its bracket, its id derived as the strategy derives it."""
    symbol, account = changes.get("symbol", COIN), changes.get("account", "simulated")
    origin = changes.pop("origin", bench.clock.now().isoformat())
    order = Order(
        client_order_id=bench.namespace.client_order_id(account, origin, symbol, Side.BUY, Purpose.ENTRY, 0),
        account=account,
        symbol=symbol,
        side=Side.BUY,
        quantity=Decimal(10),
        purpose=Purpose.ENTRY,
        origin=origin,
        attempt=0,
        created_at=bench.clock.now(),
        bracket=Bracket(Decimal(95), Decimal(115)),
        reference_price=Decimal(100),
    )
    return replace(order, **changes)


def an_exit(bench: Bench, **changes: Any) -> Order:
    """A sale of the same 10 units."""
    symbol, account = changes.get("symbol", COIN), changes.get("account", "simulated")
    purpose = changes.get("purpose", Purpose.EXIT)
    origin = changes.pop("origin", bench.clock.now().isoformat())
    identity = bench.namespace.client_order_id(account, origin, symbol, Side.SELL, purpose, 0)
    entry = an_entry(bench, symbol=symbol, account=account)
    order = replace(entry, client_order_id=identity, side=Side.SELL, purpose=purpose, bracket=None, origin=origin)
    return replace(order, **changes)


def a_buy_signal(symbol: str = COIN, at: datetime = MONDAY) -> Signal:
    prediction = Prediction(symbol, 0.66, "close higher after 10 bars", "model-1", at)
    return Signal(symbol, at, Decimal(100), prediction, (Verdict("probability", True, "0.66 is above 0.60"),))


def an_instrument(symbol: str = COIN) -> Instrument:
    return instrument_for(symbol)


def rising_days(symbol: str, end: datetime, count: int = 300) -> BarSeries:
    """Daily bars up to `end`, ending near 100 USD."""
    return _rising(symbol, BarSize.D1, end, count, 0.0015)


def rising_minutes(symbol: str, end: datetime, count: int = 320) -> BarSeries:
    """Five-minute bars up to `end` that confirm a purchase: a rise with breath in it, newest close 100 USD."""
    return _rising(symbol, BarSize.M5, end, count, 0.0004)


def _rising(symbol: str, size: BarSize, end: datetime, count: int, slope: float) -> BarSeries:
    steps = np.arange(count, dtype=np.float64)
    # Waves keep the strength index (RSI) at about 62; the newest bar is on the way up.
    logs = slope * steps + slope * 12 * np.sin(2 * np.pi * (steps - count + 3) / 6)
    close = np.round(100.0 * np.exp(logs - logs[-1]), 4)
    opened = np.concatenate((close[:1], close[:-1]))
    span = int(size.span.total_seconds())
    closed_at = int(end.timestamp()) - span * np.arange(count - 1, -1, -1, dtype=np.int64)
    high, low = np.maximum(opened, close) * 1.0005, np.minimum(opened, close) * 0.9995
    return BarSeries(symbol, size, closed_at - span, closed_at, opened, high, low, close, np.full(count, 1000.0))
