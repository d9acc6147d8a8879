"""The live driver with the real APScheduler, on a market clock an hour a second fast."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from core.clock import ScaledClock, SystemClock
from core.domain.records import JobOutcome, JobRun
from core.errors import Fatal
from core.storage.store import Database
from jobs.runner import JobRunner
from jobs.schedule import Job, Timebase, every
from jobs.scheduler import LiveScheduler
from tests.bot_line import eventually
from tests.ledger_builders import ledger

START = datetime(2024, 3, 8, 14, 58, tzinfo=UTC)
FAST = 3600.0
TEN_MINUTES = timedelta(minutes=10)


class Bench:
    """Jobs that note when they ran, their runner over a real ledger, and the scheduler once `go` was called."""

    def __init__(self, folder: Path) -> None:
        self.system = SystemClock()
        self.clock = ScaledClock(self.system, START, 0.0)
        self.database: Database = ledger(folder)
        self.ran: list[tuple[str, datetime]] = []
        self.overruns: list[str] = []
        self.fatal: list[Fatal] = []
        self.runner: Any = JobRunner(
            self.database.unit_of_work, self.system, self.clock, lambda *_: None, self.fatal.append
        )
        self.jobs: list[Job] = []
        self.scheduler: LiveScheduler | None = None

    def job(self, name: str, period: timedelta = TEN_MINUTES, work: Callable[[], object] = lambda: None) -> Job:
        def run(due: datetime) -> str:
            self.ran.append((name, due))
            work()
            return "done"

        made = Job(name, every(period), Timebase.MARKET, 60.0, len(self.jobs), run)
        self.jobs.append(made)
        return made

    def go(self, speed: float = FAST) -> LiveScheduler:
        self.clock.set_speed(speed)
        self.scheduler = LiveScheduler(
            self.jobs,
            self.runner,
            self.system,
            self.clock,
            on_overrun=lambda job: self.overruns.append(job.name),
            on_fatal=self.fatal.append,
        )
        self.scheduler.start()
        return self.scheduler

    def times(self, name: str) -> list[datetime]:
        return [due for who, due in self.ran if who == name]

    def runs(self, outcome: JobOutcome, name: str = "tick") -> JobRun | None:
        with self.database.reading() as work:
            return work.last_run(name, outcome)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    built = Bench(tmp_path)
    yield built
    if built.scheduler is not None:
        await built.scheduler.stop()
    built.database.close()


def steps(times: list[datetime]) -> set[timedelta]:
    return {later - earlier for earlier, later in pairwise(times)}


async def test_jobs_run_at_each_of_their_due_times_in_order(bench: Bench) -> None:
    bench.job("tick")
    bench.job("report", 2 * TEN_MINUTES)
    bench.go(1200.0)
    await eventually(lambda: len(bench.times("tick")) >= 3 and bench.times("report"))
    assert bench.times("tick")[0] == datetime(2024, 3, 8, 15, tzinfo=UTC)
    # A stall of this machine may fold a due time into the next; it may never shift or double one.
    gaps = steps(bench.times("tick"))
    assert min(gaps) >= TEN_MINUTES
    assert {gap % TEN_MINUTES for gap in gaps} == {timedelta(0)}
    assert bench.times("report")[0] == datetime(2024, 3, 8, 15, tzinfo=UTC)


async def test_no_job_runs_before_its_due_time_by_the_market_clock(bench: Bench) -> None:
    early: list[datetime] = []
    job = bench.job("tick")

    def note(due: datetime) -> str:
        if due > bench.clock.now():
            early.append(due)
        return "done"

    bench.jobs = [replace(job, run=note)]
    scheduler = bench.go()
    armed = scheduler.next_due("tick")
    bench.clock.set_speed(200.0)
    await eventually(lambda: bench.runs(JobOutcome.DONE) is not None, seconds=10.0)
    assert early == []
    done = bench.runs(JobOutcome.DONE)
    assert done is not None and done.scheduled_at >= armed


async def test_a_due_time_during_a_run_is_folded_into_the_next_and_recorded(bench: Bench) -> None:
    gate = threading.Event()
    bench.job("tick", work=lambda: gate.wait(10))
    bench.go()
    await eventually(lambda: len(bench.overruns) >= 2)
    assert len(bench.ran) == 1
    folded = bench.runs(JobOutcome.OVERRUN)
    assert folded is not None and folded.scheduled_at > bench.ran[0][1]
    assert "folded" in folded.detail
    gate.set()
    await eventually(lambda: len(bench.ran) >= 2)


async def test_due_times_nobody_was_awake_for_are_one_record_and_only_the_newest_is_run(bench: Bench) -> None:
    bench.job("tick")
    scheduler = bench.go(600.0)
    first = scheduler.next_due("tick")
    # The loop sleeps as the machine would: nothing of it runs meanwhile.
    bench.system.sleep(3.5)
    await eventually(lambda: len(bench.ran) >= 1)
    missed = bench.runs(JobOutcome.MISSED)
    assert missed is not None and missed.scheduled_at == first
    assert "due times passed" in missed.detail
    assert bench.times("tick")[0] - first >= 2 * TEN_MINUTES


async def test_a_failing_job_stops_neither_itself_nor_the_others(bench: Bench) -> None:
    def fail() -> None:
        raise ValueError("broken")

    bench.job("tick", work=fail)
    bench.job("guard")
    bench.go()
    await eventually(lambda: len(bench.times("tick")) >= 3 and len(bench.times("guard")) >= 3)
    failed = bench.runs(JobOutcome.FAILED)
    assert failed is not None and failed.detail == "ValueError: broken"


async def test_a_fatal_error_reaches_whoever_can_stop_the_process(bench: Bench) -> None:
    def fail() -> None:
        raise Fatal("another process took over")

    bench.job("tick", work=fail)
    bench.go()
    await eventually(lambda: bool(bench.fatal))
    assert str(bench.fatal[0]) == "another process took over"


async def test_a_missed_run_that_can_no_longer_be_recorded_stops_everything_without_a_trace(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lost(*_: object) -> None:
        raise Fatal("another process took over")

    gate = threading.Event()
    bench.job("tick", work=lambda: gate.wait(10))
    scheduler = bench.go()
    monkeypatch.setattr(scheduler._runner, "missed", lost)
    try:
        await eventually(lambda: bool(bench.fatal))
    finally:
        gate.set()
    assert str(bench.fatal[0]) == "another process took over"
    assert all(record.exc_info is None for record in caplog.records)


async def test_a_run_beyond_its_deadline_is_recorded_while_it_goes_on(bench: Bench) -> None:
    gate = threading.Event()
    job = bench.job("tick", timedelta(hours=1), work=lambda: gate.wait(10))
    bench.jobs = [replace(job, deadline=0.2)]
    bench.go()
    await eventually(lambda: bench.runs(JobOutcome.OVERRUN) is not None)
    late = bench.runs(JobOutcome.OVERRUN)
    assert late is not None and "still running" in late.detail
    gate.set()
    await eventually(lambda: bench.runs(JobOutcome.DONE) is not None)


async def test_a_stop_waits_for_the_runs_under_way_and_starts_no_more(bench: Bench) -> None:
    gate, begun = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        gate.wait(10)

    bench.job("tick", work=work)
    scheduler = bench.go()
    await eventually(begun.is_set)
    stopping = asyncio.create_task(scheduler.stop())
    await asyncio.sleep(0.2)
    assert not stopping.done()
    gate.set()
    await stopping
    assert bench.runs(JobOutcome.DONE) is not None
    assert len(bench.ran) == 1
    assert bench.runs(JobOutcome.RUNNING) is None


async def test_stopping_twice_or_before_anything_ran_is_harmless(bench: Bench) -> None:
    bench.job("tick", timedelta(days=300))
    scheduler = bench.go()
    await scheduler.stop()
    await scheduler.stop()
    assert bench.ran == []


async def test_after_slowing_down_the_next_due_time_waits_for_the_slower_clock(bench: Bench) -> None:
    bench.job("tick", timedelta(hours=1))
    scheduler = bench.go()
    due = scheduler.next_due("tick")
    bench.clock.set_speed(FAST / 1000)
    await asyncio.sleep(0.4)
    assert bench.ran == []
    bench.clock.set_speed(FAST)
    scheduler._arm(bench.jobs[0], bench.clock.now())
    await eventually(lambda: bool(bench.ran))
    assert bench.ran[0][1] == due


async def test_jobs_of_real_time_do_not_follow_the_market_clock(bench: Bench) -> None:
    job = bench.job("lease", timedelta(hours=6))
    bench.jobs = [replace(job, timebase=Timebase.SYSTEM)]
    scheduler = bench.go()
    assert timedelta(0) < scheduler.next_due("lease") - bench.system.now() <= timedelta(hours=6)


async def test_wakings_that_hang_do_not_end_a_job_for_ever(bench: Bench) -> None:
    gate = threading.Event()
    released: list[datetime] = []

    class Jammed:
        """A runner whose every word to the ledger waits, as behind a locked database."""

        def run(self, _job: Job, due: datetime) -> JobOutcome:
            gate.wait(20)
            released.append(due)
            return JobOutcome.DONE

        def missed(self, *_: object) -> None:
            gate.wait(20)

    bench.runner = Jammed()
    bench.job("tick")
    bench.go()
    await eventually(lambda: len(bench.overruns) >= 4, seconds=10.0)
    await asyncio.sleep(0.6)
    gate.set()
    await eventually(lambda: len(released) >= 3, seconds=10.0)
