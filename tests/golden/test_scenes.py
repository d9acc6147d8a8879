"""Golden replays: real days that have broken other programs, played through the whole system, order by order.

Prices are the real ones; where a day never happened (a stop and a target within one bar) the test makes it from one
that did. A stock loses 3 basis points a side, and a sale pays the regulators.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.fakes_bars import needs_shared_data
from tests.golden.stage import Played, Scene, play

DATA = needs_shared_data.folder
DAILY = "daily/SPY.csv.gz"
MINUTES_2022 = "intraday/SPY.5m.rth.202202-202306.csv.gz"
MINUTES_2024 = "intraday/SPY.5m.rth.202402-202603.csv.gz"
Change = Callable[[str], str]


def dates(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def excerpt(folder: Path, name: str, first: str, last: str, change: Change = str) -> None:
    """The rows of a file from date to date; `change` may alter a row."""
    target = folder / name.removesuffix(".gz")
    target.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(DATA / name, "rt") as source:
        header, *rows = source.read().splitlines()
    chosen = [change(row) for row in rows if first <= row[:10] <= last]
    target.write_text("\n".join([header, *chosen]) + "\n")


def spy(folder: Path, minutes: str, first: date, last: date, change: Change = str) -> Path:
    """A folder with the days of SPY that the scene needs, and the bars before them that every average needs."""
    excerpt(folder, DAILY, (first - timedelta(days=900)).isoformat(), last.isoformat())
    excerpt(folder, minutes, (first - timedelta(days=12)).isoformat(), last.isoformat(), change)
    return folder


def scene(data: Path, first: date, last: date, **numbers: str) -> Scene:
    return Scene(data, first, last, ("SPY",), dates(first - timedelta(days=5), last), settings=tuple(numbers.items()))


def played(tmp_path: Path, chosen: Scene) -> Played:
    result = play(tmp_path / "state", chosen)
    assert result.problems == []
    return result


@pytest.mark.shared_data
@needs_shared_data
@pytest.mark.feature("S9")
def test_the_half_day_after_thanksgiving_and_a_gap_through_the_stop(tmp_path: Path) -> None:
    first, last = date(2022, 11, 25), date(2022, 11, 28)
    data = spy(tmp_path / "data", MINUTES_2022, first, last)
    result = played(tmp_path, scene(data, first, last, STOP_LOSS="0.004", TAKE_PROFIT="0.006"))
    assert result.orders == [
        "Fri 25 15:25 buy 6 SPY entry: filled",
        "Fri 25 15:30 sell 6 SPY stop at 400.95: filled",
        "Fri 25 15:30 sell 6 SPY target at 404.97: canceled",
    ]
    assert result.fills == [
        "Fri 25 15:25 buy 6 SPY entry at 402.67 fee 0",
        "Mon 28 14:30 sell 6 SPY stop at 398.97 fee 0.08",
    ]
    assert result.reports == ["Fri 25 18:15", "Sun 27 00:00", "Mon 28 00:00", "Mon 28 21:15"]
    assert (result.cash, result.units) == (Decimal("9977.72"), {})


@pytest.mark.shared_data
@needs_shared_data
@pytest.mark.feature("S8")
def test_a_gap_through_the_stop_is_sold_at_the_open_and_not_at_the_stop(tmp_path: Path) -> None:
    """The morning of the inflation figures of August 2022: two per cent lower than the evening before."""
    first, last = date(2022, 9, 12), date(2022, 9, 13)
    data = spy(tmp_path / "data", MINUTES_2022, first, last)
    result = played(tmp_path, scene(data, first, last, STOP_LOSS="0.01", TAKE_PROFIT="0.02"))
    assert result.orders == [
        "Mon 12 13:40 buy 6 SPY entry: filled",
        "Mon 12 13:45 sell 6 SPY stop at 404.83: filled",
        "Mon 12 13:45 sell 6 SPY target at 417.08: canceled",
    ]
    assert result.fills == [
        "Mon 12 13:40 buy 6 SPY entry at 409.05 fee 0",
        "Tue 13 13:30 sell 6 SPY stop at 401.69 fee 0.08",
    ]
    assert (result.cash, result.units) == (Decimal("9955.76"), {})


@pytest.mark.shared_data
@needs_shared_data
@pytest.mark.feature("S9")
def test_over_the_spring_clock_change_the_position_is_guarded_from_the_new_open_on(tmp_path: Path) -> None:
    first, last = date(2024, 3, 8), date(2024, 3, 12)
    data = spy(tmp_path / "data", MINUTES_2024, first, last)
    result = played(tmp_path, scene(data, first, last, STOP_LOSS="0.012", TAKE_PROFIT="0.006"))
    assert result.orders == [
        "Fri 08 14:35 buy 4 SPY entry: filled",
        "Fri 08 14:40 sell 4 SPY stop at 509.95: filled",
        "Fri 08 14:40 sell 4 SPY target at 519.23: canceled",
    ]
    assert result.fills == [
        "Fri 08 14:35 buy 4 SPY entry at 516.29 fee 0",
        "Mon 11 13:55 sell 4 SPY stop at 509.79 fee 0.07",
    ]
    assert result.reports == ["Fri 08 21:15", "Sun 10 00:00", "Mon 11 00:00", "Mon 11 20:15", "Tue 12 20:15"]
    assert (result.cash, result.units) == (Decimal("9973.93"), {})


@pytest.mark.shared_data
@needs_shared_data
@pytest.mark.feature("S9")
def test_over_the_autumn_clock_change_the_position_waits_for_the_later_open(tmp_path: Path) -> None:
    first, last = date(2024, 11, 1), date(2024, 11, 6)
    data = spy(tmp_path / "data", MINUTES_2024, first, last)
    result = played(tmp_path, scene(data, first, last, STOP_LOSS="0.012", TAKE_PROFIT="0.015"))
    assert result.orders == [
        "Fri 01 13:50 buy 4 SPY entry: filled",
        "Fri 01 13:55 sell 4 SPY stop at 566.2: canceled",
        "Fri 01 13:55 sell 4 SPY target at 581.66: filled",
    ]
    assert result.fills == [
        "Fri 01 13:50 buy 4 SPY entry at 573.23 fee 0",
        "Wed 06 14:30 sell 4 SPY target at 589.02 fee 0.08",
    ]
    assert result.reports == [
        "Fri 01 20:15",
        "Sun 03 00:00",
        "Mon 04 00:00",
        "Mon 04 21:15",
        "Tue 05 21:15",
        "Wed 06 21:15",
    ]
    assert (result.cash, result.units) == (Decimal("10063.08"), {})


def wild(row: str) -> str:
    """The bar of 15:00 with both levels in its range: what a shock does within five minutes."""
    stamp, opened, _high, _low, close, volume = row.split(",")[:6]
    return f"{stamp},{opened},571.0,556.0,{close},{volume}" if stamp == "2024-09-18T15:00:00Z" else row


@pytest.mark.shared_data
@needs_shared_data
@pytest.mark.feature("S8")
def test_of_a_stop_and_a_target_in_one_bar_the_stop_counts(tmp_path: Path) -> None:
    day = date(2024, 9, 18)
    data = spy(tmp_path / "data", MINUTES_2024, day, day, wild)
    result = played(tmp_path, scene(data, day, day, STOP_LOSS="0.006", TAKE_PROFIT="0.008"))
    assert result.orders == [
        "Wed 18 14:05 buy 4 SPY entry: filled",
        "Wed 18 14:10 sell 4 SPY stop at 559.81: filled",
        "Wed 18 14:10 sell 4 SPY target at 567.68: canceled",
    ]
    assert result.fills == [
        "Wed 18 14:05 buy 4 SPY entry at 563.35 fee 0",
        "Wed 18 15:05 sell 4 SPY stop at 559.64 fee 0.08",
    ]
    assert (result.cash, result.units) == (Decimal("9985.08"), {})
