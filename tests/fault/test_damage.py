"""A ledger that is not whole: found at the start, told in one message with the way back, and nothing is changed."""

from __future__ import annotations

import re
import shlex
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from bot.bootstrap import open_ledger
from bot.cli import main
from bot.worlds import LEDGER, TRYOUT, Place, choose_place
from core.clock import SystemClock, VirtualClock
from core.domain.accounts import World
from core.domain.events import HealthChanged
from core.errors import Fatal
from core.storage.backup import back_up
from core.storage.process import Holder
from core.storage.soundness import identity_of
from core.storage.store import Database, open_database
from core.storage.witness import witness_file
from tests.e2e.process import command
from tests.ledger_builders import MANUAL, SIMULATED, a_decision, a_deposit, a_model
from tests.series_builders import random_walk

NOW = SystemClock().now()
Spoil = Callable[[Path], object]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A ledger in order, with bars, a hundred links, and one backup from before the last ten of them; not in use."""
    (tmp_path / "data").mkdir()
    found = choose_place("real", False, None, tmp_path / "data", lambda: True)
    clock = VirtualClock(NOW - timedelta(hours=2))
    database = open_ledger(found, clock, durable=False)
    with database.unit_of_work() as work:
        for account in (SIMULATED, MANUAL):
            work.add_account(account)
        work.commit("founding")
    for number in range(90):
        record(database, number)
    database.bars.write(random_walk(count=5_000), "test")
    database.back_up()
    clock.advance(timedelta(hours=1))
    for number in range(90, 100):
        record(database, number)
    database.bear_witness()
    database.close()
    return found


def record(database: Database, number: int) -> None:
    at = NOW - timedelta(days=1, minutes=number)
    with database.unit_of_work() as work:
        work.book(a_deposit(identity=f"c-{number}"), recorded_at=at)
        work.record_decision(a_decision(at), recorded_at=at)
        work.commit("owner")


def ledger_of(place: Place) -> Path:
    return Path(place.database.removeprefix("sqlite:///"))


def refusal(place: Place) -> str:
    before = {path: path.read_bytes() for path in sorted(ledger_of(place).parent.rglob("*")) if path.is_file()}
    with pytest.raises(Fatal) as refused:
        open_ledger(place, SystemClock())
    after = {path: path.read_bytes() for path in sorted(ledger_of(place).parent.rglob("*")) if path.is_file()}
    assert {path: content for path, content in after.items() if not path.name.endswith("-shm")} == before
    return str(refused.value)


def overwritten_page(table: str) -> Spoil:
    def spoil(path: Path) -> None:
        with sqlite3.connect(path) as file:
            (page,) = file.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            (size,) = file.execute("PRAGMA page_size").fetchone()
        file.close()
        with path.open("rb+") as raw:
            raw.seek((page - 1) * size)
            raw.write(b"\xa5" * size)

    return spoil


def edited_link(path: Path) -> None:
    with sqlite3.connect(path) as file:
        for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            file.execute(f"DROP TRIGGER {name}")
        file.execute("UPDATE chain SET payload = replace(payload, '10000', '90000') WHERE seq = 199")
    file.close()


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.feature("S14")
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (overwritten_page("chain"), "it cannot be read|btreeInitPage|malformed"),
        (overwritten_page("orders"), "orders|malformed|btreeInitPage|cannot be read"),
        (edited_link, "link 199: its content is not what was recorded"),
        (cut_short, "it is cut short"),
        (lambda path: path.write_bytes(b""), "it is missing, though it was there"),
        (lambda path: path.unlink(), "it is missing, though it was there"),
        (lambda path: path.write_bytes(b"no database at all " * 999), "cannot be read|cut short"),
    ],
    ids=["page of the chain", "page of the orders", "edited link", "cut short", "emptied", "gone", "overwritten"],
)
def test_what_is_broken_is_found_at_the_start_and_the_command_that_mends_it_is_named(
    place: Place, spoil: Spoil, said: str
) -> None:
    path = ledger_of(place)
    (copy,) = (path.parent / "backups").iterdir()
    spoil(path)
    words = refusal(place)
    assert words.count("\n") <= 3
    assert "Nothing was changed" in words
    assert f"\n  autotrader doctor --restore {shlex.quote(str(copy))}\n" in words
    assert re.search(said, words)


def test_a_ledger_whose_log_is_gone_is_not_taken_for_whole(place: Place) -> None:
    """What was committed last stood in the log alone, as after a power cut."""
    path = ledger_of(place)
    database = open_database(path, clock=SystemClock())
    database.checkpoint_log()
    as_it_was = path.read_bytes()
    for number in range(100, 105):
        record(database, number)
    database.bear_witness()
    database.close()
    path.write_bytes(as_it_was)
    words = refusal(place)
    assert "it is older than it was at" in words
    # It is newer than the backup and whole in itself: better than the backup.
    assert f"autotrader doctor --restore {shlex.quote(str(path))}" in words


def test_the_program_itself_refuses_a_damaged_ledger_with_one_message_and_code_1(place: Place) -> None:
    path = ledger_of(place)
    cut_short(path)
    refused = command(path.parent.parent, "run", WORLD="real")
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr + refused.stdout
    assert refused.stderr.count("autotrader doctor --restore") == 1


def test_an_older_copy_put_there_by_hand_is_noticed_and_may_be_kept_by_the_command(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ledger_of(place)
    (copy,) = (path.parent / "backups").iterdir()
    path.write_bytes(copy.read_bytes())
    assert "older" in refusal(place)
    assert run_main(monkeypatch, path, "doctor", "--restore", str(path)) == 0
    assert "epoch 2" in capsys.readouterr().out
    database = open_ledger(place, SystemClock())
    assert database.installation().epoch == 2
    database.close()


def test_bars_that_are_broken_do_not_hold_up_the_start_but_are_found_by_the_daily_check(place: Place) -> None:
    overwritten_page("bars")(ledger_of(place))
    database = open_ledger(place, SystemClock())
    assert database.verify() != []
    with pytest.raises(Fatal, match=r"damaged(.|\n)*autotrader doctor --restore"):
        database.bars.read("SPY", random_walk().size, NOW, 10)
    database.close()


def test_without_a_whole_backup_it_says_how_to_begin_anew(place: Place) -> None:
    path = ledger_of(place)
    (copy,) = (path.parent / "backups").iterdir()
    for file in (path, copy):
        cut_short(file)
    words = refusal(place)
    assert "no backup that could be used" in words
    assert witness_file(path).name in words


def test_the_newest_backup_is_passed_over_where_it_is_broken_itself(place: Place) -> None:
    path = ledger_of(place)
    (good,) = (path.parent / "backups").iterdir()
    cut_short(back_up(path, NOW))
    path.unlink()
    assert str(good) in refusal(place)


# the commands


def run_main(monkeypatch: pytest.MonkeyPatch, path: Path, *words: str) -> int:
    monkeypatch.chdir(path.parent.parent)
    monkeypatch.setenv("STATE_DIR", str(path.parent.parent))
    return main([*words, "--offline"] if words == ("doctor",) else words)


@pytest.mark.feature("U4")
def test_the_doctor_finds_a_sound_installation_well(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, ledger_of(place), "doctor") == 0
    said = capsys.readouterr().out
    assert said.endswith("all is well\n")
    for word in (
        "python",
        "packages",
        "settings",
        "disk",
        "lease: free",
        "clock",
        "the newest 2 hours old",
        "200 links",
    ):
        assert word in said


@pytest.mark.feature("U4")
def test_the_doctor_says_what_is_wrong_and_what_to_do(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ledger_of(place)
    edited_link(path)
    (path.parent.parent / ".env").write_text("NOTHING_OF_OURS=1\n")
    assert run_main(monkeypatch, path, "doctor") == 1
    said = capsys.readouterr().out
    assert "link 199" in said and "autotrader doctor --restore" in said
    assert "NOTHING_OF_OURS" in said
    assert "need something done" in said


@pytest.mark.feature("U4")
def test_the_doctor_sees_a_missing_model_a_clock_set_back_and_a_broken_venue(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ledger_of(place)
    database = open_database(path, clock=VirtualClock(NOW + timedelta(days=2)))
    with database.unit_of_work() as work:
        work.add_model(a_model())
        work.publish(HealthChanged("yahoo", "DEGRADED", "no answer"), market_time=NOW)
        work.commit("model")
    database.close()
    assert place.venue_file is not None
    place.venue_file.write_bytes(b"no journal" * 1000)
    assert run_main(monkeypatch, path, "doctor") == 1
    said = capsys.readouterr().out
    assert "m1.joblib: the file is missing" in said
    assert "it is behind" in said
    assert "simulated_venue-tryout.sqlite" in said and "move" in said


def test_bad_settings_are_a_finding_of_the_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPEED", "fast")
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--offline"]) == 1
    assert "SPEED=fast" in capsys.readouterr().out


def contents(path: Path) -> dict[Path, bytes]:
    """The ledger's file and its log."""
    return {file: file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")) if "-shm" not in file.name}


def test_verifying_neither_migrates_nor_writes_and_names_the_first_broken_link(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ledger_of(place)
    database = open_database(path, clock=SystemClock())
    record(database, 100)
    before = contents(path)
    assert run_main(monkeypatch, path, "verify") == 0
    assert "verified, head" in capsys.readouterr().out
    assert contents(path) == before
    record(database, 101)
    database.close()
    edited_link(path)
    with sqlite3.connect(path) as file:
        file.execute("UPDATE alembic_version SET version_num = '0004'")
    file.close()
    kept = path.read_bytes()
    assert run_main(monkeypatch, path, "verify") == 1
    assert "  first: link 199: its content is not what was recorded" in capsys.readouterr().out
    assert path.read_bytes() == kept


def test_the_doctor_restores_the_backup_of_the_right_ledger(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ledger_of(place)
    other = open_database(path.with_name(LEDGER), clock=SystemClock())
    theirs = other.installation()
    other.close()
    (copy,) = [each for each in (path.parent / "backups").iterdir() if each.name.startswith("ledger-tryout")]
    elsewhere = path.parent / "saved elsewhere.db"
    copy.rename(elsewhere)
    path.write_bytes(b"gone")
    assert run_main(monkeypatch, path, "doctor", "--restore", str(elsewhere)) == 0
    said = capsys.readouterr().out
    assert f"{path} is now the backup of" in said and "report again" in said
    who = identity_of(path)
    assert who is not None and who.head.seq == 180
    untouched = open_database(path.with_name(LEDGER), clock=SystemClock())
    assert untouched.installation() == theirs
    untouched.close()
    database = open_ledger(place, SystemClock())
    assert database.verify() == []
    database.close()


def test_the_doctor_restores_onto_a_new_machine(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy,) = (ledger_of(place).parent / "backups").iterdir()
    (tmp_path / "new" / "data").mkdir(parents=True)
    saved = copy.rename(tmp_path / copy.name)
    assert run_main(monkeypatch, tmp_path / "new" / "data" / TRYOUT, "doctor", "--restore", str(saved)) == 0
    who = identity_of(tmp_path / "new" / "data" / TRYOUT)
    assert who is not None and who.world is World.REAL and who.epoch > 1


def test_the_doctor_restores_nothing_while_a_process_holds_the_ledger(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ledger_of(place)
    (copy,) = (path.parent / "backups").iterdir()
    database = open_database(path, clock=SystemClock())
    database.lease(Holder("another-host", "b", "p", 200, "1")).acquire(SystemClock().now())
    database.close()
    assert run_main(monkeypatch, path, "doctor", "--restore", str(copy)) == 1
    assert "process 200 on host another-host" in capsys.readouterr().err


@pytest.mark.parametrize("file", ["nowhere.db", "README.md"])
def test_what_is_no_backup_is_refused_in_one_line(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    (ledger_of(place).parent.parent / "README.md").write_text("words " * 100)
    assert run_main(monkeypatch, ledger_of(place), "doctor", "--restore", file) == 1
    assert capsys.readouterr().err.count("\n") == 1
