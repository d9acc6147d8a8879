"""Runs one job and leaves a record of it: the boundary at which failures are told, counted and survived."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from core.domain.events import ErrorRaised
from core.domain.records import JobOutcome
from core.domain.views import Health
from core.errors import Fatal, Transient
from core.ports import Clock, UnitOfWorkFactory
from jobs.schedule import Job, JobSkipped

log = logging.getLogger(__name__)

ReportHealth = Callable[[str, Health, str], None]


class JobRunner:
    """A failed job is recorded, told to the owner once per cause, and counted in health; the next run starts afresh.

    Fatal errors are passed to `on_fatal`: the process then stops itself.
    """

    def __init__(
        self,
        unit_of_work: UnitOfWorkFactory,
        system_clock: Clock,
        market_clock: Clock,
        report_health: ReportHealth,
        on_fatal: Callable[[Fatal], None],
    ) -> None:
        self._unit_of_work = unit_of_work
        self._system = system_clock
        self._market = market_clock
        self._report_health = report_health
        self._on_fatal = on_fatal
        self._told: dict[str, str] = {}
        self._stopping = False
        self._is_recording = True
        self._lock = threading.Lock()

    def run(self, job: Job, due: datetime) -> JobOutcome:
        """Runs `job` as due at `due` (on its own timebase) and returns what became of it."""
        try:
            run_id = self._start(job, due) if job.recorded else None
            outcome, detail = self._outcome(job, due)
            if run_id is not None:
                self._finish(run_id, outcome, detail)
                self._recorded()
        except Fatal as fatal:
            log.critical("%s: %s", job.name, fatal)
            self._on_fatal(fatal)
            return JobOutcome.FAILED
        except Exception as error:
            log.error("%s could not be recorded", job.name, exc_info=error)
            self._is_recording = False
            self._report_health("ledger", Health.DEGRADED, f"{type(error).__name__}: {error}")
            return JobOutcome.FAILED
        log.log(logging.INFO if job.is_news else logging.DEBUG, "%s %s: %s", job.name, outcome, detail)
        return outcome

    def stopping(self) -> None:
        """From now on the worker may be taken from a run: that is no failure to tell of."""
        self._stopping = True

    def _outcome(self, job: Job, due: datetime) -> tuple[JobOutcome, str]:
        try:
            detail = job.run(due)
        except JobSkipped as skipped:
            self._recovered(job)
            return JobOutcome.SKIPPED, str(skipped)
        except Fatal:
            raise
        except Exception as error:  # noqa: BLE001 - the scheduler's boundary (DESIGN 6): recorded, told, counted
            if self._stopping and isinstance(error, Transient):
                return JobOutcome.CRASHED, f"cut short by the stop: {error}"
            detail = f"{type(error).__name__}: {error}"
            self._failed(job, error, detail)
            return JobOutcome.FAILED, detail
        self._recovered(job)
        return JobOutcome.DONE, detail

    def missed(self, job: Job, due: datetime, outcome: JobOutcome, detail: str) -> None:
        """Records a run that did not happen: overrun (the one before still ran) or missed (nobody was awake)."""
        log.warning("%s due %s %s: %s", job.name, due.isoformat(), outcome, detail)
        with self._unit_of_work() as work:
            work.record_job(job.name, due, self._system.now(), outcome, detail)
            work.commit("job.missed")

    def close_crashed(self) -> int:
        """Marks runs that a former process left open; returns how many."""
        with self._unit_of_work() as work:
            open_runs = work.unfinished_jobs()
            for run in open_runs:
                work.finish_job(run.id, self._system.now(), JobOutcome.CRASHED, "the process ended during this run")
            work.commit("job.closed")
        return len(open_runs)

    def _start(self, job: Job, due: datetime) -> int:
        with self._unit_of_work() as work:
            run_id = work.start_job(job.name, due, self._system.now())
            work.commit("job.start")
        return run_id

    def _finish(self, run_id: int, outcome: JobOutcome, detail: str) -> None:
        with self._unit_of_work() as work:
            work.finish_job(run_id, self._system.now(), outcome, detail[:500])
            work.commit("job.end")

    def _recorded(self) -> None:
        if not self._is_recording:
            self._is_recording = True
            self._report_health("ledger", Health.RUNNING, "takes records again")

    def _failed(self, job: Job, error: Exception, detail: str) -> None:
        log.error("%s failed", job.name, exc_info=error)
        self._report_health(job.name, Health.DEGRADED, detail)
        with self._lock:
            first_time = self._told.get(job.name) != detail
            self._told[job.name] = detail
        if not first_time:
            return
        later = "It will be tried again." if isinstance(error, Transient) else "The next run starts afresh."
        with self._unit_of_work() as work:
            work.publish(ErrorRaised(job.name, detail, later), market_time=self._market.now())
            work.commit("job.failed")

    def _recovered(self, job: Job) -> None:
        with self._lock:
            had_failed = self._told.pop(job.name, None)
        if had_failed is not None:
            self._report_health(job.name, Health.RUNNING, "works again")
