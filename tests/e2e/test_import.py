"""autotrader import, as it is typed."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot import importing
from bot.cli import main
from core.adapters.calendars import ExchangeCalendar
from core.clock import SystemClock
from core.domain.bars import BarSize
from core.storage.process import Holder
from core.storage.store import Database, open_database

LATE = datetime(2030, 1, 1, tzinfo=UTC)
DAYS = ("2024-11-25", "2024-11-26", "2024-11-27", "2024-11-29", "2024-12-02")


@pytest.fixture(scope="module")
def calendar() -> ExchangeCalendar:
    return ExchangeCalendar()


@pytest.fixture
def state(tmp_path: Path, calendar: ExchangeCalendar, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(importing, "make_calendar", lambda: calendar)
    for name in ("TELEGRAM_BOT_TOKEN", "WORLD", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    put(folder / "SPY.csv")
    put(folder / "QQQ.csv", bad="2024-12-03,5,1,9,5,10\n")
    (folder / "VTI.csv").write_text("Date,Close,Volume\n2001-06-15,36.1,1067400\n")
    (folder / "SPY.adj.csv").write_text("")
    (folder / "events").mkdir()
    return folder


def put(path: Path, price: float = 600.0, bad: str = "") -> None:
    rows = "".join(
        f"{day},{price + n},{price + n + 2},{price + n - 2},{price + n + 1},1000\n" for n, day in enumerate(DAYS)
    )
    path.write_text("Date,Open,High,Low,Close,Volume\n" + rows + bad)


def ledger(state: Path, name: str = "ledger-tryout.sqlite") -> Database:
    return open_database(state / "data" / name)


def stored(state: Path, symbol: str, name: str = "ledger-tryout.sqlite") -> list[float]:
    database = ledger(state, name)
    try:
        closes: list[float] = database.bars.read(symbol, BarSize.D1, LATE, 100).close.tolist()
        return closes
    finally:
        database.close()


@pytest.mark.feature("S2")
def test_a_folder_is_taken_and_the_report_tells_what_was_not(
    state: Path, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(files)]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert "ok    SPY.csv: SPY 1d, 5 rows (a header with our names): 5 taken" in lines
    assert "ok    QQQ.csv: QQQ 1d, 6 rows (a header with our names): 5 taken, 1 refused" in lines
    assert lines[lines.index("      1 inconsistent:") + 1].startswith("        QQQ 1d bar closing 2024-12-03 21:00Z")
    assert "no    VTI.csv: no column is named open, high, low" in lines
    assert any(line.startswith("-     SPY.adj.csv: not used: its prices have dividends") for line in lines)
    assert "not looked into: the folders events" in lines
    assert lines[-1] == "4 files: 2 read, 1 not used, 1 refused. 10 bars taken, 0 already there, 1 refused."
    assert stored(state, "SPY") == [601.0, 602.0, 603.0, 604.0, 605.0]
    database = ledger(state)
    assert database.bars.source_of("SPY", BarSize.D1) == "files"
    assert database.bars.refusals() == {("QQQ", BarSize.D1): {"inconsistent": 1}}
    database.close()


@pytest.mark.feature("S2")
def test_a_second_run_reads_no_file_that_was_taken_and_all_that_has_changed(
    state: Path, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["import", str(files)])
    capsys.readouterr()
    # Unreadable by now: that it is not looked into is all that keeps it from being refused.
    facts = (files / "SPY.csv").stat()
    (files / "SPY.csv").write_text("nonsense".ljust(facts.st_size))
    os.utime(files / "SPY.csv", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    # The same file with another time of change is known by its hash.
    os.utime(files / "QQQ.csv", ns=(0, 0))
    (files / "VTI.csv").unlink()
    assert main(["import", str(files)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("done  ") for line in lines) == 2
    os.utime(files / "SPY.csv", ns=(0, 1))
    assert main(["import", str(files)]) == 3
    assert "no    SPY.csv: " in capsys.readouterr().out


def test_again_reads_what_was_taken_and_finds_it_there(
    state: Path, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["import", str(files / "SPY.csv")])
    assert main(["import", str(files / "SPY.csv"), "--again"]) == 0
    assert "0 taken, 5 already there" in capsys.readouterr().out


@pytest.mark.feature("S2")
def test_a_rehearsal_writes_nothing_and_says_what_a_run_would_do(
    state: Path, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(files / "SPY.other.csv", price=700.0)
    assert main(["import", str(files), "--dry-run"]) == 3
    rehearsed = capsys.readouterr().out
    assert not state.exists()
    assert "5 would be taken" in rehearsed
    assert "10 bars would be taken (nothing was written)" in rehearsed
    assert main(["import", str(files)]) == 3
    real = capsys.readouterr().out
    assert rehearsed.replace("would be taken (nothing was written)", "taken").replace("would be taken", "taken") == real
    assert "SPY.other.csv: 5 of its 1d bars differ from what another file brought" in real
    assert main(["import", str(files), "--dry-run"]) == 3
    assert "10 bars" not in capsys.readouterr().out


@pytest.mark.feature("S2")
def test_while_an_engine_holds_the_ledger_nothing_is_imported_and_a_rehearsal_still_works(
    state: Path, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / "data").mkdir(parents=True)
    database = ledger(state)
    with database.unit_of_work() as work:
        work.set_value("engine", "here")
        work.commit("seed")
    another = Holder("elsewhere", "boot", "pid:[1]", 4_242, 1)
    lease = database.lease(another)
    lease.acquire(SystemClock().now())
    assert main(["import", str(files)]) == 1
    assert "the ledger is held by process 4242 on host elsewhere" in capsys.readouterr().err
    assert main(["import", str(files), "--dry-run"]) == 3
    assert database.bars.newest_close("SPY", BarSize.D1) is None
    lease.release()
    database.close()
    assert main(["import", str(files)]) == 3
    assert main(["import", str(files)]) == 3


def test_what_a_single_file_holds_can_be_said(state: Path, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(files / "my export.csv")
    assert main(["import", str(files / "my export.csv")]) == 3
    assert "say it with --symbol" in capsys.readouterr().out
    assert main(["import", str(files / "my export.csv"), "--symbol", "iwm", "--size", "1d"]) == 0
    assert stored(state, "IWM")[-1] == 605.0
    # Said otherwise it is another file.
    assert main(["import", str(files / "my export.csv"), "--symbol", "DIA"]) == 0
    assert stored(state, "DIA")[-1] == 605.0


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["nowhere"], "nowhere is not there"),
        (["files", "--symbol", "SPY"], "--symbol and --size are for a single file"),
        (["files/events"], "holds no file of bars"),
        (["files/SPY.csv", "--symbol", "a b"], "this is no symbol"),
        (["files/SPY.csv", "--zone", "Mars"], "there is no time zone of this name"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_touched(
    state: Path, files: Path, words: list[str], refusal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", *words]) == 1
    assert refusal in capsys.readouterr().err
    assert not state.exists()


def test_real_prices_never_get_into_a_simulated_installation(
    state: Path, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / "data").mkdir(parents=True)
    (state / "data" / "ledger-simulated.sqlite").touch()
    assert main(["import", str(files)]) == 1
    assert "real prices are never mixed with simulated ones" in capsys.readouterr().err
    monkeypatch.setenv("WORLD", "real")
    assert main(["import", str(files)]) == 3
    assert len(stored(state, "SPY")) == 5
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "123456789:" + "A" * 35)
    monkeypatch.setenv("WORLD", "auto")
    assert main(["import", str(files)]) == 3
    assert len(stored(state, "SPY", "ledger.sqlite")) == 5


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_shows_how_far_it_is_on_a_terminal_and_nowhere_else(
    state: Path, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["import", str(files)])
    assert capsys.readouterr().err == ""
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    main(["import", str(files), "--again"])
    assert "import: 100%" in screen.getvalue()
