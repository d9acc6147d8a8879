"""Files of bars: names, labels, overlaps and regular hours."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.adapters.calendars import ExchangeCalendar
from core.adapters.history_files import HistoryFiles
from core.domain.bars import BarSize
from core.domain.instruments import DEFAULT_SYMBOLS, AssetClass, instrument_for
from core.errors import DataFault
from core.quality import Defect
from tests.fakes_bars import needs_shared_data

SPY, BTC = instrument_for("SPY"), instrument_for("BTC-USD")
LATE = datetime(2030, 1, 1, tzinfo=UTC)
HEADER = "ts,open,high,low,close,volume\n"


@pytest.fixture(scope="module")
def calendar() -> ExchangeCalendar:
    return ExchangeCalendar()


@pytest.fixture(scope="module")
def real(calendar: ExchangeCalendar) -> HistoryFiles:
    return HistoryFiles(needs_shared_data.folder, calendar)


def put(folder: Path, name: str, *rows: tuple[str, float]) -> None:
    """A file of flat bars: (time, price)."""
    folder.mkdir(parents=True, exist_ok=True)
    text = HEADER + "".join(f"{at},{price},{price},{price},{price},10\n" for at, price in rows)
    if name.endswith(".gz"):
        (folder / name).write_bytes(gzip.compress(text.encode()))
    else:
        (folder / name).write_text(text)


def closes(files: HistoryFiles, symbol: str, size: BarSize) -> list[float]:
    series: list[float] = files.bars(instrument_for(symbol), size, LATE, 1_000).close.tolist()
    return series


def test_a_daily_label_becomes_the_sessions_open_and_close(tmp_path: Path, calendar: ExchangeCalendar) -> None:
    put(tmp_path, "SPY.csv", ("2024-11-27T00:00:00Z", 600.0), ("2024-11-29", 602.0))
    bar = HistoryFiles(tmp_path, calendar).bars(SPY, BarSize.D1, LATE, 5).bar(1)
    assert bar.opened_at == datetime(2024, 11, 29, 14, 30, tzinfo=UTC)
    assert bar.closed_at == datetime(2024, 11, 29, 18, tzinfo=UTC)


def test_binance_names_are_coins_in_dollars_and_a_file_of_the_own_name_wins(
    tmp_path: Path, calendar: ExchangeCalendar
) -> None:
    put(tmp_path / "daily", "BTC-USD.csv.gz", ("2024-01-01T00:00:00Z", 1.0))
    put(tmp_path / "daily", "BTCUSDT.binance-spot.csv.gz", ("2024-01-01T00:00:00Z", 2.0))
    put(tmp_path / "daily", "ETHUSDT.binance-spot.csv.gz", ("2024-01-01T00:00:00Z", 3.0))
    put(tmp_path / "intraday", "BTCUSDT.5m.binance-spot.2024.csv.gz", ("2024-01-01T00:00:00Z", 4.0))
    files = HistoryFiles(tmp_path, calendar)
    assert closes(files, "BTC-USD", BarSize.D1) == [1.0]
    assert closes(files, "ETH-USD", BarSize.D1) == [3.0]
    assert closes(files, "BTC-USD", BarSize.M5) == [4.0]
    assert files.symbols(BarSize.M5) == ("BTC-USD",)


def test_adjusted_and_prehistoric_and_strange_files_are_not_used(tmp_path: Path, calendar: ExchangeCalendar) -> None:
    for name in ("SPY.adj.csv", "BTC-USD.pre2014.csv", "SPY.15m.csv", "notes.txt"):
        put(tmp_path, name, ("2024-01-02", 1.0))
    files = HistoryFiles(tmp_path, calendar)
    assert all(files.symbols(size) == () for size in BarSize)
    with pytest.raises(DataFault, match="no file with 1d bars"):
        files.bars(SPY, BarSize.D1, LATE, 1)


def test_files_that_follow_each_other_or_agree_are_joined(tmp_path: Path, calendar: ExchangeCalendar) -> None:
    put(tmp_path, "BTC-USD.1h.a.csv", ("2024-01-01T00:00:00Z", 1.0), ("2024-01-01T01:00:00Z", 2.0))
    put(tmp_path, "BTC-USD.1h.b.csv", ("2024-01-01T01:00:00Z", 2.0), ("2024-01-01T02:00:00Z", 3.0))
    assert closes(HistoryFiles(tmp_path, calendar), "BTC-USD", BarSize.H1) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("second", [("2024-01-01T01:00:00Z", 2.5), ("2024-01-01T01:30:00Z", 2.0)])
def test_files_that_contradict_each_other_are_refused(
    tmp_path: Path, calendar: ExchangeCalendar, second: tuple[str, float]
) -> None:
    put(tmp_path, "BTC-USD.1h.a.csv", ("2024-01-01T00:00:00Z", 1.0), ("2024-01-01T01:00:00Z", 2.0))
    put(tmp_path, "BTC-USD.1h.b.csv", second, ("2024-01-01T03:00:00Z", 3.0))
    files = HistoryFiles(tmp_path, calendar)
    for _ in range(2):
        with pytest.raises(DataFault, match="differ where they overlap"):
            files.bars(BTC, BarSize.H1, LATE, 1)


def test_regular_hours_beat_extended_ones_and_bars_outside_sessions_are_left_out(
    tmp_path: Path, calendar: ExchangeCalendar
) -> None:
    put(tmp_path, "SPY.5m.rth.csv", ("2024-06-03T13:30:00Z", 1.0), ("2024-06-03T20:00:00Z", 9.0))
    put(
        tmp_path,
        "SPY.5m.extended.csv",
        ("2024-06-03T12:00:00Z", 5.0),
        ("2024-06-03T13:30:00Z", 6.0),
        ("2024-06-03T13:35:00Z", 7.0),
        ("2024-06-04T13:25:00Z", 8.0),
        ("2024-06-04T13:30:00Z", 2.0),
    )
    files = HistoryFiles(tmp_path, calendar)
    assert closes(files, "SPY", BarSize.M5) == [1.0, 2.0]
    assert [refusal.defect for refusal in files.refused()["SPY", BarSize.M5]] == [Defect.OFF_SESSION]


def test_bad_rows_are_refused_one_by_one_with_their_reason(tmp_path: Path, calendar: ExchangeCalendar) -> None:
    (tmp_path / "BTC-USD.csv").write_text(
        "Date,Close,High,Low,Open,Volume\n2024-01-01,1,1,1,1,1\n2024-01-02,x,1,1,1,1\nnever,1,1,1,1,1\n"
        "0007-01-01,1,1,1,1,1\n2024-01-03,2,2,2,2,2\n"
    )
    files = HistoryFiles(tmp_path, calendar)
    assert closes(files, "BTC-USD", BarSize.D1) == [1.0, 2.0]
    refused = files.refused()["BTC-USD", BarSize.D1]
    assert [refusal.defect for refusal in refused] == [Defect.TIMES, Defect.NOT_FINITE]
    assert refused[0].sentence == "BTC-USD 1d: 2 rows of BTC-USD.csv have no usable time"


@pytest.mark.parametrize("content", [b"", b"\x00\x01nonsense", b"ts,open\n1,2\n"])
def test_a_file_that_cannot_be_read_is_a_data_fault(tmp_path: Path, calendar: ExchangeCalendar, content: bytes) -> None:
    (tmp_path / "SPY.csv.gz").write_bytes(gzip.compress(content) if content.startswith(b"ts") else content)
    with pytest.raises(DataFault):
        HistoryFiles(tmp_path, calendar).span("SPY", BarSize.D1)


def test_what_is_handed_out_cannot_be_changed(tmp_path: Path, calendar: ExchangeCalendar) -> None:
    put(tmp_path, "SPY.csv", ("2024-06-03", 1.0))
    bars = HistoryFiles(tmp_path, calendar).bars(SPY, BarSize.D1, LATE, 1)
    with pytest.raises(ValueError, match="read-only"):
        bars.close[0] = 2.0


@needs_shared_data
@pytest.mark.shared_data
def test_the_eight_assets_have_their_daily_history(real: HistoryFiles, calendar: ExchangeCalendar) -> None:
    for symbol in DEFAULT_SYMBOLS:
        bars = real.bars(instrument_for(symbol), BarSize.D1, LATE, 100_000)
        assert len(bars) > 1_700
        assert real.refused()[symbol, BarSize.D1] == ()
        expected = calendar.bar_closes(instrument_for(symbol).asset_class, BarSize.D1, bars.opened_at)
        assert np.array_equal(expected, bars.closed_at)
    covid = real.bars(SPY, BarSize.D1, datetime(2020, 3, 23, 20, tzinfo=UTC), 1).bar(0)
    assert covid.close == pytest.approx(222.95, abs=0.005)
    peak = real.bars(BTC, BarSize.D1, datetime(2021, 11, 11, tzinfo=UTC), 1).bar(0)
    assert peak.close == pytest.approx(64995.23, abs=0.005)


@needs_shared_data
@pytest.mark.shared_data
def test_five_minute_bars_of_stocks_fill_their_sessions_also_half_days(
    real: HistoryFiles, calendar: ExchangeCalendar
) -> None:
    for day, count in (("2024-11-29", 42), ("2024-11-27", 78), ("2024-07-03", 42)):
        bounds = calendar.session_bounds(AssetClass.STOCK, datetime.fromisoformat(day).date())
        assert bounds is not None
        bars = real.bars(SPY, BarSize.M5, bounds[1], count)
        assert (bars.bar(0).opened_at, bars.bar(count - 1).closed_at) == bounds
    gap = real.bars(SPY, BarSize.M5, datetime(2023, 2, 11, tzinfo=UTC), 1).bar(0)
    assert gap.closed_at == datetime(2023, 2, 9, 21, tzinfo=UTC)


@needs_shared_data
@pytest.mark.shared_data
def test_contradicting_hourly_files_are_refused_with_the_moment(real: HistoryFiles) -> None:
    with pytest.raises(DataFault, match="two files of 1h bars differ where they overlap, first at"):
        real.bars(SPY, BarSize.H1, LATE, 1)


@needs_shared_data
@pytest.mark.shared_data
def test_an_outage_stays_a_gap(real: HistoryFiles) -> None:
    resumed = datetime(2018, 2, 9, 10, tzinfo=UTC)
    bars = real.bars(BTC, BarSize.H1, resumed + timedelta(hours=1), 2)
    assert bars.bar(1).opened_at == resumed
    assert bars.bar(0).opened_at == datetime(2018, 2, 8, 0, tzinfo=UTC)


@pytest.mark.feature("S2")
def test_a_size_without_a_file_is_made_of_the_finer_bars_that_are_there(
    tmp_path: Path, calendar: ExchangeCalendar
) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    minutes = [(f"{start + number * BarSize.M1.span:%Y-%m-%dT%H:%M:%SZ}", 1.0 + number) for number in range(1_447)]
    put(tmp_path, "BTC-USD.1m.csv", *minutes)
    files = HistoryFiles(tmp_path, calendar)
    assert closes(files, "BTC-USD", BarSize.D1) == [24.0 * 60]
    assert closes(files, "BTC-USD", BarSize.M5)[-2:] == [24.0 * 60, 24.0 * 60 + 5]
    put(tmp_path, "ETH-USD.5m.csv", ("2024-01-01T00:05:00Z", 1.0))
    with pytest.raises(DataFault, match="no whole 1d bar among its 5m bars"):
        HistoryFiles(tmp_path, calendar).bars(instrument_for("ETH-USD"), BarSize.D1, LATE, 1)
