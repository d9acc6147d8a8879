"""A stage for golden replays: the whole system on a virtual clock over a folder of bars, with a forecaster that says
what the scene needs. What it did is told as exact lines, order by order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

from bot.bootstrap import SIMULATED, Clocks, Engine, Hooks, build_engine, open_ledger
from bot.market_work import Idle, market_work
from bot.opening import open_accounts
from bot.price_sources import make_calendar, make_history
from bot.worlds import Place
from core.clock import VirtualClock
from core.domain.accounts import World
from core.domain.bars import BarSize
from core.domain.decisions import Prediction
from core.domain.events import DailyReport
from core.domain.orders import Order
from core.domain.portfolio import CashMovement, Entry, Fill, PositionAdjustment
from core.domain.values import plain
from core.ports import MarketData
from core.series import BarSeries, seconds_of
from core.settings import load_settings
from jobs.health import HealthDesk
from jobs.runner import JobRunner
from jobs.schedule import TICK_PERIOD, JobSkipped
from jobs.table import market_jobs
from jobs.virtual import VirtualDriver
from jobs.writer import InlineWriter

CASH = Decimal(10_000)
EVERY = 1_000_000
ROOM = {"DAILY_RISK_FRACTION": "0.0075"}
"""A position is large enough to be told apart in whole shares."""


class Forecaster:
    """The Predictor port: sure of a rise on the given dates (of the newest daily bar), doubtful on all others."""

    version = "scripted"

    def __init__(self, sure_on: Collection[date]) -> None:
        self._sure_on = frozenset(sure_on)

    def predict(self, daily: BarSeries) -> Prediction | None:
        if not len(daily):
            return None
        closed_at = daily.bar(len(daily) - 1).closed_at
        day = (closed_at - timedelta(seconds=1)).date()
        return Prediction(daily.symbol, 0.8 if day in self._sure_on else 0.2, "scripted", self.version, closed_at)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is played: UTC dates, both included."""

    data: Path
    first: date
    last: date
    symbols: tuple[str, ...]
    sure_on: Collection[date]
    bar: BarSize = BarSize.M5
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Played:
    """`orders` in the order of writing, `fills` and `others` (dividends, splits) in the order of booking; `reports` are
    the times of the daily ones, `worth` what the account was worth at them."""

    orders: Sequence[str]
    fills: Sequence[str]
    others: Sequence[str]
    reports: Sequence[str]
    worth: Mapping[str, Decimal]
    cash: Decimal
    units: dict[str, Decimal]
    problems: Sequence[str]


def play(folder: Path, scene: Scene, prepare: Callable[[Engine], Engine] = lambda engine: engine) -> Played:
    """Plays the scene in `folder`; `prepare` may change the engine before the first tick."""
    environment = {
        "STATE_DIR": str(folder),
        "TIME_ZONE": "UTC",
        "START_CASH": str(CASH),
        **ROOM,
        **dict(scene.settings),
    }
    settings = load_settings(environment, None)
    settings.make_folders()
    clock = VirtualClock(datetime.combine(scene.first, time(), UTC))
    place = Place(World.REAL, f"sqlite:///{folder / 'stage.sqlite'}", True, None, "stage")
    calendar = make_calendar()
    history = make_history(scene.data, calendar)
    database = open_ledger(place, clock, durable=False, installation_id="stage")
    engine = build_engine(
        settings,
        place,
        database,
        Clocks(clock, clock),
        Hooks(lambda _component, _state, _reason: None),
        [history],
        calendar,
        confirm_size=scene.bar,
        overlap=0,
        symbols=scene.symbols,
    )
    forecaster = Forecaster(scene.sure_on)
    engine = prepare(replace(engine, desk=replace(engine.desk, predictor=lambda: forecaster)))
    try:
        return _played(engine, clock, folder, history, datetime.combine(scene.last, time(), UTC) + timedelta(days=1))
    finally:
        engine.close()


def _played(engine: Engine, clock: VirtualClock, folder: Path, history: MarketData, end: datetime) -> Played:
    desk = engine.desk
    health = HealthDesk(desk.ledger, clock, clock, folder / "pulse", 1)
    runner = JobRunner(desk.ledger, clock, clock, health.report, _raise)
    open_accounts(desk, CASH)
    engine.collector.collect(desk.instruments, engine.sizes, clock.now())
    idle = Idle(_no_new_bar(engine, history, end), _always, _always)
    table = market_jobs(market_work(engine, _no_training, idle=idle), InlineWriter(), engine.calendar)
    VirtualDriver(table, runner, clock).run(end)
    with desk.ledger() as work:
        orders = sorted(
            work.orders(SIMULATED, limit=EVERY), key=lambda order: (order.created_at, order.client_order_id)
        )
        entries = list(work.entries(SIMULATED))
        portfolio = work.portfolio(SIMULATED)
        told = [(each.market_time, each.event) for each in work.messages(EVERY)][::-1]
        worth = {
            f"{at:%a %d %H:%M}": account.equity
            for at, event in told
            if isinstance(event, DailyReport)
            for account in event.accounts
            if account.account == SIMULATED
        }
    return Played(
        [order_line(order) for order in orders],
        [fill_line(entry) for entry in entries if isinstance(entry, Fill)],
        [other_line(entry) for entry in entries[1:] if not isinstance(entry, Fill)],
        list(worth),
        worth,
        portfolio.cash,
        {symbol: position.quantity for symbol, position in portfolio.positions.items()},
        engine.database.verify(),
    )


def _no_new_bar(engine: Engine, history: MarketData, end: datetime) -> Callable[[datetime], bool]:
    """Ticks that see no new bar can change nothing (tests/golden/test_replay.py proves it)."""
    period = int(TICK_PERIOD.total_seconds())
    closes = [
        history.bars(instrument, size, end, EVERY).closed_at
        for instrument in engine.desk.instruments
        for size in engine.sizes
    ]
    seen_at = {int(second) for column in closes for second in -(-column // period) * period}
    return lambda due: seconds_of(due) not in seen_at


def _always(_due: datetime) -> bool:
    return True


def _raise(fatal: Exception) -> None:
    raise fatal


def _no_training(_due: datetime) -> str:
    raise JobSkipped("the forecaster needs none")


def order_line(order: Order) -> str:
    """Thu 14 14:35 buy 5 SPY entry: filled."""
    price = order.stop_price or order.limit_price
    at = f" at {plain(price)}" if price is not None else ""
    done = "" if order.filled_quantity in (0, order.quantity) else f" {plain(order.filled_quantity)}"
    return (
        f"{order.created_at:%a %d %H:%M} {order.side} {plain(order.quantity)} {order.symbol} {order.purpose}{at}: "
        f"{order.state}{done}"
    )


def fill_line(fill: Fill) -> str:
    """Thu 14 14:35 buy 5 SPY at 420.31 fee 0."""
    return (
        f"{fill.at:%a %d %H:%M} {fill.side} {plain(fill.quantity)} {fill.symbol} {fill.purpose} at {plain(fill.price)} "
        f"fee {plain(fill.fee)}"
    )


def other_line(entry: Entry) -> str:
    """Mon 31 13:30 split 15 AAPL, or Fri 07 13:30 dividend 4.10 USD."""
    if isinstance(entry, PositionAdjustment):
        return f"{entry.at:%a %d %H:%M} {entry.kind} {plain(entry.quantity)} {entry.symbol}"
    assert isinstance(entry, CashMovement)
    return f"{entry.at:%a %d %H:%M} {entry.kind} {plain(entry.amount)} USD"
