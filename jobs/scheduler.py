"""The live driver: APScheduler wakes each job of the table at its time; overruns and misfires are recorded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

from core.clock import ScaledClock, SystemClock
from core.domain.records import JobOutcome
from core.errors import Fatal
from jobs.runner import JobRunner
from jobs.schedule import Job, Timebase

log = logging.getLogger(__name__)

MarketClock = ScaledClock | SystemClock


class LiveScheduler:
    """Arms every job for its next due time; when that comes, arms the following one and runs it in a thread.

    A due time that comes while the run before is still going is folded into the next and recorded as an overrun;
    due times that passed while nobody was awake are recorded as missed, and only the newest is run.
    """

    def __init__(
        self,
        table: Sequence[Job],
        runner: JobRunner,
        system_clock: SystemClock,
        market_clock: MarketClock,
        on_overrun: Callable[[Job], None],
        on_fatal: Callable[[Fatal], None],
    ) -> None:
        self._table = {job.name: job for job in table}
        self._runner = runner
        self._system = system_clock
        self._market = market_clock
        self._on_overrun = on_overrun
        self._on_fatal = on_fatal
        self._running: dict[str, asyncio.Task[None]] = {}
        self._pool = ThreadPoolExecutor(max_workers=len(self._table) + 2, thread_name_prefix="job")
        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 4}
        )
        troubles = EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES
        self._scheduler.add_listener(self._apscheduler_failed, troubles)
        self._stopping = False

    def start(self) -> None:
        """Must be called inside the running event loop."""
        for job in self._table.values():
            self._arm(job, self._now(job))
        self._scheduler.start()

    async def stop(self) -> None:
        """Arms nothing more and waits for the runs that are under way."""
        self._stopping = True
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
            await asyncio.sleep(0)  # APScheduler shuts down in the loop's next turn
        pending = [task for task in self._running.values() if not task.done()]
        if pending:
            await asyncio.gather(*pending, return_exceptions=True)
        self._pool.shutdown(wait=True)

    def next_due(self, name: str) -> datetime:
        """When the job is due next, on its own timebase."""
        job = self._table[name]
        return job.rule(self._now(job))

    def _now(self, job: Job) -> datetime:
        return self._market.now() if job.timebase is Timebase.MARKET else self._system.now()

    def _arm(self, job: Job, after: datetime) -> None:
        self._arm_for(job, job.rule(after))

    def _arm_for(self, job: Job, due: datetime) -> None:
        wake = self._market.system_time(due) if job.timebase is Timebase.MARKET else due
        self._scheduler.add_job(
            self._wake, DateTrigger(wake, timezone="UTC"), args=[job.name, due], id=job.name, replace_existing=True
        )

    async def _wake(self, name: str, due: datetime) -> None:
        job = self._table[name]
        if self._stopping:
            return
        if self._now(job) < due:  # market time was slowed since this was armed: nothing may run ahead of it
            self._arm_for(job, due)
            return
        due = await self._newest_due(job, due)
        self._arm(job, due)
        former = self._running.get(name)
        if former is not None and not former.done():
            self._on_overrun(job)
            await self._record(job, due, JobOutcome.OVERRUN, "folded: the run before was still going")
            return
        self._running[name] = asyncio.create_task(self._run(job, due))

    async def _newest_due(self, job: Job, due: datetime) -> datetime:
        """Skips due times that have passed entirely, as after sleep; each gap is one record."""
        now, missed, first = self._now(job), 0, due
        while (following := job.rule(due)) <= now:
            due, missed = following, missed + 1
        speed = self._market.speed() if job.timebase is Timebase.MARKET else 1.0
        if missed and now - first > timedelta(seconds=2 * speed):
            await self._record(job, first, JobOutcome.MISSED, f"{missed} due times passed while nobody was awake")
        return due

    async def _record(self, job: Job, due: datetime, outcome: JobOutcome, detail: str) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._runner.missed, job, due, outcome, detail)
        except Fatal as fatal:
            # As after a sleep during which another process took the ledger: nothing is recorded, everything stops.
            self._on_fatal(fatal)

    async def _run(self, job: Job, due: datetime) -> None:
        loop = asyncio.get_running_loop()
        run = loop.run_in_executor(self._pool, self._runner.run, job, due)
        done, _ = await asyncio.wait([run], timeout=job.deadline)
        if not done:
            await self._record(job, due, JobOutcome.OVERRUN, f"still running after its {job.deadline:.0f} s deadline")
        await run

    def _apscheduler_failed(self, event: JobEvent) -> None:
        """A job whose waking failed, or was refused because too many wakings hang, is armed again."""
        error = getattr(event, "exception", None)
        log.error("scheduler could not start %s: %s", event.job_id, error or "its wakings hang")
        if isinstance(error, Fatal):
            self._on_fatal(error)
        elif event.job_id in self._table and self._scheduler.get_job(event.job_id) is None:
            self._arm(self._table[event.job_id], self._now(self._table[event.job_id]))
