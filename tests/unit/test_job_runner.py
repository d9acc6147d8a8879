"""One run of one job: its record in the real ledger, what the owner is told, what health says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from core.clock import VirtualClock
from core.domain.events import ErrorRaised
from core.domain.records import JobOutcome, JobRun
from core.domain.views import Health
from core.errors import Fatal, LeaseLost, Transient
from core.storage.store import Database
from jobs.runner import JobRunner
from jobs.schedule import Job, JobSkipped, Timebase, every
from jobs.table import GUARD, look_now
from tests.ledger_builders import START, ledger

DUE = START + timedelta(minutes=5)


class House:
    """A runner over a real ledger, with what it reports kept in lists."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock(START)
        self.database: Database = ledger(folder, self.clock)
        self.health: list[tuple[str, Health, str]] = []
        self.fatal: list[Fatal] = []
        self.factory: Callable[[], object] = self.database.unit_of_work
        self.runner = JobRunner(
            self._work,
            self.clock,
            self.clock,
            lambda *report: self.health.append(report),
            self.fatal.append,
        )

    def _work(self) -> Any:
        return self.factory()

    def run(self, work: Callable[[], str], name: str = "tick", *, recorded: bool = True) -> JobOutcome:
        period = every(timedelta(minutes=5))
        return self.runner.run(Job(name, period, Timebase.MARKET, 60.0, 0, lambda _due: work(), recorded=recorded), DUE)

    def last(self, name: str = "tick") -> JobRun | None:
        with self.database.reading() as work:
            return work.last_run(name)

    def errors(self) -> list[ErrorRaised]:
        with self.database.reading() as work:
            return [row.event for row in reversed(work.messages()) if isinstance(row.event, ErrorRaised)]


def raising(error: Exception) -> Callable[[], str]:
    def work() -> str:
        raise error

    return work


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    yield built
    built.database.close()


def test_a_run_that_is_done_leaves_its_due_time_and_its_line(house: House) -> None:
    def work() -> str:
        with house.database.reading() as open_work:
            (run,) = open_work.unfinished_jobs()
            assert (run.job, run.outcome, run.finished_at) == ("tick", JobOutcome.RUNNING, None)
        house.clock.advance(timedelta(seconds=3))
        return "8 bars"

    assert house.run(work) is JobOutcome.DONE
    run = house.last()
    assert run is not None
    assert (run.scheduled_at, run.outcome, run.detail) == (DUE, JobOutcome.DONE, "8 bars")
    assert run.finished_at == run.started_at + timedelta(seconds=3)
    assert house.health == [] and house.errors() == []


def test_a_skip_is_recorded_with_its_reason_and_is_no_failure(house: House) -> None:
    assert house.run(raising(JobSkipped("0 new rows"))) is JobOutcome.SKIPPED
    run = house.last()
    assert run is not None and (run.outcome, run.detail) == (JobOutcome.SKIPPED, "0 new rows")
    assert house.health == [] and house.errors() == []


def test_a_failure_is_told_once_per_cause_and_again_after_a_recovery(house: House) -> None:
    assert house.run(raising(Transient("no network"))) is JobOutcome.FAILED
    house.run(raising(Transient("no network")))
    assert [event.summary for event in house.errors()] == ["Transient: no network"]
    house.run(raising(ValueError("odd")))
    assert [event.summary for event in house.errors()] == ["Transient: no network", "ValueError: odd"]
    assert house.run(lambda: "fine") is JobOutcome.DONE
    house.run(lambda: "fine")
    house.run(raising(Transient("no network")))
    assert [event.summary for event in house.errors()][2:] == ["Transient: no network"]
    assert [(name, state) for name, state, _ in house.health] == [
        *[("tick", Health.DEGRADED)] * 3,
        ("tick", Health.RUNNING),
        ("tick", Health.DEGRADED),
    ]
    run = house.last()
    assert run is not None and (run.outcome, run.detail) == (JobOutcome.FAILED, "Transient: no network")


