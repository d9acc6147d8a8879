"""The brokers that tests/contract/test_broker.py runs over, each with the world behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from core.adapters.alpaca_broker import AlpacaBroker
from core.adapters.simulated_broker import SimulatedBroker
from core.adapters.simulated_profiles import ALPACA, DOLLARS
from core.clock import VirtualClock
from core.domain.accounts import Account, AccountKind, World
from core.domain.corporate import CorporateAction
from core.domain.orders import Order, OrderState
from core.domain.portfolio import CashKind, CashMovement, Entry, Fill
from core.domain.values import ZERO
from core.domain.venue import Accepted, AwaitingOwner, OrderRequest, SubmitResult
from core.execution.manual_broker import ManualBroker
from core.ports import Broker
from core.storage.store import Database, open_database
from tests.alpaca_broker_stand import Watch, broker_at
from tests.fakes_chaos import ChaosVenue
from tests.fakes_venue import ACCOUNT, MONDAY, BarShelf, bar_of, flat_bars, venue_over
from tests.servers.alpaca_trading_server import AlpacaTradingServer

CASH = Decimal(10000)
FIVE = timedelta(minutes=5)
SYMBOLS = ("SPY", "BTC-USD")
SECOND = timedelta(seconds=1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
IN_SESSION = datetime(2026, 11, 2, 15, 0, tzinfo=UTC)


class Bench(ABC):
    """One broker and its surroundings. `resting`: orders rest at a venue that matches and refuses them."""

    resting: bool
    broker: Broker
    clock: VirtualClock
    opening: tuple[Entry, ...] = (CashMovement("opening", ACCOUNT.id, CashKind.DEPOSIT, CASH, LONG_AGO),)
    """What moved the account before anything that the broker tells of."""

    @abstractmethod
    def offer(self, request: OrderRequest) -> SubmitResult:
        """Submits as the executor does, what the ledger must know included."""

    @abstractmethod
    def execute(self, *requests: OrderRequest) -> None:
        """Offers the orders and has them filled at about 100 USD each."""

    @abstractmethod
    def execute_part(self, name: str, units: int) -> None:
        """So much of a live order in SPY is filled, at about 100 USD or at its own price."""

    @abstractmethod
    def restart(self) -> None:
        """A new broker object on the same files; where there are none, the same."""

    @abstractmethod
    def close(self) -> None: ...


class RestingBench(Bench):
    """A venue at which orders rest."""

    resting = True
    splits_orders = True
    """Whether a split is carried over to what rests."""
    legs_outlive_their_entry = True
    """Whether an entry that is cancelled with a part filled leaves legs behind for that part."""

    @abstractmethod
    def pay_dividend(self, symbol: str, amount: str) -> None:
        """So many USD a unit, now."""

    @abstractmethod
    def split(self, symbol: str, ratio: str) -> None:
        """So many new units for one old one, now; an odd remainder is worth 100 USD a new unit."""


class SimulatedBench(RestingBench):
    profile = DOLLARS

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock(MONDAY)
        self._path: Path | None = folder / "data" / "simulated_venue.sqlite"
        self._actions: list[CorporateAction] = []
        self.shelf = BarShelf()
        for symbol in SYMBOLS:
            self.shelf.add(*flat_bars(symbol, 100.0, MONDAY - FIVE, 1))
        self.broker: SimulatedBroker = self._open()

    def _open(self) -> SimulatedBroker:
        return venue_over(
            self.shelf, self.clock, cash=str(CASH), path=self._path, profile=self.profile, actions=self._actions
        )

    def offer(self, request: OrderRequest) -> SubmitResult:
        return self.broker.submit(request)

    def execute(self, *requests: OrderRequest) -> None:
        for request in requests:
            assert isinstance(self.offer(request), Accepted)
        self.bar(100.0)

    def execute_part(self, name: str, units: int) -> None:
        order = self.broker.find(name)
        assert order is not None
        price = float(order.stop_price or order.limit_price or 100)
        self.bar(price, volume=10.0 * units)

    def bar(self, *prices: float, volume: float = 1000.0, open_for: timedelta = timedelta(0)) -> None:
        """The next five minutes of every symbol: one flat price, or open, high, low and close. So much of them is over
        already."""
        four = (prices[0],) * 4 if len(prices) == 1 else (prices[0], prices[1], prices[2], prices[3])
        for symbol in SYMBOLS:
            self.shelf.add(bar_of(symbol, self.clock.now() - open_for, four, volume=volume))
        self.clock.advance(FIVE - open_for)

    def pay_dividend(self, symbol: str, amount: str) -> None:
        self._happens(CorporateAction(symbol, self.clock.now() + FIVE, dividend=Decimal(amount)))

    def split(self, symbol: str, ratio: str) -> None:
        self._happens(CorporateAction(symbol, self.clock.now() + FIVE, ratio=Decimal(ratio), price=Decimal(100)))

    def _happens(self, action: CorporateAction) -> None:
        self._actions.append(action)
        self.clock.advance(FIVE)

    def restart(self) -> None:
        self.broker.close()
        self.broker = self._open()

    def crash(self) -> None:
        """The process is gone without a word; its files are opened by the next one."""
        self.broker = self._open()

    def close(self) -> None:
        self.broker.close()


class AlpacaLikeBench(SimulatedBench):
    profile = ALPACA


class MemoryBench(SimulatedBench):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.broker.close()
        self._path = None
        self.broker = self._open()

    def restart(self) -> None:
        """Nothing outlives it, so it goes on."""


class ChaosBench(RestingBench):
    """The venue of the order machine, while it behaves."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock(MONDAY)
        self.broker: ChaosVenue = ChaosVenue(self.clock, lambda symbol: Decimal(100), cash=CASH)

    def offer(self, request: OrderRequest) -> SubmitResult:
        return self.broker.submit(request)

    def execute(self, *requests: OrderRequest) -> None:
        for request in requests:
            assert isinstance(self.offer(request), Accepted)
            self.broker.fill(request.client_order_id, request.quantity, Decimal(100))
        self.clock.advance(FIVE)

    def execute_part(self, name: str, units: int) -> None:
        order = self.broker.book[name]
        self.broker.fill(name, Decimal(units), order.stop_price or order.limit_price or Decimal(100))
        self.clock.advance(FIVE)

    def pay_dividend(self, symbol: str, amount: str) -> None:
        self.broker.pay_dividend(symbol, Decimal(amount))
        self.clock.advance(FIVE)

    def split(self, symbol: str, ratio: str) -> None:
        self.broker.split(symbol, Decimal(ratio), Decimal(100))
        self.clock.advance(FIVE)

    def restart(self) -> None:
        """It lives outside of us."""

    def close(self) -> None:
        """It has no files."""


