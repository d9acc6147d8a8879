"""A replay through the whole system: the same twice, the same with and without idle runs, honest about bad files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from bot import replay_report
from bot.replay import Replay, ReplayOptions, ReplayResult
from core.adapters.calendars import ExchangeCalendar
from core.domain.bars import BarSize
from core.domain.instruments import AssetClass
from core.errors import Fatal
from core.settings import Settings, load_settings
from jobs.worker import SpawnedWorker

SPY, BTC = "SPY", "BTC-USD"
# Narrow limits and a willing model: much happens in a short period.
EAGER = {
    "MODEL_TREES": "10",
    "MIN_PROBABILITY": "0.45",
    "STOP_LOSS": "0.004",
    "TAKE_PROFIT": "0.006",
    "MIN_TRADE_GAP_MINUTES": "0",
    "RETRAIN_MIN_NEW_LABELS": "100000",
    "TIME_ZONE": "UTC",
}


def settings(folder: Path, **changes: str) -> Settings:
    return load_settings({**EAGER, "STATE_DIR": str(folder), **changes}, None)


def options(
    first: str,
    last: str,
    bar: BarSize = BarSize.D1,
    data: Path | None = None,
    symbols: tuple[str, ...] = (SPY, BTC),
    every_tick: bool = False,
) -> ReplayOptions:
    return ReplayOptions(data, date.fromisoformat(first), date.fromisoformat(last), bar, symbols, 7, every_tick)


class SharedWorker(SpawnedWorker):
    """Lives on from replay to replay: most of a short one would be the loading of scikit-learn."""

    def stop(self) -> None:
        """The fixture does, at the end."""


@pytest.fixture(scope="module", autouse=True)
def worker() -> Iterator[None]:
    shared = SharedWorker(keep=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bot.replay.SpawnedWorker", lambda keep: shared)
        yield
    SpawnedWorker.stop(shared)


def played(folder: Path, chosen: ReplayOptions) -> ReplayResult:
    replay = Replay(settings(folder), chosen)
    try:
        return replay.play(lambda _now: None)
    finally:
        replay.close()


WEEKS = options("2026-01-05", "2026-01-23")
ONE_DAY = options("2026-05-05", "2026-05-05", BarSize.M5)


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> ReplayResult:
    return played(tmp_path_factory.mktemp("weeks"), WEEKS)


@pytest.fixture(scope="module")
def one_day(tmp_path_factory: pytest.TempPathFactory) -> ReplayResult:
    return played(tmp_path_factory.mktemp("day"), ONE_DAY)


def test_a_replay_trades_and_keeps_account_of_it(weeks: ReplayResult) -> None:
    assert weeks.trainings == 1
    assert weeks.portfolio.closed
    assert weeks.portfolio.fees > 0
    assert weeks.equity[0].equity == 10_000
    assert weeks.equity[0].at == datetime(2026, 1, 5, 21, tzinfo=UTC)
    assert weeks.equity[-1].at == datetime(2026, 1, 24, tzinfo=UTC)
    assert weeks.holding is not None
    assert weeks.messages > 2 * len(weeks.portfolio.closed)


@pytest.mark.feature("S18")
def test_the_same_replay_again_is_the_same_to_the_last_hash(
    weeks: ReplayResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not the process that has trained before.
    monkeypatch.setattr("bot.replay.SpawnedWorker", SpawnedWorker)
    again = played(tmp_path, WEEKS)
    assert again.ledger_head == weeks.ledger_head
    assert again.portfolio == weeks.portfolio
    assert list(again.equity) == list(weeks.equity)
    assert (again.strategy, again.holding) == (weeks.strategy, weeks.holding)
    assert (again.runs, again.messages) == (weeks.runs, weeks.messages)


def test_the_runs_that_are_skipped_could_have_changed_nothing(one_day: ReplayResult, tmp_path: Path) -> None:
    full = played(tmp_path, options("2026-05-05", "2026-05-05", BarSize.M5, every_tick=True))
    assert full.runs > 1.3 * one_day.runs
    assert one_day.portfolio.closed
    assert full.portfolio.closed == one_day.portfolio.closed
    assert full.portfolio.positions == one_day.portfolio.positions
    assert full.portfolio.cash == one_day.portfolio.cash
    assert full.ledger_head == one_day.ledger_head
    assert list(full.equity) == list(one_day.equity)


def rows_of(symbol: str, first: date, last: date, seed: int) -> list[str]:
    """A random walk in the form of the vendors' files: one row a session, labelled 00:00Z of its date."""
    calendar, draw = ExchangeCalendar(), np.random.default_rng(seed)
    kind = AssetClass.CRYPTO if symbol == BTC else AssetClass.STOCK
    rows, price, day = [], 400.0, first
    while day <= last:
        if calendar.session_bounds(kind, day) is not None:
            close = price * float(np.exp(draw.normal(0.0005, 0.01)))
            high, low = max(price, close) * 1.004, min(price, close) * 0.996
            rows.append(f"{day}T00:00:00Z,{price:.4f},{high:.4f},{low:.4f},{close:.4f},{draw.integers(900, 9000)}")
            price = close
        day += timedelta(days=1)
    return rows


