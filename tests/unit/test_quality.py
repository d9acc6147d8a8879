"""The gate for bars, on genuine defects and on genuine crashes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.adapters.calendars import ExchangeCalendar
from core.adapters.history_files import HistoryFiles
from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from core.errors import DataFault
from core.quality import Defect, inspect
from core.series import BarSeries
from tests.fakes_bars import needs_shared_data, steady_series

START = datetime(2024, 6, 3, tzinfo=UTC)
BTC = "BTC-USD"


@pytest.fixture(scope="module")
def bad() -> HistoryFiles:
    return HistoryFiles(needs_shared_data.folder / "bad", ExchangeCalendar())


def with_value(series: BarSeries, column: str, row: int, value: float) -> BarSeries:
    changed = getattr(series, column).copy()
    changed[row] = value
    return replace(series, **{column: changed})


@pytest.mark.parametrize(
    ("column", "value", "defect"),
    [
        ("close", float("nan"), Defect.NOT_FINITE),
        ("volume", float("inf"), Defect.NOT_FINITE),
        ("open", 0.0, Defect.NOT_POSITIVE),
        ("low", -1.0, Defect.NOT_POSITIVE),
        ("volume", -5.0, Defect.NOT_POSITIVE),
        ("high", 101.0, Defect.INCONSISTENT),
        ("low", 104.0, Defect.INCONSISTENT),
        ("opened_at", 4e9, Defect.TIMES),
    ],
)
def test_a_bar_with_an_impossible_value_is_refused_alone_and_with_its_reason(
    column: str, value: float, defect: Defect
) -> None:
    series = with_value(steady_series(BTC, BarSize.M5, START, 6), column, 2, value)
    inspection = inspect(series)
    assert [refusal.defect for refusal in inspection.refused] == [defect]
    assert inspection.refused[0].at == START + timedelta(minutes=15)
    assert "BTC-USD 5m bar closing 2024-06-03 00:15Z" in inspection.refused[0].sentence
    assert len(inspection.good) == 5


def test_noise_of_thirty_two_bit_floats_is_no_inconsistency() -> None:
    series = steady_series(BTC, BarSize.M5, START, 3)
    flat = replace(series, high=series.close * (1 - 1e-7), low=series.open * (1 + 1e-7))
    assert inspect(flat).refused == ()


def test_a_bar_that_closes_after_the_moment_of_asking_is_refused() -> None:
    inspection = inspect(steady_series(BTC, BarSize.M5, START, 4), START + timedelta(minutes=12))
    assert len(inspection.good) == 2
    assert {refusal.defect for refusal in inspection.refused} == {Defect.FUTURE}


def test_bars_out_of_order_are_sorted_and_exact_repetitions_dropped() -> None:
    series = steady_series(BTC, BarSize.M5, START, 5)
    shuffled = series.part(np.array([3, 0, 1, 1, 4, 2, 3]))
    inspection = inspect(shuffled)
    assert inspection.refused == ()
    assert (inspection.good.closed_at == series.closed_at).all()
    assert (inspection.out_of_order, inspection.repeated) == (2, 2)


def test_of_two_different_bars_of_one_time_neither_is_taken() -> None:
    series = steady_series(BTC, BarSize.M5, START, 5).part(np.array([0, 1, 2, 2, 3, 4]))
    inspection = inspect(with_value(series, "close", 3, 102.5))
    assert [refusal.defect for refusal in inspection.refused] == [Defect.CONFLICT, Defect.CONFLICT]
    assert len(inspection.good) == 4


def test_an_empty_series_passes() -> None:
    assert len(inspect(BarSeries.empty(BTC, BarSize.D1)).good) == 0


@needs_shared_data
@pytest.mark.shared_data
def test_genuine_defects_are_refused_and_the_rest_is_kept(bad: HistoryFiles) -> None:
    end = datetime(2025, 1, 1, tzinfo=UTC)
    ada = bad.bars(instrument_for("ADA-USD"), BarSize.D1, end, 10_000)
    assert len(ada) > 0
    assert {refusal.defect for refusal in bad.refused()["ADA-USD", BarSize.D1]} == {Defect.NOT_FINITE}
    mkc = bad.bars(instrument_for("MKC"), BarSize.D1, end, 10_000)
    assert len(mkc) == 276 - 208
    assert {refusal.defect for refusal in bad.refused()["MKC", BarSize.D1]} == {Defect.NOT_POSITIVE}
    bad.bars(instrument_for("RUB"), BarSize.D1, end, 10_000)
    reasons = [refusal.sentence for refusal in bad.refused()["RUB", BarSize.D1]]
    assert any("2016-01-06" in reason and "close 0.7162" in reason for reason in reasons)


@needs_shared_data
@pytest.mark.shared_data
def test_genuinely_shuffled_and_repeated_bars_come_out_in_order(bad: HistoryFiles) -> None:
    series = bad.bars(instrument_for("BTC-USD"), BarSize.M5, datetime(2025, 1, 1, tzinfo=UTC), 100_000)
    assert len(series) > 900
    assert (np.diff(series.closed_at) > 0).all()


@needs_shared_data
@pytest.mark.shared_data
def test_shifted_times_show_as_bars_from_the_future(bad: HistoryFiles) -> None:
    series = bad.bars(instrument_for("BTC-USD"), BarSize.H1, datetime(2025, 1, 1, tzinfo=UTC), 100_000)
    true_end = series.bar(len(series) - 1).closed_at - timedelta(hours=8)
    assert [refusal.defect for refusal in inspect(series, true_end).refused] == [Defect.FUTURE] * 8


@needs_shared_data
@pytest.mark.shared_data
def test_a_file_without_prices_is_a_fault_of_that_symbol(bad: HistoryFiles, tmp_path: Path) -> None:
    with pytest.raises(DataFault, match="has no column open, high, low"):
        bad.span("RAW_CLOSE_VOLUME_ONLY_VTI", BarSize.D1)


@needs_shared_data
@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("symbol", "size", "day", "fall"),
    [
        ("SPY", BarSize.D1, "2020-03-16", 0.10),
        ("BTC-USD", BarSize.D1, "2020-03-12", 0.35),
        ("BTC-USD", BarSize.M5, "2023-08-17", 0.05),
    ],
)
def test_real_crashes_pass(symbol: str, size: BarSize, day: str, fall: float) -> None:
    files = HistoryFiles(needs_shared_data.folder, ExchangeCalendar())
    end = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
    series = files.bars(instrument_for(symbol), size, end, 288)
    assert files.refused()[symbol, size] == ()
    assert (series.low[1:] / series.close[:-1]).min() < 1 - fall
