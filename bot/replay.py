"""autotrader replay: past bars through the whole live system on a virtual clock, ending in a table of figures."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from bot.bootstrap import EVERY_BAR, SIMULATED, Clocks, Engine, Hooks, build_engine, open_ledger
from bot.contesting import Contesting
from bot.delivery import drain_silently
from bot.market_work import Idle, Retraining, market_work
from bot.opening import greet, open_accounts
from bot.price_sources import (
    HistorySource,
    dividends_of,
    make_calendar,
    make_history,
    make_simulated_market,
    rows_left_out,
)
from bot.worlds import Place
from core.clock import VirtualClock
from core.collect import CollectReport
from core.domain.accounts import World
from core.domain.bars import BarSize
from core.domain.portfolio import Portfolio
from core.domain.records import EquityPoint
from core.domain.views import Health
from core.errors import DataFault, Fatal
from core.execution.unanswered import expire_instructions
from core.performance import Curve, Performance, buy_and_hold, measure
from core.series import seconds_of
from core.settings import Settings
from jobs.health import HealthDesk
from jobs.runner import JobRunner
from jobs.schedule import RETRAIN_PERIOD, TICK_PERIOD
from jobs.table import RETRAIN, TICK, market_jobs
from jobs.virtual import VirtualDriver
from jobs.worker import SpawnedWorker
from jobs.writer import InlineWriter

INSTALLATION = "replay"


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """`first` and `last` are UTC dates, both included. Without `data` the simulated market of `seed` is played.
    `contest`: recipes are set against one another each month, as in a live run."""

    data: Path | None
    first: date
    last: date
    bar: BarSize
    symbols: tuple[str, ...]
    seed: int
    every_tick: bool = False
    contest: bool = False


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay left behind. `ledger_head` is the hash over every decision and entry: equal heads, equal runs.

    `left_out` says in words which rows of the files were not used.
    """

    portfolio: Portfolio
    equity: Sequence[EquityPoint]
    strategy: Performance
    holding: Performance | None
    ledger_head: str
    runs: int
    messages: int
    trainings: int
    contests: int | None
    left_out: Sequence[str]


