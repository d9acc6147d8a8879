"""The process as the owner starts it: ready, alone on its ledger, resumed, stopped at any moment, killed."""

from __future__ import annotations

import re
import signal
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.domain.accounts import Account, AccountKind, World
from core.domain.decisions import Brake, BrakeKind
from core.domain.orders import OrderState
from core.storage.store import open_database
from tests.e2e.process import Orchestrator, Phone, command, is_running, until
from tests.ledger_builders import a_deposit, a_fill, an_instruction, an_order

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

MARKET_TIME = datetime(2026, 6, 3, 15, 0, tzinfo=UTC)
LEDGER = Path("data") / "ledger-simulated.sqlite"
SCOUTING = "looking through the simulated market"


def keep_something(folder: Path) -> None:
    """A ledger as a former life left it: a coin held, a card open, entries paused, market time standing."""
    (folder / "data").mkdir()
    now = SystemClock().now()
    database = open_database(folder / LEDGER, world=World.SIMULATED)
    card = an_instruction(1, created_at=now, expires_at=now + timedelta(hours=6))
    order = an_order(
        card.client_order_id,
        account="manual",
        state=OrderState.AWAITING_OWNER,
        created_at=MARKET_TIME,
        reference_price=card.price,
    )
    bought = a_fill(
        "manual:1", account="manual", symbol="BTC-USD", quantity=Decimal("0.05"), price=Decimal(60_000), at=MARKET_TIME
    )
    with database.unit_of_work() as work:
        work.add_account(Account("manual", AccountKind.MANUAL, World.SIMULATED))
        deposit = replace(a_deposit("10000", "play-money", "manual"), at=MARKET_TIME)
        for entry in (deposit, bought):
            work.book(entry, recorded_at=now)
        work.add_order(order)
        work.save_instruction(card)
        work.set_brake(Brake(BrakeKind.PAUSED, "*", "you paused", now))
        for key, value in (("market_time", MARKET_TIME), ("last_seen", now), ("welcomed", now)):
            work.set_value(key, value.isoformat())
        work.set_value("market_seed", "1")
        work.commit()
    database.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("installation")
    keep_something(made)
    return made


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Orchestrator]:
    life = Orchestrator(folder)
    try:
        yield life.until_ready()
    finally:
        life.clear_away()


@pytest.fixture(scope="module")
def phone(running: Orchestrator) -> Iterator[Phone]:
    line = running.phone()
    yield line
    line.close()


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Orchestrator]:
    """A first start in an empty folder; not yet ready."""
    life = Orchestrator(tmp_path)
    try:
        yield life
    finally:
        life.clear_away()


def no_trace_of_trouble(life: Orchestrator) -> None:
    assert "Traceback" not in life.console
    assert "never retrieved" not in life.console


def test_the_start_goes_through_its_seven_steps_and_prints_where_the_phone_is(running: Orchestrator) -> None:
    assert re.findall(r"\[(\d)/7\]", running.console) == list("1234567")
    assert "Your phone:  http://127.0.0.1:" in running.console
    no_trace_of_trouble(running)


def test_what_a_former_life_left_is_still_there(phone: Phone) -> None:
    assert "paused" in phone.ask("/status", "RUNNING").lower()
    assert "0.05" in phone.ask("/positions", "BTC-USD")
    assert "SPY" in phone.ask("/pending", "SPY")


def test_the_log_is_one_file_a_day_and_holds_neither_key_nor_token(
    folder: Path, running: Orchestrator, phone: Phone
) -> None:
    (log,) = (folder / "logs").iterdir()
    assert log.name == f"master_orchestrator_{SystemClock().now():%Y%m%d}.log"
    text = log.read_text(encoding="utf-8")
    assert "Ready in" in text
    assert len(phone.key) >= 32 and phone.key not in text
    assert re.search(r"\d{3,}:[A-Za-z0-9_-]{30,}", text) is None


def test_the_health_check_knows_that_it_runs_and_where_nothing_does(
    running: Orchestrator, folder: Path, tmp_path: Path
) -> None:
    here = command(folder, "healthcheck")
    assert (here.returncode, f"process {running.process.pid}" in here.stdout) == (0, True)
    elsewhere = command(tmp_path, "healthcheck")
    assert elsewhere.returncode == 1 and "not running" in elsewhere.stdout


def test_a_second_instance_is_refused_naming_the_process_that_holds_the_ledger(
    running: Orchestrator, folder: Path
) -> None:
    second = command(folder, "run")
    assert second.returncode == 1
    assert f"process {running.process.pid} " in second.stderr
    assert "Traceback" not in second.stderr
    assert running.process.poll() is None