class ManualBench(Bench):
    resting = False
    opening = ()
    account = Account("manual", AccountKind.MANUAL, World.REAL)

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock(MONDAY)
        self._path = folder / "ledger.sqlite"
        self._database = self._open()
        with self._database.unit_of_work() as work:
            work.add_account(self.account)
            work.book(CashMovement("declared", self.account.id, CashKind.DEPOSIT, CASH, LONG_AGO), recorded_at=LONG_AGO)
            work.commit()

    def _open(self) -> Database:
        database = open_database(self._path, durable=False, clock=self.clock)
        self.broker: ManualBroker = ManualBroker(
            self.account, database.unit_of_work, self.clock, reading=database.reading
        )
        return database

    def offer(self, request: OrderRequest) -> SubmitResult:
        with self._database.unit_of_work() as work:
            if work.order(request.client_order_id) is None:
                work.add_order(self.order_of(request))
                work.commit()
        answer = self.broker.submit(request)
        if isinstance(answer, AwaitingOwner):
            with self._database.unit_of_work() as work:
                order = work.order(request.client_order_id)
                assert order is not None
                work.save_order(order.moved(OrderState.AWAITING_OWNER, self.clock.now()))
                work.commit()
        return answer

    def order_of(self, request: OrderRequest) -> Order:
        return Order(
            request.client_order_id,
            self.account.id,
            request.symbol,
            request.side,
            request.quantity,
            request.purpose,
            origin="test",
            attempt=1,
            created_at=self.clock.now(),
        )

    def write_without_handing_over(self, request: OrderRequest) -> None:
        """The ledger as a crash between the intent's commit and the submission leaves it."""
        with self._database.unit_of_work() as work:
            work.add_order(self.order_of(request))
            work.commit()

    def execute(self, *requests: OrderRequest) -> None:
        """The owner reports his fills."""
        for request in requests:
            assert isinstance(self.offer(request), AwaitingOwner)
            self._report(request.client_order_id, request.quantity)
        self.clock.advance(FIVE)

    def execute_part(self, name: str, units: int) -> None:
        self._report(name, Decimal(units))
        self.clock.advance(FIVE)

    def _report(self, name: str, units: Decimal) -> None:
        now = self.clock.now()
        with self._database.unit_of_work() as work:
            order = work.order(name)
            assert order is not None
            fill = Fill(
                f"manual-{name}-{order.filled_quantity}",
                self.account.id,
                order.client_order_id,
                order.symbol,
                order.side,
                units,
                Decimal(100),
                ZERO,
                "USD",
                now,
                order.purpose,
            )
            work.book(fill, recorded_at=now)
            work.save_order(order.filled_by(units, now))
            work.commit()

    def audit_trail(self) -> Sequence[str]:
        with self._database.reading() as work:
            return [record.action for record in work.audit_trail()]

    def restart(self) -> None:
        self._database.close()
        self._database = self._open()

    def close(self) -> None:
        self._database.close()