class Replay:
    """One period, once. `play` may be called once; `close` lets go of everything."""

    def __init__(self, settings: Settings, options: ReplayOptions) -> None:
        """Raises Fatal for a period or symbols without bars. The state folder of `settings` receives the files."""
        self._options = options
        self._start = datetime.combine(options.first, time(), UTC)
        self._end = datetime.combine(options.last, time(), UTC) + timedelta(days=1)
        if self._end <= self._start:
            raise Fatal(f"--to {options.last} lies before --from {options.first}")
        settings.make_folders()
        self._settings = settings
        self._clock = VirtualClock(self._start)
        self._calendar = make_calendar()
        self._source = self._make_source()
        self._worker = SpawnedWorker(keep=True)
        self._engine = self._build()
        self._closes = self._bar_closes(self._engine.sizes)
        self._daily_closes = self._bar_closes((BarSize.D1,))
        self._delivered = 0
        self._retraining = Retraining(self._engine, self._worker, settings)

    def play(self, progress: Callable[[datetime], None]) -> ReplayResult:
        """Starts as a live run does, then drives every job to the end of the period."""
        engine, desk = self._engine, self._engine.desk
        health = HealthDesk(desk.ledger, self._clock, self._clock, self._settings.heartbeat_file, os.getpid())
        runner = JobRunner(desk.ledger, self._clock, self._clock, health.report, _raise)
        open_accounts(desk, self._settings.start_cash)
        engine.collector.collect(desk.instruments, engine.sizes, self._start)
        work = market_work(
            engine,
            self._retraining,
            health.tell,
            Idle(self._tick_idle, _guard_idle, self._retrain_idle),
            contest=Contesting(engine, self._worker, self._settings) if self._options.contest else None,
        )
        table = market_jobs(replace(work, collect=self._after_expiry(work.collect)), InlineWriter(), self._calendar)
        jobs = {job.name: job for job in table}
        runner.run(jobs[RETRAIN], self._start)
        greet(desk, 1.0)
        driver = VirtualDriver(table, runner, self._clock, skip_idle=not self._options.every_tick)
        runs = driver.run(self._end, lambda now: self._advanced(now, progress))
        runner.run(jobs[TICK], self._end)
        self._deliver()
        return self._result(runs)

    def _after_expiry(self, collect: Callable[[datetime], CollectReport]) -> Callable[[datetime], CollectReport]:
        """Cards that nobody answered in their time lapse before a tick, as the house's jobs see to live: the card for
        the newcomer would hold its symbol back for ever."""

        def expire_and_collect(due: datetime) -> CollectReport:
            expire_instructions(self._engine.desk)
            return collect(due)

        return expire_and_collect

    def close(self) -> None:
        self._worker.stop()
        self._engine.close()

    def _make_source(self) -> HistorySource:
        if self._options.data is None:
            return make_simulated_market(self._options.seed, self._calendar)
        if not self._options.data.is_dir():
            raise Fatal(f"--data {self._options.data}: there is no such folder")
        return make_history(self._options.data, self._calendar)

    def _build(self) -> Engine:
        world = World.REAL if self._options.data is not None else World.SIMULATED
        place = Place(world, f"sqlite:///{self._settings.data_dir / 'replay.sqlite'}", True, None, "replay")
        database = open_ledger(place, self._clock, durable=False, installation_id=INSTALLATION)
        clocks, hooks = Clocks(self._clock, self._clock), Hooks(_no_health)
        try:
            return build_engine(
                self._settings,
                place,
                database,
                clocks,
                hooks,
                [self._source],
                self._calendar,
                confirm_size=self._options.bar,
                overlap=0,
                symbols=self._options.symbols,
            )
        except BaseException:
            database.close()
            raise

    def _bar_closes(self, sizes: Sequence[BarSize]) -> frozenset[int]:
        """Closes of all bars of the period, in seconds, moved to the tick that sees them first."""
        period, closes = int(TICK_PERIOD.total_seconds()), set[int]()
        for instrument in self._engine.desk.instruments:
            for size in sizes:
                try:
                    known = self._source.bars(instrument, size, self._end, EVERY_BAR).after(self._start)
                except DataFault as fault:
                    if size is self._options.bar:
                        raise Fatal(f"{instrument.symbol} cannot be replayed: {fault.reason}") from fault
                    continue
                closes.update((-(-known.closed_at // period) * period).tolist())
        if not closes:
            raise Fatal(f"there are no {self._options.bar} bars between {self._options.first} and {self._options.last}")
        return frozenset(closes)

    def _tick_idle(self, due: datetime) -> bool:
        """Without a new bar nothing can be decided, filled or stopped out."""
        return seconds_of(due) not in self._closes

    def _retrain_idle(self, due: datetime) -> bool:
        """New labels come with new daily bars only."""
        ticks = int(RETRAIN_PERIOD / TICK_PERIOD)
        return not any(seconds_of(due - n * TICK_PERIOD) in self._daily_closes for n in range(ticks))

    def _advanced(self, now: datetime, progress: Callable[[datetime], None]) -> None:
        if now.hour == 0 and now.minute == 0:
            self._deliver()
        progress(now)

    def _deliver(self) -> None:
        """The silent phone: every message is rendered and marked as sent, in order."""
        while sent := drain_silently(self._engine.desk.ledger, self._clock, self._settings.zone):
            self._delivered += sent

    def _result(self, runs: int) -> ReplayResult:
        engine = self._engine
        with engine.database.reading() as work:
            portfolio, equity, head = work.portfolio(SIMULATED), work.equity(SIMULATED), work.chain_head()
        series = [
            engine.database.bars.read(each.symbol, self._options.bar, self._end, EVERY_BAR)
            for each in engine.desk.instruments
        ]
        costs = engine.desk.policy.cost_fraction
        dividends = {
            each.symbol: dividends_of(self._source, each.symbol, self._start, self._end)
            for each in engine.desk.instruments
        }
        return ReplayResult(
            portfolio=portfolio,
            equity=equity,
            strategy=measure(
                "AutoTrader",
                Curve.of_points(equity),
                portfolio.closed,
                costs=portfolio.fees,
                traded=portfolio.turnover,
            ),
            holding=buy_and_hold(series, self._start, self._end, self._settings.start_cash, costs, dividends),
            ledger_head=head,
            runs=runs,
            messages=self._delivered,
            trainings=self._retraining.trained,
            contests=self._contests(),
            left_out=rows_left_out(self._source),
        )

    def _contests(self) -> int | None:
        """How many were held; None where none was asked for."""
        if not self._options.contest:
            return None
        with self._engine.database.reading() as work:
            return next((each.number for each in work.contests(1)), 0)


def _guard_idle(_due: datetime) -> bool:
    """Between bars there are no quotes in a replay, and the tick that sees a bar checks every stop itself."""
    return True


def _no_health(_component: str, _state: Health, _reason: str) -> None:
    """Nobody watches the health of a replay; what fails is in the records of its jobs."""


def _raise(fatal: Fatal) -> None:
    raise fatal
