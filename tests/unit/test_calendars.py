"""Sessions against dated facts: half days, closures and daylight saving."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from core.adapters.calendars import ExchangeCalendar
from core.domain.bars import BarSize
from core.domain.instruments import AssetClass
from core.rulings import (
    RULINGS,
    HorizonUnit,
    decides_entries,
    earliest_fill,
    horizon_end,
    prepares,
)
from core.series import seconds_of
from tests.fakes_bars import needs_shared_data

STOCK, CRYPTO = AssetClass.STOCK, AssetClass.CRYPTO


@pytest.fixture(scope="module")
def calendar() -> ExchangeCalendar:
    return ExchangeCalendar()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.feature("S9")
def test_a_session_includes_its_open_and_excludes_its_close(calendar: ExchangeCalendar) -> None:
    assert not calendar.is_open(STOCK, at("2024-06-03 13:29:59"))
    assert calendar.is_open(STOCK, at("2024-06-03 13:30"))
    assert calendar.is_open(STOCK, at("2024-06-03 19:59:59.999"))
    assert not calendar.is_open(STOCK, at("2024-06-03 20:00"))
    assert calendar.is_open(CRYPTO, at("2024-12-25 03:00"))


def test_orders_made_outside_a_session_wait_for_the_next_open(calendar: ExchangeCalendar) -> None:
    assert calendar.next_open(STOCK, at("2024-06-03 15:00")) == at("2024-06-03 15:00")
    assert calendar.next_open(STOCK, at("2024-05-31 20:00")) == at("2024-06-03 13:30")
    assert calendar.next_open(CRYPTO, at("2024-06-01 05:17")) == at("2024-06-01 05:17")


def test_the_next_close_lies_strictly_ahead(calendar: ExchangeCalendar) -> None:
    assert calendar.next_close(STOCK, at("2024-06-03 19:59")) == at("2024-06-03 20:00")
    assert calendar.next_close(STOCK, at("2024-06-03 20:00")) == at("2024-06-04 20:00")
    assert calendar.next_close(CRYPTO, at("2024-06-03 00:00")) == at("2024-06-04 00:00")
    assert calendar.next_close(CRYPTO, at("2024-06-03 23:59")) == at("2024-06-04 00:00")


def test_before_the_open_the_session_is_still_the_last_one(calendar: ExchangeCalendar) -> None:
    assert calendar.session_of(STOCK, at("2024-06-03 13:29")) == date(2024, 5, 31)
    assert calendar.session_of(STOCK, at("2024-06-03 13:30")) == date(2024, 6, 3)
    assert calendar.session_of(STOCK, at("2024-06-08 12:00")) == date(2024, 6, 7)
    assert calendar.session_of(CRYPTO, at("2024-06-08 00:00")) == date(2024, 6, 8)


@pytest.mark.parametrize(
    ("day", "close"),
    [("2024-11-29", "18:00"), ("2024-07-03", "17:00"), ("2022-11-25", "18:00"), ("2026-11-27", "18:00")],
)
def test_a_five_minute_bar_and_the_daily_bar_end_with_a_half_day(
    calendar: ExchangeCalendar, day: str, close: str
) -> None:
    end = at(f"{day} {close}")
    assert calendar.bar_close(STOCK, BarSize.M5, end - timedelta(minutes=5)) == end
    assert calendar.bar_close(STOCK, BarSize.H1, end - timedelta(minutes=30)) == end
    assert calendar.bar_close(STOCK, BarSize.D1, at(f"{day} 00:00")) == end
    with pytest.raises(ValueError, match="no XNYS session"):
        calendar.bar_close(STOCK, BarSize.M5, end)


def test_a_daily_bar_closes_with_its_session_in_summer_and_winter(calendar: ExchangeCalendar) -> None:
    assert calendar.bar_close(STOCK, BarSize.D1, at("2024-03-08 00:00")) == at("2024-03-08 21:00")
    assert calendar.bar_close(STOCK, BarSize.D1, at("2024-03-11 00:00")) == at("2024-03-11 20:00")
    assert calendar.bar_close(STOCK, BarSize.D1, at("2024-03-11 13:30")) == at("2024-03-11 20:00")
    assert calendar.bar_close(CRYPTO, BarSize.D1, at("2024-03-11 00:00")) == at("2024-03-12 00:00")
    with pytest.raises(ValueError, match="no XNYS session"):
        calendar.bar_close(STOCK, BarSize.D1, at("2024-03-09 00:00"))


def test_a_trading_day_ends_a_quarter_of_an_hour_after_the_close(calendar: ExchangeCalendar) -> None:
    assert calendar.day_end(at("2024-06-07 20:14:59")) == at("2024-06-07 20:15")
    assert calendar.day_end(at("2024-06-07 20:15")) == at("2024-06-09 00:00")
    assert calendar.day_end(at("2024-06-09 00:00")) == at("2024-06-10 00:00")
    assert calendar.day_end(at("2024-06-10 00:00")) == at("2024-06-10 20:15")
    assert calendar.day_end(at("2024-11-29 12:00")) == at("2024-11-29 18:15")


def test_the_range_is_renewed_when_somebody_asks_beyond_it() -> None:
    short = ExchangeCalendar(date(2024, 1, 1), date(2024, 12, 31))
    assert short.bar_close(STOCK, BarSize.D1, at("2001-09-10 00:00")) == at("2001-09-10 20:00")
    assert short.session_bounds(STOCK, date(2001, 9, 12)) is None
    assert short.next_open(STOCK, at("2025-01-01 00:00")) == at("2025-01-02 14:30")
    assert short.next_open(STOCK, at("2036-01-01 00:00")) == at("2036-01-02 14:30")


@needs_shared_data
@pytest.mark.shared_data
def test_every_known_closure_half_day_and_clock_change_is_in_the_calendar(calendar: ExchangeCalendar) -> None:
    checked = 0
    with (needs_shared_data.folder / "events" / "known_events.csv").open() as lines:
        for row in csv.DictReader(lines):
            day = date.fromisoformat(row["date"][:10])
            bounds = calendar.session_bounds(STOCK, day)
            if "closure" in row["kind"]:
                assert bounds is None, row
            elif row["kind"] == "half-day":
                assert bounds and bounds[1] - bounds[0] == timedelta(hours=3, minutes=30), row
            elif row["kind"].startswith("DST"):
                opens = row["what"].split("open at ")[1].rstrip("Z")
                assert bounds and bounds[0] == at(f"{day} {opens}"), row
            else:
                continue
            checked += 1
    assert checked == 33


@pytest.mark.parametrize("size", list(BarSize))
@pytest.mark.parametrize("asset_class", list(AssetClass))
def test_a_column_of_bar_closes_equals_one_asked_at_a_time(
    calendar: ExchangeCalendar, asset_class: AssetClass, size: BarSize
) -> None:
    start = seconds_of(at("2024-11-25 00:00"))
    opens = start + 1800 * np.arange(48 * 9, dtype=np.int64)
    for opened, closed in zip(opens, calendar.bar_closes(asset_class, size, opens), strict=True):
        moment = datetime.fromtimestamp(int(opened), UTC)
        if closed < 0:
            with pytest.raises(ValueError, match="no XNYS session"):
                calendar.bar_close(asset_class, size, moment)
        else:
            assert seconds_of(calendar.bar_close(asset_class, size, moment)) == closed


def test_the_table_of_rulings_covers_every_class_and_answers_as_the_design_says(calendar: ExchangeCalendar) -> None:
    assert set(RULINGS) == set(AssetClass)
    assert RULINGS[STOCK].horizon_unit is HorizonUnit.SESSIONS
    evening, morning = at("2024-06-07 20:00"), at("2024-06-10 13:10")
    assert decides_entries(calendar, STOCK, BarSize.D1, evening)
    assert not decides_entries(calendar, STOCK, BarSize.M5, evening)
    assert decides_entries(calendar, CRYPTO, BarSize.M5, evening)
    assert earliest_fill(calendar, STOCK, evening) == at("2024-06-10 13:30")
    assert prepares(calendar, STOCK, morning)
    assert not prepares(calendar, STOCK, evening)
    assert horizon_end(calendar, STOCK, evening, 2) == at("2024-06-11 20:00")
    assert horizon_end(calendar, CRYPTO, at("2024-06-08 00:00"), 2) == at("2024-06-10 00:00")
