"""One process holds the ledger at a time, and one that lost it can write nothing more."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.errors import Fatal, LeaseLost
from core.storage.lease import TTL
from core.storage.process import Holder, is_provably_dead, this_process
from core.storage.store import Database, open_database
from tests.ledger_builders import START, a_deposit, ledger, write
from tests.series_builders import random_walk

MINUTE = timedelta(minutes=1)
HERE = Holder("pi", "boot-1", "pid:[1]", 100, "5000")
OTHER_HOST = Holder("laptop", "boot-9", "pid:[1]", 200, "7000")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = ledger(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def second(database: Database) -> Iterator[Database]:
    opened = open_database(database.path, durable=False)
    yield opened
    opened.close()


def test_a_lease_lasts_thirty_seconds_and_can_be_renewed(database: Database) -> None:
    keeper = database.lease(HERE)
    taken = keeper.acquire(START)
    assert (taken.holder, taken.pid, taken.fencing, taken.expires_at) == ("pi:100", 100, 1, START + TTL)
    renewed = keeper.renew(START + timedelta(seconds=20))
    assert (renewed.fencing, renewed.expires_at) == (1, START + timedelta(seconds=50))


@pytest.mark.feature("S14")
def test_a_second_process_is_refused_and_told_who_holds_the_ledger_since_when(
    database: Database, second: Database
) -> None:
    database.lease(OTHER_HOST).acquire(START)
    with pytest.raises(Fatal, match=r"process 200 on host laptop since 2024-03-01 15:00:00"):
        second.lease(HERE).acquire(START + timedelta(seconds=29))


def test_an_expired_lease_may_be_taken_and_the_fencing_number_rises(database: Database, second: Database) -> None:
    database.lease(OTHER_HOST).acquire(START)
    assert second.lease(HERE).acquire(START + TTL).fencing == 2


def test_a_released_lease_may_be_taken_at_once(database: Database, second: Database) -> None:
    keeper = database.lease(OTHER_HOST)
    keeper.acquire(START)
    keeper.release()
    assert second.lease(HERE).acquire(START).fencing == 2
    keeper.release()
    with pytest.raises(Fatal):
        database.lease(OTHER_HOST).acquire(START)


def test_a_lease_of_this_machine_whose_process_has_ended_may_be_taken_at_once(
    database: Database, second: Database
) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    here = this_process()
    started = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
    holder = replace(here, pid=child.pid, started=started)
    database.lease(holder).acquire(START)
    with pytest.raises(Fatal, match=f"process {child.pid} "):
        second.lease().acquire(START)
    child.kill()
    # Not yet waited for, the child is a zombie: it has a process entry but will never write again.
    for _ in range(1000):
        if is_provably_dead(holder, here):
            break
        threading.Event().wait(0.005)
    assert second.lease().acquire(START).fencing == 2
    assert child.stdin is not None
    child.stdin.close()
    child.wait()
    assert is_provably_dead(holder, here)


@pytest.mark.parametrize(
    "elsewhere",
    [{"host": "another"}, {"boot_id": "another"}, {"pid_namespace": "another"}],
    ids=["host", "boot", "container"],
)
def test_a_holder_whose_pids_cannot_be_seen_is_not_taken_for_dead(elsewhere: dict[str, str]) -> None:
    here = this_process()
    gone = replace(here, pid=2**22 + 7, started="1")
    assert is_provably_dead(gone, here)
    assert not is_provably_dead(replace(gone, **elsewhere), here)


def test_a_number_given_to_another_process_since_does_not_keep_the_lease() -> None:
    here = this_process()
    assert not is_provably_dead(here, here)
    assert is_provably_dead(replace(here, started="1"), here)


def test_a_process_that_was_fenced_out_can_neither_commit_nor_renew(database: Database, second: Database) -> None:
    keeper = database.lease(OTHER_HOST)
    keeper.acquire(START)
    write(database, lambda uow: uow.book(a_deposit(), recorded_at=START))
    second.lease(HERE).acquire(START + MINUTE)
    with database.unit_of_work() as uow:
        uow.book(a_deposit(identity="c-2"), recorded_at=START)
        with pytest.raises(LeaseLost):
            uow.commit()
    with pytest.raises(LeaseLost):
        keeper.renew(START + MINUTE)
    with second.reading() as uow:
        assert list(uow.entries()) == [a_deposit()]
    write(second, lambda uow: uow.book(a_deposit(identity="c-3"), recorded_at=START))


def test_a_late_process_whose_lease_nobody_took_goes_on(database: Database) -> None:
    keeper = database.lease(HERE)
    keeper.acquire(START)
    assert keeper.renew(START + 10 * MINUTE).fencing == 1
    write(database, lambda uow: uow.book(a_deposit(), recorded_at=START))


def test_renewing_without_a_lease_is_refused(database: Database) -> None:
    with pytest.raises(LeaseLost):
        database.lease(HERE).renew(START)


def test_before_anything_leaves_the_process_the_lease_is_asked_for_whatever_the_clock_says(
    database: Database, second: Database
) -> None:
    keeper = database.lease(OTHER_HOST)
    keeper.acquire(START)
    keeper.check(START + timedelta(seconds=5))
    second.lease(HERE).acquire(START + MINUTE)
    for moment in (START - MINUTE, START + timedelta(seconds=5), START + MINUTE):
        with pytest.raises(LeaseLost):
            keeper.check(moment)


def test_a_lease_that_soon_runs_out_is_renewed_before_anything_is_sent(database: Database, second: Database) -> None:
    keeper = database.lease(OTHER_HOST)
    keeper.acquire(START)
    keeper.check(START + timedelta(seconds=25))
    with pytest.raises(Fatal, match="process 200"):
        second.lease(HERE).acquire(START + timedelta(seconds=50))


def test_a_clock_set_back_does_not_hand_the_lease_to_a_second_process_while_the_first_renews(
    database: Database, second: Database
) -> None:
    keeper = database.lease(OTHER_HOST)
    keeper.acquire(START)
    earlier = START - 10 * MINUTE

    def renewed_meanwhile(seconds: float) -> None:
        assert seconds == TTL.total_seconds()
        keeper.renew(earlier)

    with pytest.raises(Fatal, match="process 200"):
        second.lease(HERE, sleep=renewed_meanwhile).acquire(earlier)


def test_a_lease_written_before_the_clock_was_set_back_ends_when_nobody_renews_it(
    database: Database, second: Database
) -> None:
    database.lease(OTHER_HOST).acquire(START)
    slept: list[float] = []
    assert second.lease(HERE, sleep=slept.append).acquire(START - 60 * MINUTE).fencing == 2
    assert slept == [30.0]


def test_a_clock_set_forward_may_hand_the_lease_on_and_the_first_process_is_fenced_out(
    database: Database, second: Database
) -> None:
    keeper = database.lease(OTHER_HOST)
    keeper.acquire(START)
    second.lease(HERE).acquire(START + 60 * MINUTE)
    with pytest.raises(LeaseLost):
        keeper.check(START + timedelta(seconds=1))


def test_bars_and_records_of_runs_are_fenced_too(database: Database, second: Database) -> None:
    database.lease(OTHER_HOST).acquire(START)
    second.lease(HERE).acquire(START + MINUTE)
    with pytest.raises(LeaseLost):
        database.bars.write(random_walk(5), "yahoo")
    with pytest.raises(LeaseLost):
        database.forget_runs(START)
    with pytest.raises(LeaseLost):
        database.begin_epoch(2)
    assert second.installation().epoch == 1
