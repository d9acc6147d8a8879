"""Dividends and splits of files, and raw prices told in the shares of the day that is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.adapters.calendars import ExchangeCalendar
from core.adapters.history_files import HistoryFiles
from core.domain.bars import BarSize
from core.domain.corporate import CorporateAction
from core.domain.instruments import instrument_for
from core.errors import Fatal
from tests.fakes_bars import needs_shared_data

LONG_AGO, LATE = datetime(1990, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
HEADER = "ts,open,high,low,close,volume,dividend,split\n"
EX_DATE = datetime(2024, 3, 6, 14, 30, tzinfo=UTC)
ROWS = (
    "2024-03-04T00:00:00Z,400,404,396,400,1000,0,0\n"
    "2024-03-05T00:00:00Z,400,408,400,404,1000,0.5,0\n"
    "2024-03-06T00:00:00Z,100,102,99,101,4000,0,4\n"
    "2024-03-07T00:00:00Z,101,102,100,102,4000,,\n"
)


@pytest.fixture(scope="module")
def calendar() -> ExchangeCalendar:
    return ExchangeCalendar()


def files(folder: Path, calendar: ExchangeCalendar, name: str, rows: str = ROWS) -> HistoryFiles:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(HEADER + rows)
    return HistoryFiles(folder, calendar)


def all_actions(source: HistoryFiles, symbol: str) -> list[CorporateAction]:
    return list(source.actions(symbol, LONG_AGO, LATE))


def test_a_raw_file_tells_of_dividends_and_splits_at_the_open_of_their_session(
    tmp_path: Path, calendar: ExchangeCalendar
) -> None:
    source = files(tmp_path, calendar, "XYZ.raw.csv")
    assert all_actions(source, "XYZ") == [
        CorporateAction("XYZ", EX_DATE - timedelta(days=1), dividend=Decimal("0.5"), price=Decimal(400)),
        CorporateAction("XYZ", EX_DATE, ratio=Decimal(4), price=Decimal(101)),
    ]
    assert [action.ratio for action in source.actions("XYZ", EX_DATE - timedelta(seconds=1), EX_DATE)] == [4]
    assert source.actions("XYZ", EX_DATE, LATE) == []


def test_a_file_that_is_adjusted_for_its_splits_tells_of_dividends_alone(
    tmp_path: Path, calendar: ExchangeCalendar
) -> None:
    actions = all_actions(files(tmp_path, calendar, "XYZ.csv"), "XYZ")
    assert [(action.dividend, action.is_split) for action in actions] == [(Decimal("0.5"), False)]


def test_raw_prices_are_told_in_the_shares_of_the_moment_that_is_asked_for(
    tmp_path: Path, calendar: ExchangeCalendar
) -> None:
    source, share = files(tmp_path, calendar, "XYZ.raw.csv"), instrument_for("XYZ")
    before = source.bars(share, BarSize.D1, EX_DATE - timedelta(seconds=1), 9)
    assert (before.close.tolist(), before.volume.tolist()) == ([400.0, 404.0], [1000.0, 1000.0])
    at_open = source.bars(share, BarSize.D1, EX_DATE, 9)
    assert (at_open.close.tolist(), at_open.volume.tolist()) == ([100.0, 101.0], [4000.0, 4000.0])
    after = source.bars(share, BarSize.D1, LATE, 3)
    assert (after.open.tolist(), after.high.tolist()) == ([100.0, 100.0, 101.0], [102.0, 102.0, 102.0])


def test_raw_and_adjusted_files_of_one_symbol_are_refused(tmp_path: Path, calendar: ExchangeCalendar) -> None:
    files(tmp_path, calendar, "XYZ.raw.csv")
    with pytest.raises(Fatal, match="XYZ: raw prices and prices adjusted for splits cannot be mixed"):
        files(tmp_path, calendar, "XYZ.5m.csv")


@pytest.mark.parametrize(
    "text",
    [
        "ts,open,high,low,close,volume\n2024-03-04T00:00:00Z,1,1,1,1,1\n",
        "no,columns,at,all\n1,2,3,4\n",
        HEADER + "never,1,1,1,1,1,0.5,4\n2024-03-09T00:00:00Z,1,1,1,1,1,0.5,4\n",
        "",
    ],
)
def test_what_tells_of_nothing_usable_gives_no_action(tmp_path: Path, calendar: ExchangeCalendar, text: str) -> None:
    (tmp_path / "XYZ.raw.csv").write_text(text)
    assert all_actions(HistoryFiles(tmp_path, calendar), "XYZ") == []
    assert all_actions(HistoryFiles(tmp_path, calendar), "NONE") == []


@pytest.mark.shared_data
@needs_shared_data
def test_the_real_dividends_of_a_year_of_spy(calendar: ExchangeCalendar) -> None:
    source = HistoryFiles(needs_shared_data.folder, calendar)
    year = source.actions("SPY", datetime(2024, 1, 1, tzinfo=UTC), LATE)
    assert [(f"{action.at:%m-%d %H:%M}", action.dividend) for action in year] == [
        ("03-15 13:30", Decimal("1.595")),
        ("06-21 13:30", Decimal("1.759")),
        ("09-20 13:30", Decimal("1.746")),
        ("12-20 14:30", Decimal("1.966")),
    ]