def write(folder: Path, name: str, rows: list[str]) -> None:
    (folder / "daily").mkdir(parents=True, exist_ok=True)
    (folder / "daily" / name).write_text("ts,open,high,low,close,volume\n" + "\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vendor")
    for seed, symbol in enumerate((SPY, BTC)):
        write(folder, f"{symbol}.csv", rows_of(symbol, date(2021, 6, 1), date(2024, 3, 15), seed))
    return folder


def test_files_of_a_vendor_are_replayed_as_real_prices(vendor: Path, tmp_path: Path) -> None:
    result = played(tmp_path, options("2024-02-05", "2024-02-23", data=vendor))
    assert result.trainings == 1
    assert result.equity[-1].at == datetime(2024, 2, 24, tzinfo=UTC)
    assert result.portfolio.closed or result.portfolio.positions


@pytest.fixture
def damaged(vendor: Path, tmp_path: Path) -> Path:
    """The same files with rows as vendors break them, inside the period that is replayed."""
    folder = tmp_path / "damaged"
    for symbol in (SPY, BTC):
        rows = (vendor / "daily" / f"{symbol}.csv").read_text().splitlines()[1:]
        write(folder, f"{symbol}.csv", rows)
    rows = (folder / "daily" / "SPY.csv").read_text().splitlines()[1:]
    last = next(number for number, row in enumerate(rows) if row.startswith("2024-02-20"))
    stamp = rows[last].split(",")[0]
    rows[last] = f"{stamp},nan,nan,nan,nan,nan"
    rows[last + 1] = rows[last + 1].replace(",", ",-", 1)
    rows.insert(last + 3, rows[last + 2])
    rows.insert(last + 5, f"{rows[last + 4].split(',')[0]},1,1,1,1,1")
    write(folder, "SPY.csv", rows)
    return folder


def test_bad_rows_are_left_out_and_said(damaged: Path, tmp_path: Path) -> None:
    result = played(tmp_path, options("2024-02-16", "2024-02-27", data=damaged))
    assert result.equity[-1].at == datetime(2024, 2, 28, tzinfo=UTC)
    assert all(point.equity > 9_000 for point in result.equity)
    (line,) = result.left_out
    # NaN, a negative open, and both of two rows that differ; a row that is there twice alike is taken once.
    assert line.startswith("4 rows of SPY 1d not used; the first: SPY 1d bar closing 2024-02-20 21:00Z: not finite")
    assert line in replay_report.words(result, "", 1.0)
    assert "Without contests of recipes, which a live run holds each month" in replay_report.words(result, "", 1.0)
    assert "2 contests of recipes." in replay_report.words(replace(result, contests=2), "", 1.0)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (options("2026-03-10", "2026-03-09"), "lies before"),
        (options("2031-01-04", "2031-01-05", symbols=(SPY,)), "no 1d bars between 2031-01-04"),
        (options("2024-03-01", "2024-03-05", data=Path("/nowhere/at/all")), "no such folder"),
    ],
)
def test_a_period_without_bars_and_a_missing_folder_are_refused_in_words(
    tmp_path: Path, chosen: ReplayOptions, words: str
) -> None:
    with pytest.raises(Fatal, match=words):
        Replay(settings(tmp_path), chosen)


@pytest.mark.parametrize(
    ("first", "symbols", "words"),
    [
        ("2024-03-01", (SPY, "NOPE"), "NOPE cannot be replayed: no file with 1d bars"),
        ("2024-06-01", (SPY,), "no 1d bars between 2024-06-01"),
        ("2019-01-01", (SPY,), "no 1d bars between 2019-01-01"),
    ],
)
def test_what_the_files_do_not_hold_is_refused_in_words(
    vendor: Path, tmp_path: Path, first: str, symbols: tuple[str, ...], words: str
) -> None:
    last = (date.fromisoformat(first) + timedelta(days=5)).isoformat()
    with pytest.raises(Fatal, match=words):
        Replay(settings(tmp_path), options(first, last, data=vendor, symbols=symbols))