def test_two_jobs_failing_alike_are_told_of_separately(house: House) -> None:
    house.run(raising(Transient("no network")), "tick")
    house.run(raising(Transient("no network")), "retrain")
    assert [event.component for event in house.errors()] == ["tick", "retrain"]


def test_a_job_that_has_nothing_to_do_after_a_failure_works_again(house: House) -> None:
    house.run(raising(Transient("no network")))
    house.run(raising(JobSkipped("nothing")))
    assert house.health[-1] == ("tick", Health.RUNNING, "works again")


def test_a_fatal_error_is_passed_on_and_the_open_record_is_closed_at_the_next_start(house: House) -> None:
    fatal = Fatal("the ledger does not verify")
    assert house.run(raising(fatal)) is JobOutcome.FAILED
    assert house.fatal == [fatal]
    assert house.errors() == []
    assert house.runner.close_crashed() == 1
    run = house.last()
    assert run is not None
    assert (run.outcome, run.detail) == (JobOutcome.CRASHED, "the process ended during this run")
    assert run.finished_at == house.clock.now()
    assert house.runner.close_crashed() == 0


def test_a_lease_lost_while_a_record_is_written_is_fatal_too(house: House) -> None:
    def lost() -> object:
        raise LeaseLost("another process took over the ledger")

    house.factory = lost
    assert house.run(lambda: "never") is JobOutcome.FAILED
    assert [str(fatal) for fatal in house.fatal] == ["another process took over the ledger"]


def test_a_ledger_that_takes_no_record_shows_in_health_until_it_does_again(house: House) -> None:
    def full() -> object:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    before, house.factory = house.factory, full
    assert house.run(lambda: "done") is JobOutcome.FAILED
    assert house.health[-1][:2] == ("ledger", Health.DEGRADED)
    assert "disk is full" in house.health[-1][2]
    house.factory = before
    house.run(lambda: "done")
    assert house.health[-1] == ("ledger", Health.RUNNING, "takes records again")


def test_a_worker_taken_away_by_the_stop_is_no_news(house: House) -> None:
    house.runner.stopping()
    assert house.run(raising(Transient("the worker process died"))) is JobOutcome.CRASHED
    assert house.errors() == [] and house.health == []
    run = house.last()
    assert run is not None and run.detail == "cut short by the stop: the worker process died"


def test_frequent_jobs_leave_no_record_but_their_failures_are_told(house: House) -> None:
    house.run(lambda: "renewed", "lease", recorded=False)
    house.run(raising(Transient("busy")), "lease", recorded=False)
    assert house.last("lease") is None
    assert [event.component for event in house.errors()] == ["lease"]


def test_a_run_that_did_not_happen_is_recorded(house: House) -> None:
    job = Job("tick", every(timedelta(minutes=5)), Timebase.MARKET, 60.0, 0, lambda _due: "")
    house.runner.missed(job, DUE, JobOutcome.OVERRUN, "folded")
    run = house.last()
    assert run is not None
    assert (run.scheduled_at, run.outcome, run.detail) == (DUE, JobOutcome.OVERRUN, "folded")
    assert house.runner.close_crashed() == 0


def test_a_long_failure_text_is_cut_in_the_record(house: House) -> None:
    house.run(raising(ValueError("x" * 2_000)))
    run = house.last()
    assert run is not None and len(run.detail) == 500


def test_a_look_between_two_minutes_is_the_guards_run_of_this_second_and_leaves_no_record(house: House) -> None:
    due: list[datetime] = []

    def guard(at: datetime) -> str:
        due.append(at)
        if len(due) > 1:
            raise Transient("the venue is silent")
        return "looked"

    look = look_now(
        {GUARD: Job(GUARD, every(timedelta(minutes=1)), Timebase.MARKET, 50.0, 1, guard)}, house.runner, house.clock
    )
    house.clock.advance(timedelta(seconds=7, microseconds=9))
    look()
    assert (due, house.last(GUARD)) == ([START + timedelta(seconds=7)], None)
    look()
    look()
    assert [error.component for error in house.errors()] == [GUARD], "one cause, told once, by the minutes' name"
