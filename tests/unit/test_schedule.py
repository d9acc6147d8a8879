"""When jobs are due, and the order in which virtual time runs them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ScaledClock, SystemClock, VirtualClock
from jobs.schedule import Job, Timebase, every
from jobs.virtual import VirtualDriver

START = datetime(2024, 3, 8, 14, 0, tzinfo=UTC)


def job(name, rule, log, rank=0, idle=lambda due: False):
    return Job(name, rule, Timebase.MARKET, 60.0, rank, lambda due: log.append((name, due)) or "", idle)


class PlainRunner:
    def run(self, job, due):
        return job.run(due)


def test_a_rule_gives_the_first_due_time_strictly_after():
    rule = every(timedelta(minutes=5))
    assert rule(START) == START + timedelta(minutes=5)
    assert rule(START + timedelta(seconds=1)) == START + timedelta(minutes=5)
    assert every(timedelta(hours=1), timedelta(minutes=1))(START) == START + timedelta(minutes=1)


@given(st.integers(946_684_800, 2_208_988_800), st.integers(1, 86_400))
def test_due_times_never_repeat_and_never_drift(second, seconds):
    moment = datetime.fromtimestamp(second, UTC)
    rule = every(timedelta(seconds=seconds))
    first = rule(moment)
    assert moment < first <= moment + timedelta(seconds=seconds)
    assert rule(first) - first == timedelta(seconds=seconds)


def test_virtual_time_runs_jobs_in_order_of_time_then_rank():
    log = []
    table = [job("guard", every(timedelta(minutes=1)), log, rank=1), job("tick", every(timedelta(minutes=2)), log)]
    VirtualDriver(table, PlainRunner(), VirtualClock(START)).run(START + timedelta(minutes=2))
    assert [name for name, _ in log] == ["guard", "tick", "guard"]
    assert log[-1][1] == START + timedelta(minutes=2)


def test_virtual_time_shows_each_job_its_due_time_and_ends_where_asked():
    clock, seen = VirtualClock(START), []
    tick = every(timedelta(minutes=5))
    table = [Job("tick", tick, Timebase.MARKET, 1, 0, lambda due: seen.append(clock.now()) or "")]
    VirtualDriver(table, PlainRunner(), clock).run(START + timedelta(minutes=12))
    assert seen == [START + timedelta(minutes=5), START + timedelta(minutes=10)]
    assert clock.now() == START + timedelta(minutes=12)


def test_idle_runs_are_skipped_unless_every_tick_is_asked_for():
    log = []
    table = [job("tick", every(timedelta(minutes=5)), log, idle=lambda due: due.minute % 10 != 0)]
    VirtualDriver(table, PlainRunner(), VirtualClock(START)).run(START + timedelta(minutes=20))
    assert len(log) == 2
    VirtualDriver(table, PlainRunner(), VirtualClock(START), skip_idle=False).run(START + timedelta(minutes=20))
    assert len(log) == 6


def test_a_virtual_clock_does_not_go_back():
    clock = VirtualClock(START)
    with pytest.raises(ValueError, match="go back"):
        clock.move_to(START - timedelta(seconds=1))


class SteppedSystem(SystemClock):
    def __init__(self):
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self):
        return self.moment


def test_scaled_time_runs_faster_without_jumping_when_the_speed_changes():
    system = SteppedSystem()
    clock = ScaledClock(system, START, 60)
    system.moment += timedelta(seconds=5)
    assert clock.now() == START + timedelta(minutes=5)
    clock.set_speed(30)
    assert clock.now() == START + timedelta(minutes=5)
    system.moment += timedelta(seconds=2)
    assert clock.now() == START + timedelta(minutes=6)
    assert clock.system_time(START + timedelta(minutes=7)) == system.moment + timedelta(seconds=2)