def test_a_running_ledger_can_be_verified(running: Orchestrator, folder: Path) -> None:
    found = command(folder, "verify")
    assert (found.returncode, "verified" in found.stdout) == (0, True), found.stdout + found.stderr


def test_sigterm_ends_it_in_seconds_and_the_next_start_resumes(folder: Path, running: Orchestrator) -> None:
    assert running.stop(signal.SIGTERM) == 0
    assert running.console.rstrip().endswith("stopped")
    no_trace_of_trouble(running)
    before = stored(folder, "market_time")
    again = Orchestrator(folder)
    try:
        line = again.until_ready().phone()
        assert SCOUTING not in again.console
        assert "model" in again.console and "same again" not in again.console
        assert stored(folder, "market_time") >= before >= MARKET_TIME.isoformat()
        assert "paused" in line.ask("/status", "RUNNING").lower()
        assert "0.05" in line.ask("/positions", "BTC-USD")
        line.close()
        assert again.stop(signal.SIGINT) == 0
        no_trace_of_trouble(again)
    finally:
        again.clear_away()


def test_an_edited_row_is_found(folder: Path, running: Orchestrator) -> None:
    assert running.process.poll() is not None, "runs after the test that stops it"
    with sqlite3.connect(folder / LEDGER) as ledger:
        guards = ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'fills'")
        for (name,) in guards.fetchall():
            ledger.execute(f"DROP TRIGGER {name}")
        ledger.execute("UPDATE fills SET price = '1' WHERE id = 'manual:1'")
    ledger.close()
    found = command(folder, "verify")
    assert found.returncode == 1
    assert "fills" in found.stdout and "price" in found.stdout
    assert "Traceback" not in found.stderr


def stored(folder: Path, key: str) -> str:
    database = open_database(folder / LEDGER)
    with database.reading() as work:
        value = work.value(key)
    database.close()
    assert value is not None
    return value


def is_training(life: Orchestrator) -> set[int]:
    """The worker's processes once it is at work."""
    life.until_said(SCOUTING)
    return {int(pid) for pid in until(life.family, 20, "no worker was started")}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_the_first_start_trains_is_obeyed_at_once(new: Orchestrator, number: signal.Signals) -> None:
    workers = is_training(new)
    assert new.stop(number, seconds=10) == 0
    no_trace_of_trouble(new)
    assert "stopped before the start was complete" in new.console
    until(lambda: not any(is_running(pid) for pid in workers), 5, "a worker lives on")


def test_a_stop_while_the_program_is_still_loading_shows_no_traceback(new: Orchestrator) -> None:
    loaded = Path(f"/proc/{new.process.pid}/maps")
    until(lambda: "numpy" in loaded.read_text(), 20, "never ran")
    assert new.stop(signal.SIGINT, seconds=10) in (0, 130)
    no_trace_of_trouble(new)


def test_a_killed_process_leaves_no_worker_and_no_lock_behind(new: Orchestrator, tmp_path: Path) -> None:
    workers = is_training(new)
    new.process.kill()
    new.process.wait()
    until(lambda: not any(is_running(pid) for pid in workers), 10, "a worker lives on")
    next_life = Orchestrator(tmp_path)
    try:
        next_life.until_said(SCOUTING)
        assert next_life.stop(signal.SIGINT, seconds=10) == 0
    finally:
        next_life.clear_away()


def test_all_bad_settings_are_refused_at_once_in_words(tmp_path: Path) -> None:
    refused = command(tmp_path, "run", SPEED="fast", MODEL_TREES="1", SYMBOLS=",", TELEGRAM_BOT_TOKEN="12:secret")
    assert refused.returncode == 1
    for name in ("SPEED", "MODEL_TREES", "SYMBOLS", "TELEGRAM_BOT_TOKEN"):
        assert f"{name}=" in refused.stderr
    assert "Traceback" not in refused.stderr and "12:secret" not in refused.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("words", "settings", "said"),
    [
        (("run", "--speed", "0"), {}, "SPEED=0"),
        (("run", "--env-file", "nowhere.env"), {}, "nowhere.env"),
        (("run",), {"TELEGRAM_BOT_TOKEN": "123456789:" + "a" * 35}, "WORLD=simulated"),
        (("run",), {"LOCAL_PHONE": "off"}, "no way to reach you"),
        (("verify",), {}, "there is no ledger"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(
    tmp_path: Path, words: tuple[str, ...], settings: dict[str, str], said: str
) -> None:
    refused = command(tmp_path, *words, **settings)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
