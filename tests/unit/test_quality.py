"""The gate for bars, on genuine defects and on genuine crashes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.adapters.calendars import ExchangeCalendar
from core.adapters.history_files import HistoryFiles
from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from core.errors import DataFault
from core.quality import Defect, inspect
from core.series import BarSeries, time_of
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


def walk(size: BarSize, count: int, symbol: str = BTC) -> BarSeries:
    """Bars that wander a little, none like another, with lively volumes."""
    chance = np.random.default_rng(7)
    series = steady_series(symbol, size, START, count)
    close = 100 * np.exp(np.cumsum(chance.normal(0, 0.004, count)))
    opened = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(opened, close) * 1.002, np.minimum(opened, close) * 0.998
    return replace(series, open=opened, high=high, low=low, close=close, volume=chance.lognormal(6, 0.6, count))


def repeated(series: BarSeries, row: int, times: int, *, volume: float | None = None) -> BarSeries:
    """From `row` on the same bar `times` more, as a feed gives it that stands still."""
    columns = {}
    for name in ("open", "high", "low", "close", "volume"):
        column = getattr(series, name).copy()
        column[row + 1 : row + 1 + times] = column[row]
        columns[name] = column
    if volume is not None:
        columns["volume"][row : row + 1 + times] = volume
    return replace(series, **columns)


@pytest.mark.feature("S2")
def test_a_feed_that_gives_the_same_bar_again_and_again_is_stale_from_the_first_repetition() -> None:
    inspection = inspect(repeated(walk(BarSize.M5, 40), 20, 3))
    assert [refusal.defect for refusal in inspection.refused] == [Defect.STALE] * 3
    assert "once more the very numbers of the bar before" in inspection.refused[0].sentence
    assert inspect(repeated(walk(BarSize.M5, 40), 20, 2)).refused == ()


@pytest.mark.feature("S2")
def test_a_coin_without_trades_may_stand_still_for_two_hours_and_a_fund_for_days() -> None:
    assert inspect(repeated(walk(BarSize.M5, 60), 20, 23, volume=0)).refused == ()
    assert {each.defect for each in inspect(repeated(walk(BarSize.M5, 60), 20, 24, volume=0)).refused} == {Defect.STALE}
    assert inspect(repeated(walk(BarSize.D1, 60), 20, 34, volume=0)).refused == ()


@pytest.mark.feature("S2")
def test_repetitions_that_come_one_at_a_time_are_stale_once_there_are_too_many() -> None:
    series = repeated(walk(BarSize.M5, 40), 20, 3)
    assert inspect(series.part(slice(21, 24)), known=series.part(slice(0, 21))).refused != ()
    assert inspect(series.part(slice(22, 23)), known=series.part(slice(0, 22))).refused == ()


@pytest.mark.feature("S2")
@pytest.mark.parametrize("factor", [60_000.0, 2_000.0, 1 / 2_000])
def test_bars_whose_volume_is_counted_in_another_unit_are_refused_from_there_on(factor: float) -> None:
    series = walk(BarSize.M5, 60)
    changed = replace(series, volume=np.where(np.arange(60) >= 40, series.volume * factor, series.volume))
    inspection = inspect(changed)
    assert [refusal.defect for refusal in inspection.refused] == [Defect.VOLUME_UNIT] * 20
    assert "volumes are of another order than before" in inspection.refused[0].sentence
    stored, more = changed.part(slice(0, 40)), changed.part(slice(40, 46))
    assert {refusal.defect for refusal in inspect(more, known=stored).refused} == {Defect.VOLUME_UNIT}


def test_a_busy_hour_is_no_other_unit() -> None:
    series = walk(BarSize.M5, 60)
    busy = np.where((np.arange(60) >= 40) & (np.arange(60) < 52), 12 * series.volume, series.volume)
    assert inspect(replace(series, volume=busy)).refused == ()


@pytest.mark.feature("S2")
@pytest.mark.parametrize(("size", "factor"), [(BarSize.M5, 1.25), (BarSize.H1, 1.5), (BarSize.D1, 2.1)])
def test_the_newest_bar_waits_for_the_next_one_where_it_jumped(size: BarSize, factor: float) -> None:
    series = walk(size, 30)
    end = series.bar(29).closed_at
    jumped = with_value(with_value(series, "close", 29, series.close[28] / factor), "low", 29, 1.0)
    inspection = inspect(jumped, end)
    assert [refusal.defect for refusal in inspection.refused] == [Defect.UNCONFIRMED]
    assert "it counts when the next bar agrees" in inspection.refused[0].sentence
    assert inspect(jumped).refused == ()


def test_after_days_without_a_bar_any_distance_is_believed() -> None:
    old = walk(BarSize.D1, 30)
    later = 5 * 86_400
    new = old.part(slice(0, 1))
    far = replace(
        new,
        opened_at=old.opened_at[-1:] + later + 86_400,
        closed_at=old.closed_at[-1:] + later + 86_400,
        open=new.open * 9,
        high=new.high * 9,
        low=new.low * 9,
        close=new.close * 9,
    )
    assert inspect(far, time_of(far.closed_at[0]), old).refused == ()


@needs_shared_data
@pytest.mark.shared_data
@pytest.mark.feature("S2")
@pytest.mark.parametrize(
    ("file", "days"),
    [("AUDUSD.1d.spike.csv.gz", ["2006-12-25", "2006-12-26"]), ("IDR.1d.spike.csv.gz", ["2010-11-01"])],
)
def test_genuine_spikes_are_refused_and_nothing_beside_them(file: str, days: list[str]) -> None:
    """Currencies, which no exchange's calendar knows."""
    table = pd.read_csv(needs_shared_data.folder / "bad" / file)
    labels = pd.to_datetime(table["ts"], utc=True).dt.as_unit("s").astype("int64").to_numpy()
    columns = (table[name].to_numpy(np.float64) for name in ("open", "high", "low", "close", "volume"))
    inspection = inspect(BarSeries(file, BarSize.D1, labels, labels + 86_400, *columns))
    spikes = [refusal.at for refusal in inspection.refused if refusal.defect is Defect.SPIKE]
    assert [f"{at - timedelta(days=1):%Y-%m-%d}" for at in spikes] == days
    assert {refusal.defect for refusal in inspection.refused} <= {Defect.SPIKE, Defect.INCONSISTENT}


@needs_shared_data
@pytest.mark.shared_data
@pytest.mark.feature("S2")
def test_genuinely_shifted_times_are_found_beside_the_true_series(bad: HistoryFiles) -> None:
    end = datetime(2025, 1, 1, tzinfo=UTC)
    shifted = bad.bars(instrument_for(BTC), BarSize.H1, end, 100_000)
    files = HistoryFiles(needs_shared_data.folder, ExchangeCalendar())
    known = files.bars(instrument_for(BTC), BarSize.H1, time_of(shifted.closed_at[-1]), 400)
    inspection = inspect(shifted, known=known)
    assert {refusal.defect for refusal in inspection.refused} == {Defect.SHIFTED}
    assert len(inspection.refused) == len(shifted)
    assert "for 8 hours earlier" in inspection.refused[0].sentence
