"""SIGSTOP beyond the lease, a second start, SIGCONT: the first process writes and sends nothing more, and says why."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.clock import SystemClock
from core.storage.process import Holder
from core.storage.store import open_database
from tests.e2e.process import Orchestrator, until
from tests.fault.crashing import ROOT
from tests.fault.kill_setup import START
from tests.fault.sleeper import LEDGER, WAITS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

VENUE = Path("data") / "simulated_venue-simulated.sqlite"
PHONE = Path("data") / "phone.sqlite"
STRANGER = Holder("another-host", "boot-9", "pid:[1]", 200, "7000")
LEASE_SECONDS = 31.0


def content(file: Path, skipped: frozenset[str] = frozenset()) -> dict[str, list[Any]]:
    """Every row of every table but those of the `skipped` ones."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in names if name not in skipped}


def waits(process: subprocess.Popen[Any], folder: Path) -> bool:
    assert process.poll() is None, f"ended with {process.returncode} before it was stopped"
    return (folder / WAITS).exists()


def life(folder: Path, seed: int, ticks: int, place: str = "") -> subprocess.Popen[bytes]:
    """What it has to say goes to `<seed>.txt`."""
    with (folder / f"{seed}.txt").open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.fault.sleeper", str(folder), str(seed), str(ticks), place],
            cwd=ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            stderr=said,
        )


def let_the_lease_run_out(folder: Path) -> None:
    """In virtual time: somebody takes the ledger minutes later, and hands it back."""
    database = open_database(folder / LEDGER)
    keeper = database.lease(STRANGER)
    keeper.acquire(START + timedelta(hours=1))
    keeper.release()
    database.close()


def kept(folder: Path) -> dict[str, Any]:
    """What ledger, venue and chat hold; the owner's file too."""
    return {
        "ledger": content(folder / LEDGER),
        "venue": content(folder / VENUE),
        "chat": (folder / "chat.jsonl").read_text(encoding="utf-8").splitlines(),
        "file": (folder / "signals" / "manual_trades.json").read_text(encoding="utf-8"),
    }


def sends(folder: Path) -> Counter[str]:
    """How often each order id was submitted at the venue."""
    rows = content(folder / VENUE)["events"]
    submitted = [json.loads(body)["request"]["client_order_id"] for _, kind, _, body in rows if kind == "submitted"]
    return Counter(submitted)


@pytest.mark.timeout(240)
@pytest.mark.feature("S14")
@pytest.mark.parametrize(
    "place",
    [
        "intents.after_commit with orders",
        pytest.param("submit.before_call", marks=pytest.mark.long),
        pytest.param("cycle.start", marks=pytest.mark.long),
        pytest.param("outbox.claim.after_commit", marks=pytest.mark.long),
    ],
)
def test_a_process_stopped_anywhere_does_nothing_more_once_a_second_one_has_taken_over(
    tmp_path: Path, place: str
) -> None:
    first = life(tmp_path, seed=1, ticks=60, place=place)
    try:
        until(lambda: waits(first, tmp_path), 90, f"{place} was not reached")
        stop_between_two_writes(first, tmp_path, (LEDGER, VENUE))
        (tmp_path / WAITS).unlink()
        before = kept_at_rest(tmp_path)
        let_the_lease_run_out(tmp_path)
        second = life(tmp_path, seed=2, ticks=12)
        assert second.wait(100) == 0, (tmp_path / "2.txt").read_text()
        traded = kept(tmp_path)
        first.send_signal(signal.SIGCONT)
        first.wait(60)
    finally:
        if first.poll() is None:
            first.kill()
            first.wait()
    assert kept(tmp_path) == traded
    assert first.returncode == 1
    said = (tmp_path / "1.txt").read_text()
    assert "stopped: another process took over the ledger" in said
    assert "Traceback" not in said
    assert set(sends(tmp_path).values()) == {1}
    after, earlier = traded["ledger"], before["ledger"]
    grown = {name: len(after[name]) - len(earlier[name]) for name in ("orders", "fills", "outbox")}
    print(f"\nstopped at {place}; the second life added {grown}, the first one nothing in {len(after)} tables after it")
    assert grown["orders"] > 0 and grown["outbox"] > 0


