"""The running installation: starts in the order of S1, runs until told to stop, and stops without losing anything."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from bot.bootstrap import Engine
from bot.kept import keep_what_exists
from bot.listening import Listening
from bot.model_desk import ModelDesk
from bot.opening import greet, open_accounts
from bot.telephone import Telephone
from core.clock import ScaledClock, SystemClock
from core.collect import CollectReport
from core.domain.records import JobOutcome
from core.domain.views import Health
from core.errors import AutoTraderError, Fatal, LeaseLost
from core.execution.owner import OwnerDesk
from core.ports import LeaseKeeper
from jobs.health import HealthDesk
from jobs.runner import JobRunner
from jobs.schedule import TICK_PERIOD, Job
from jobs.scheduler import LiveScheduler
from jobs.table import LEASE_PERIOD, RETRAIN, TICK, look_now
from jobs.writer import Urgency, Writer

log = logging.getLogger("autotrader.start")
T = TypeVar("T")
STEPS = 7
OVERRUNS_BEFORE_SLOWING = 2


@dataclass(frozen=True, slots=True)
class LiveParts:
    """Everything that was built for this run. `speed` is the factor at which simulated time starts to run;
    `release_prices` lets go of what the sources of prices hold."""

    engine: Engine
    owner: OwnerDesk
    telephone: Telephone
    listening: Listening
    models: ModelDesk
    jobs: dict[str, Job]
    runner: JobRunner
    health: HealthDesk
    writer: Writer
    system_clock: SystemClock
    market_clock: SystemClock | ScaledClock
    speed: float
    play_money: Decimal
    left_behind: str
    release_prices: Callable[[], None]


class Live:
    """`run` is the whole life: start, wait, stop. It returns the exit code.

    Whoever builds the parts sets `lease` when it is acquired, because a start may outlast it, and `stop_worker`,
    because a start that waits for the worker must end at once when asked to.
    """

    def __init__(self, build: Callable[[Live], LiveParts]) -> None:
        self.lease: LeaseKeeper | None = None
        self.stop_worker: Callable[[], None] = _no_worker
        self._build = build
        self._system = SystemClock()
        self._stopping = asyncio.Event()
        self._fatal: Fatal | None = None
        self._overruns = 0
        self._loop = asyncio.get_running_loop()
        self._parts: LiveParts | None = None
        self._scheduler: LiveScheduler | None = None

    async def run(self, began: float) -> int:
        """`began` is the monotonic time at which the process started working, for the ready line."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._stopping.set)
        try:
            await self._unless_stopped(asyncio.to_thread(self._build_parts))
            parts = self._built()
            await self._start(parts)
            where = parts.telephone.show()
            log.info("Ready in %.1f s. %s Ctrl-C stops.", parts.system_clock.monotonic() - began, where)
            await self._stopping.wait()
        except _StoppedEarly:
            log.info("stopped before the start was complete")
        finally:
            await self._stop()
        if self._fatal is not None:
            log.critical("stopped: %s", self._fatal)
            return 1
        return 0

    def fail(self, fatal: Fatal) -> None:
        """Something Fatal happened in any thread: stop everything."""
        self._fatal = self._fatal or fatal
        self._loop.call_soon_threadsafe(self._stopping.set)

    def fence(self) -> None:
        """Before anything leaves the process, in any thread: raises LeaseLost, and stops everything, when another
        process took the ledger."""
        if self.lease is None:
            return
        try:
            self.lease.check(self._system.now())
        except LeaseLost as lost:
            self.fail(lost)
            raise

    def next_cycle_at(self) -> datetime | None:
        return self._scheduler.next_due(TICK) if self._scheduler is not None else None

    def _build_parts(self) -> None:
        """Keeps what was built even when a stop came meanwhile: it has to be let go of again."""
        self._parts = self._build(self)

    def _built(self) -> LiveParts:
        assert self._parts is not None
        return self._parts

    async def _start(self, parts: LiveParts) -> None:
        now = parts.market_clock.now()
        parts.writer.start()
        crashed = parts.runner.close_crashed()
        self._step(1, f"health check: {parts.health.check()}" + (f"; {crashed} runs were cut short" if crashed else ""))
        equity = await self._in_writer(open_accounts, parts.engine.desk, parts.play_money)
        self._step(2, f"portfolio: {equity}")
        await parts.telephone.open(
            parts.owner,
            parts.engine.database.unit_of_work,
            parts.writer,
            parts.health.report,
            self.fence,
            parts.engine.book,
            parts.engine.database.reading,
            parts.models,
        )
        await self._in_writer(greet, parts.engine.desk, parts.speed, parts.engine.book, parts.left_behind)
        first = now.replace(second=0, microsecond=0)
        first -= (first - datetime.min.replace(tzinfo=first.tzinfo)) % TICK_PERIOD
        report = await self._unless_stopped(
            asyncio.to_thread(parts.engine.collector.collect, parts.engine.desk.instruments, parts.engine.sizes, now)
        )
        self._step(3, f"market data: {_collected(report)}")
        await self._run_job(RETRAIN, first)
        with parts.engine.database.reading() as work:
            model = work.champion()
        self._step(4, f"training: {f'model {model.version}, {model.rows} rows' if model else 'no model yet'}")
        await self._run_job(TICK, first)
        with parts.engine.database.reading() as work:
            signals = work.last_signals()
        self._step(5, f"signals: {sum(one.is_buy for one in signals.values())} of {len(signals)} say buy")
        self._step(6, f"execution: {parts.owner.status().mode} mode")
        self._step(7, "log: one file a day in the logs folder")
        parts.health.check()
        keep_what_exists()
        self._go(parts)

    def _go(self, parts: LiveParts) -> None:
        if isinstance(parts.market_clock, ScaledClock):
            parts.market_clock.set_speed(parts.speed)
        self._scheduler = LiveScheduler(
            list(parts.jobs.values()),
            parts.runner,
            parts.system_clock,
            parts.market_clock,
            on_overrun=self._overran,
            on_fatal=self.fail,
        )
        self._scheduler.start()
        guard_now = look_now(parts.jobs, parts.runner, parts.market_clock)

        def look() -> None:
            guard_now()
            parts.telephone.wake()

        parts.listening.start(look)

    def _overran(self, job: Job) -> None:
        """Simulated time that runs faster than the engine can follow is slowed down, and that is said."""
        parts = self._parts
        if job.name != TICK or parts is None or not isinstance(parts.market_clock, ScaledClock):
            return
        self._overruns += 1
        if self._overruns % OVERRUNS_BEFORE_SLOWING == 0 and parts.market_clock.speed() > 1.0:
            slower = max(1.0, parts.market_clock.speed() / 2)
            parts.market_clock.set_speed(slower)
            parts.health.report("simulated time", Health.DEGRADED, f"slowed to {slower:g} times real time to keep up")

    async def _stop(self) -> None:
        parts = self._parts
        if parts is None:
            return
        log.info("stopping: finishing what is under way")
        parts.runner.stopping()
        self.stop_worker()
        if self._scheduler is not None:
            await self._scheduler.stop()
        await asyncio.to_thread(parts.models.close)
        await asyncio.to_thread(parts.listening.close)
        await parts.telephone.close()
        await asyncio.to_thread(parts.writer.stop)
        await asyncio.to_thread(parts.release_prices)
        try:
            if self.lease is not None:
                self.lease.check(self._system.now())
                parts.engine.database.bear_witness()
                self.lease.release()
        except (AutoTraderError, OSError) as error:
            log.warning("the lease was not released: %s", error)
        parts.engine.close()
        parts.health.end()
        log.info("stopped")

    async def _run_job(self, name: str, due: datetime) -> None:
        job, runner = self._built().jobs[name], self._built().runner
        outcome = await self._unless_stopped(asyncio.to_thread(runner.run, job, due))
        if outcome is JobOutcome.FAILED:
            log.warning("%s failed at the start; it will be tried again", name)

    async def _in_writer(self, task: Callable[..., T], *arguments: Any) -> T:
        return await self._built().writer.run(task, *arguments, urgency=Urgency.TICK)

    async def _unless_stopped(self, work: Any) -> Any:
        """Waits for `work` and keeps the lease meanwhile. A request to stop cuts it short."""
        task, stop = asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())
        try:
            while not await _any_done(task, stop):
                if self.lease is not None:
                    await asyncio.to_thread(self.lease.renew, self._system.now())
        except BaseException:
            await self._cut_short(task)
            raise
        if stop.done():
            await self._cut_short(task)
            raise _StoppedEarly
        stop.cancel()
        return task.result()

    async def _cut_short(self, task: asyncio.Future[Any]) -> None:
        """Takes the worker from whatever waits for it, and lets the rest of it end: threads cannot be cancelled."""
        if self._parts is not None:
            self._parts.runner.stopping()
        while not task.done():
            self.stop_worker()
            await asyncio.wait({task}, timeout=0.2)
        if (error := task.exception()) is not None:
            log.info("the start was cut short: %s", error)

    def _step(self, number: int, words: str) -> None:
        log.info("[%d/%d] %s", number, STEPS, words)


def _collected(report: CollectReport) -> str:
    failed = sorted({entry.symbol for entry in report.entries if entry.error})
    words = f"{report.written:,} new bars of {len({entry.symbol for entry in report.entries})} instruments"
    return f"{words}; without data: {', '.join(failed)}" if failed else words


async def _any_done(*futures: asyncio.Future[Any]) -> bool:
    """Whether one of them is done within the time after which the lease must be renewed."""
    done, _ = await asyncio.wait(futures, timeout=LEASE_PERIOD.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
    return bool(done)


def _no_worker() -> None:
    """Nothing was started yet that would have to be stopped."""


class _StoppedEarly(Exception):
    """The owner pressed Ctrl-C during the start."""
