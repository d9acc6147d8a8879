"""Which jobs there are, when they are due and what they run: the one table of live, replay and tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.collect import CollectReport
from core.cycle import CycleResult
from core.ports import Calendar, Clock
from jobs.runner import JobRunner
from jobs.schedule import GUARD_PERIOD, RETRAIN_PERIOD, TICK_PERIOD, Job, Timebase, at_day_end, every
from jobs.writer import Urgency, WriterLike

TICK, GUARD, RETRAIN, REPORT, MAINTENANCE = "tick", "guard", "retrain", "report", "maintenance"
BACKFILL, CONTEST = "back-fill", "contest"
LEASE_PERIOD = timedelta(seconds=10)
EXPIRY_PERIOD = timedelta(seconds=30)
HEALTH_PERIOD = timedelta(seconds=20)
WATCH_PERIOD = timedelta(minutes=1)
ATTEST_PERIOD = timedelta(minutes=30)
HOUR, PAST_THE_HOUR = timedelta(hours=1), timedelta(minutes=40)
DAY, PAST_MIDNIGHT = timedelta(days=1), timedelta(hours=2, minutes=20)


@dataclass(frozen=True, slots=True)
class MarketWork:
    """What follows market time. `collect` fetches outside any lock; all but it and `retrain` run in the writer.

    The `..._idle` rules tell the virtual driver which runs could change nothing. `fill` fetches what is missing inside
    the stored series, where that is to be done. `contest` sets recipes against one another, where that is wanted; like
    `retrain` it has the worker do it and commits by itself.
    """

    collect: Callable[[datetime], CollectReport]
    cycle: Callable[[datetime, CollectReport], CycleResult]
    guard: Callable[[datetime], str]
    retrain: Callable[[datetime], str]
    report: Callable[[datetime], str]
    tick_idle: Callable[[datetime], bool] = lambda _due: False
    guard_idle: Callable[[datetime], bool] = lambda _due: False
    retrain_idle: Callable[[datetime], bool] = lambda _due: False
    fill: Callable[[datetime], str] | None = None
    contest: Callable[[datetime], str] | None = None


@dataclass(frozen=True, slots=True)
class HouseWork:
    """What follows real time. `second_line` is None where no second channel to the owner is set."""

    renew_lease: Callable[[], str]
    expire: Callable[[], str]
    check_health: Callable[[], str]
    maintain: Callable[[], str]
    watch: Callable[[], str]
    attest: Callable[[], str]
    second_line: Callable[[], str] | None = None


def market_jobs(work: MarketWork, writer: WriterLike, calendar: Calendar) -> Sequence[Job]:
    """Ranks: the tick first, then the guard; training sees the tick's new bars; the report comes last."""

    def tick(due: datetime) -> str:
        report = work.collect(due)
        result = writer.submit(Urgency.TICK, work.cycle, due, report).result()
        return f"{report.written} bars; {result.summary()}"

    def guard(due: datetime) -> str:
        return writer.submit(Urgency.GUARD, work.guard, due).result()

    def report(due: datetime) -> str:
        return writer.submit(Urgency.TICK, work.report, due).result()

    fill = () if work.fill is None else (_backfill(work.fill),)
    contest = () if work.contest is None else (_contest(work.contest),)
    return (
        Job(TICK, every(TICK_PERIOD), Timebase.MARKET, 240.0, 0, tick, work.tick_idle),
        Job(GUARD, every(GUARD_PERIOD), Timebase.MARKET, 50.0, 1, guard, work.guard_idle, is_news=False),
        Job(RETRAIN, every(RETRAIN_PERIOD), Timebase.MARKET, 900.0, 2, work.retrain, work.retrain_idle),
        Job(REPORT, at_day_end(calendar), Timebase.MARKET, 60.0, 3, report),
        *contest,
        *fill,
    )


def look_now(jobs: Mapping[str, Job], runner: JobRunner, market_clock: Clock) -> Callable[[], None]:
    """The guard's run between two of its minutes, as due this very second: the same work under the same name, so that
    one cause of failure is told once. It leaves no record, as it follows no plan."""
    job = replace(jobs[GUARD], recorded=False)
    return lambda: _run_now(runner, job, market_clock)


def train_now(
    jobs: Mapping[str, Job], train: Callable[[datetime], str], runner: JobRunner, market_clock: Clock
) -> None:
    """The training between two of its hours, by `train` instead of its own rule; it leaves the same record."""
    runner.run(replace(jobs[RETRAIN], run=train), market_clock.now().replace(microsecond=0))


def _run_now(runner: JobRunner, job: Job, market_clock: Clock) -> None:
    runner.run(job, market_clock.now().replace(microsecond=0))


def _contest(hold: Callable[[datetime], str]) -> Job:
    """Looked for once a day, half an hour away from the trainings: of two that want the worker the hourly one is not to
    wait."""
    return Job(CONTEST, every(DAY, PAST_MIDNIGHT), Timebase.MARKET, 3600.0, 5, hold)


def _backfill(fill: Callable[[datetime], str]) -> Job:
    """Between two ticks, so that neither waits for the other's calls."""
    rule = every(TICK_PERIOD, TICK_PERIOD / 2)
    return Job(BACKFILL, rule, Timebase.MARKET, 240.0, 4, fill, recorded=False, is_news=False)


def house_jobs(work: HouseWork, writer: WriterLike) -> Sequence[Job]:
    """What runs often leaves no record of each run: its traces are its record."""

    def attest(_: datetime) -> str:
        return writer.submit(Urgency.BACKGROUND, work.attest).result()

    def expire(_: datetime) -> str:
        return writer.submit(Urgency.BACKGROUND, work.expire).result()

    alarms = (_frequent("alarms", WATCH_PERIOD, 5, _alone(work.second_line)),) if work.second_line else ()
    return (
        *alarms,
        _frequent("lease", LEASE_PERIOD, 0, lambda _: work.renew_lease()),
        _frequent("expiry", EXPIRY_PERIOD, 1, expire),
        _frequent("health", HEALTH_PERIOD, 2, lambda _: work.check_health()),
        _frequent("watch", WATCH_PERIOD, 4, lambda _: work.watch()),
        _frequent("attest", ATTEST_PERIOD, 5, attest),
        Job(
            MAINTENANCE, every(HOUR, PAST_THE_HOUR), Timebase.SYSTEM, 600.0, 3, lambda _: work.maintain(), is_news=False
        ),
    )


def _alone(look: Callable[[], str]) -> Callable[[datetime], str]:
    return lambda _: look()


def _frequent(name: str, period: timedelta, rank: int, run: Callable[[datetime], str]) -> Job:
    return Job(name, every(period), Timebase.SYSTEM, 20.0, rank, run, recorded=False, is_news=False)
