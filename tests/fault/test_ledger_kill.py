"""A process killed at any moment leaves a ledger that is whole: what was committed is there, the rest is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.storage.store import open_database
from tests.ledger_builders import START

WRITER = """
import sys
from core.clock import VirtualClock
from core.storage.store import open_database
from tests.ledger_builders import SIMULATED, START, a_decision, a_deposit, an_order

database = open_database(sys.argv[1], clock=VirtualClock(START))
database.lease().acquire(START)
for number in range(100_000):
    with database.unit_of_work() as uow:
        uow.add_account(SIMULATED)
        uow.add_order(an_order(f"at-{number}", symbol=f"S{number}"))
        uow.record_decision(a_decision(), recorded_at=START)
        uow.book(a_deposit(identity=f"c-{number}"), recorded_at=START)
        uow.commit()
    print(number + 1, flush=True)
"""


@pytest.mark.feature("S14")
@pytest.mark.parametrize("told", [1, 7, 40])
def test_a_killed_writer_leaves_every_commit_whole_and_frees_the_ledger(tmp_path: Path, told: int) -> None:
    path = tmp_path / "ledger.db"
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], cwd=root, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        for _ in range(told):
            child.stdout.readline()
        child.kill()
        committed = told + len(child.stdout.read().split())
    database = open_database(path)
    with database.reading() as uow:
        orders, entries = len(uow.orders(limit=10**6)), len(list(uow.entries()))
    assert database.verify() == []
    # The last commit may have happened without the child having said so.
    assert orders == entries
    assert committed <= entries <= committed + 1
    assert database.lease().acquire(START).fencing == 2
    database.close()