@pytest.mark.long
@pytest.mark.timeout(240)
@pytest.mark.feature("S14")
def test_a_process_asleep_in_a_transaction_keeps_a_second_one_out_and_goes_on_when_it_wakes(tmp_path: Path) -> None:
    first = life(tmp_path, seed=1, ticks=60, place="reconcile.before_commit")
    try:
        until(lambda: waits(first, tmp_path), 90, "the place was not reached")
        first.send_signal(signal.SIGSTOP)
        until(lambda: is_stopped(first), 20, "it runs on after SIGSTOP")
        assert not is_free(tmp_path / LEDGER)
        second = life(tmp_path, seed=2, ticks=12)
        assert second.wait(100) != 0
        assert "another process is writing to ledger-simulated.sqlite" in (tmp_path / "2.txt").read_text()
        (tmp_path / WAITS).unlink()
        first.send_signal(signal.SIGCONT)
        assert first.wait(100) == 0, (tmp_path / "1.txt").read_text()
    finally:
        if first.poll() is None:
            first.kill()
            first.wait()
    assert set(sends(tmp_path).values()) == {1}


def kept_at_rest(folder: Path) -> dict[str, Any]:
    return {"ledger": content(folder / LEDGER)}


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.feature("S14")
def test_the_product_itself_stopped_beyond_its_lease_gives_way_to_a_second_start(tmp_path: Path) -> None:
    """Real processes, the real lease of thirty seconds, the local phone. While the first one wakes the second is
    stopped for a moment, so that whatever changes then would be the first one's doing."""
    first = Orchestrator(tmp_path).until_ready()
    second = None
    try:
        line = first.phone()
        line.ask("/status", "RUNNING")
        line.close()
        stop_between_two_writes(first.process, tmp_path, (LEDGER, VENUE, PHONE))
        SystemClock().sleep(LEASE_SECONDS)
        second = Orchestrator(tmp_path, output="second.txt").until_ready()
        line = second.phone()
        line.ask("/positions", "osition")
        told = len(line.told())
        stop_between_two_writes(second.process, tmp_path, (LEDGER, VENUE, PHONE))
        before = everything(tmp_path)
        first.process.send_signal(signal.SIGCONT)
        assert first.process.wait(60) == 1
        assert everything(tmp_path) == before
        assert "stopped: another process took over the ledger" in first.console
        assert "Traceback" not in first.console
        second.process.send_signal(signal.SIGCONT)
        line.ask("/status", "RUNNING")
        assert len(line.told()) > told
        line.close()
        assert second.stop() == 0
        rows = {name: len(found) for name, found in before["ledger"].items()}
        print(f"\nstopped for {LEASE_SECONDS:.0f} s; after it woke nothing changed in {rows}, {told} messages told")
    finally:
        for each in (first, second):
            if each is not None:
                each.clear_away()


def stop_between_two_writes(process: subprocess.Popen[Any], folder: Path, files: tuple[Path, ...]) -> None:
    """Stopped in the middle of one, a process keeps the file's lock: nobody takes over until it wakes or ends."""

    def stopped() -> bool:
        process.send_signal(signal.SIGSTOP)
        until(lambda: is_stopped(process), 20, "it runs on after SIGSTOP")
        if all(is_free(folder / file) for file in files):
            return True
        process.send_signal(signal.SIGCONT)
        return False

    until(stopped, 20, "it never stopped writing")


def is_stopped(process: subprocess.Popen[Any]) -> bool:
    """Every thread of it: they stop one after another."""
    states = [
        each.read_text().rpartition(")")[2].split()[0] for each in Path(f"/proc/{process.pid}/task").glob("*/stat")
    ]
    return set(states) == {"T"}


def is_free(file: Path) -> bool:
    """Whether nobody holds its write lock."""
    with closing(sqlite3.connect(file, timeout=0.1, isolation_level=None)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        database.execute("ROLLBACK")
    return True


def everything(folder: Path) -> dict[str, Any]:
    files = {name: folder / file for name, file in (("ledger", LEDGER), ("venue", VENUE), ("phone", PHONE))}
    return {name: content(file) for name, file in files.items()} | {
        "heartbeat": (folder / "data" / "health.json").read_text(encoding="utf-8")
    }
