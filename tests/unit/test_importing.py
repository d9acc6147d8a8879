"""Bars of a file beside those that are stored: what is taken, what is refused, and where two sources meet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from core.domain.bar_records import SeamKind
from core.domain.bars import BarSize
from core.errors import DataFault
from core.feed.importing import SOURCE, Held, Plan, batches, plan
from core.quality import Defect
from core.series import BarSeries, concatenated, seconds_of

NOW = datetime(2026, 3, 2, tzinfo=UTC)
START = seconds_of(datetime(2026, 1, 1, tzinfo=UTC))
NOTHING = Held(BarSeries.empty("BTC-USD", BarSize.M5), ())


def bars(first: int, last: int, factor: float = 1.0, volume: float = 1.0) -> BarSeries:
    """Coins' bars of five minutes numbered `first` to `last`, without it; every walk is a part of the same one."""
    walk = 100 + np.random.default_rng(7).normal(0, 0.1, 5_000).cumsum()
    numbers = np.arange(first, last)
    closed = START + 300 * (numbers + 1)
    opened, close = walk[numbers] * factor, walk[numbers + 1] * factor
    high, low = np.maximum(opened, close) * 1.0005, np.minimum(opened, close) * 0.9995
    traded = volume * np.random.default_rng(8).uniform(5, 9, 5_000)[numbers]
    return BarSeries("BTC-USD", BarSize.M5, closed - 300, closed, opened, high, low, close, traded)


def of(source: str, *parts: BarSeries) -> Held:
    series = concatenated(*parts)
    return Held(series, [source] * len(series))


def planned(series: BarSeries, held: Held = NOTHING, *, extended: bool = False) -> Plan:
    return plan(series, held, NOW, NOW, extended=extended)


@pytest.mark.feature("S2")
def test_into_an_empty_store_everything_good_is_taken_and_the_rest_refused_with_its_class() -> None:
    whole = bars(0, 400)
    whole.close[7] = np.nan
    whole.high[9:10] = 0.0
    done = planned(whole)
    assert len(done.fresh) == 398
    assert [refusal.defect for refusal in done.refused] == [Defect.NOT_FINITE, Defect.NOT_POSITIVE]
    assert done.seams == ()


@pytest.mark.feature("S2")
def test_what_another_run_has_written_is_not_written_twice_and_nothing_else_changes_by_it() -> None:
    whole = bars(0, 400)
    whole.low[20] = 200.0
    first = planned(whole)
    for written in (0, 1, 150, 399):
        again = planned(whole, of(SOURCE, first.fresh.part(slice(0, written))))
        assert again.known == written
        assert again.fresh.closed_at.tolist() == first.fresh.closed_at.tolist()[written:]
        assert again.refused == first.refused


def test_a_file_that_tells_otherwise_of_one_time_is_refused_as_a_whole() -> None:
    other = bars(100, 300)
    other.volume[0] += 1
    with pytest.raises(DataFault, match=r"1 of its 5m bars differ from what another file brought.*nothing of it"):
        planned(other, of(SOURCE, bars(0, 200)))


@pytest.mark.feature("S2")
def test_another_sources_bars_are_continued_at_both_ends_where_they_fit_with_a_seam_for_each() -> None:
    done = planned(bars(0, 1_000), of("yahoo", bars(300, 600, 1.0004)))
    assert done.fresh.closed_at.tolist() == concatenated(bars(0, 300), bars(600, 1_000)).closed_at.tolist()
    assert done.inside == 300
    assert [(seam.kind, seam.source_from, seam.source_to, seam.compared) for seam in done.seams] == [
        (SeamKind.SOURCE, SOURCE, "yahoo", 300),
        (SeamKind.SOURCE, "yahoo", SOURCE, 300),
    ]
    assert [seconds_of(seam.at) for seam in done.seams] == [START + 300 * 301, START + 300 * 601]


def test_a_hole_in_another_sources_bars_is_left_alone() -> None:
    held = of("yahoo", bars(0, 300), bars(310, 600))
    done = planned(bars(200, 400), held)
    assert (len(done.fresh), done.inside, done.seams) == (0, 200, ())


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (bars(300, 600, 4.0), r"prices are 1/4 of those"),
        (bars(300, 600, 1.03), r"prices are 1/1.03 of those"),
        (bars(995, 1_200), r"only 5 of them stand in both"),
        (bars(1_001, 1_100), r"only 0 of them stand in both"),
    ],
)
def test_sources_that_do_not_fit_are_not_mixed(held: BarSeries, words: str) -> None:
    with pytest.raises(DataFault, match=f"bars from yahoo are stored, and.*{words}.*nothing of it was taken"):
        planned(bars(0, 1_000), of("yahoo", held))


@pytest.mark.feature("S2")
def test_a_week_without_a_bar_parts_two_sources_where_nothing_can_be_compared() -> None:
    done = planned(bars(0, 500), of("yahoo", bars(500 + 2_016, 3_000, 1.5)))
    assert len(done.fresh) == 500
    assert [(seam.source_from, seam.source_to, seam.compared) for seam in done.seams] == [(SOURCE, "yahoo", 0)]
    with pytest.raises(DataFault, match="only 0 of them stand in both"):
        planned(bars(0, 500), of("yahoo", bars(499 + 2_016, 3_000, 1.5)))


def test_prices_of_another_market_are_not_mixed() -> None:
    other = bars(300, 600)
    scale = 1 + np.random.default_rng(3).normal(0, 0.02, len(other))
    moved = BarSeries(
        "BTC-USD",
        BarSize.M5,
        other.opened_at,
        other.closed_at,
        *(getattr(other, n) * scale for n in ("open", "high", "low", "close")),
        other.volume,
    )
    with pytest.raises(DataFault, match=r"300 of them stand in both and differ by up to"):
        planned(bars(0, 1_000), of("yahoo", moved))


def test_volumes_come_in_the_unit_of_the_bars_they_continue() -> None:
    done = planned(bars(0, 600), of("yahoo", bars(300, 600, volume=90_000.0)))
    assert len(done.fresh) == 300
    assert np.allclose(done.fresh.volume, bars(0, 300, volume=90_000.0).volume)


def test_bars_whose_times_are_shifted_against_what_is_stored_are_refused_in_words() -> None:
    late = bars(100, 400)
    moved = BarSeries(
        "BTC-USD",
        BarSize.M5,
        late.opened_at + 8 * 3_600,
        late.closed_at + 8 * 3_600,
        late.open,
        late.high,
        late.low,
        late.close,
        late.volume,
    )
    done = planned(moved, of(SOURCE, bars(0, 90), bars(100, 180)))
    assert len(done.fresh) == 0
    assert {refusal.defect for refusal in done.refused} == {Defect.SHIFTED}


def test_of_extended_hours_only_days_count_of_which_nothing_is_stored() -> None:
    day = 288
    done = planned(bars(0, 3 * day), of(SOURCE, bars(day, day + 5, 1.001)), extended=True)
    assert done.covered == day
    assert len(done.fresh) == 2 * day
    half = planned(bars(0, 3 * day), of(SOURCE, bars(0, 2 * day - 40)), extended=True)
    assert half.covered == 0
    assert half.known == 2 * day - 40


def test_batches_are_the_series_in_order() -> None:
    parts = list(batches(bars(0, 45), 20))
    assert [len(part) for part in parts] == [20, 20, 5]
    assert concatenated(*parts).closed_at.tolist() == bars(0, 45).closed_at.tolist()
    assert timedelta(seconds=int(parts[1].closed_at[0]) - START) == timedelta(minutes=105)