class AlpacaBench(RestingBench):
    """alpaca-py and our adapter in front of a server that plays Alpaca, in which nothing trades by itself."""

    account = Account("alpaca-paper", AccountKind.ALPACA_PAPER, World.REAL)
    opening = (CashMovement("opening", account.id, CashKind.DEPOSIT, CASH, LONG_AGO),)
    splits_orders = False
    legs_outlive_their_entry = False

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock(IN_SESSION)
        self.server = AlpacaTradingServer(self.clock.now, cash=CASH)
        self.server.__enter__()
        # The opening of the account was booked when it was met for the first time.
        self.server.venue.account.activities.clear()
        for symbol in ("SPY", "BTC/USD"):
            self.server.set_price(symbol, 100)
        self.server.venue.habits.frozen |= {"SPY", "BTC/USD"}
        self._actions: list[CorporateAction] = []
        self.restart()

    def offer(self, request: OrderRequest) -> SubmitResult:
        return self.broker.submit(request)

    def execute(self, *requests: OrderRequest) -> None:
        for request in requests:
            assert isinstance(self.offer(request), Accepted)
            self._fill(request.client_order_id, request.quantity, Decimal(100))
            self.clock.advance(SECOND)
        self.clock.advance(FIVE)

    def execute_part(self, name: str, units: int) -> None:
        order = self.broker.find(name)
        assert order is not None
        self._fill(name, Decimal(units), order.stop_price or order.limit_price or Decimal(100))
        self.clock.advance(FIVE)

    def _fill(self, name: str, units: Decimal, price: Decimal) -> None:
        order = self.broker.find(name)
        assert order is not None
        with self.server.lock:
            self.server.play()
            self.server.venue.execute(self.server.venue.orders[order.venue_order_id], units, price)

    def pay_dividend(self, symbol: str, amount: str) -> None:
        self.server.dividend(symbol, amount)
        self.clock.advance(FIVE)

    def split(self, symbol: str, ratio: str) -> None:
        self._actions.append(CorporateAction(symbol, self.clock.now(), ratio=Decimal(ratio)))
        self.server.split(symbol, ratio, 100)
        self.clock.advance(FIVE)

    def restart(self) -> None:
        watch = Watch(self.clock.now)
        self.broker: AlpacaBroker = broker_at(
            self.server.address, self.account, watch, actions=lambda _symbol, _after, _until: self._actions
        )

    def close(self) -> None:
        self.server.__exit__()
