"""Golden replays over real splits, from prices as they were paid: the position, its stop and its target go over into
the new shares, nothing is sold for the jump, and the account is worth the same before and after."""

from __future__ import annotations

import csv
import gzip
import itertools
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from bot.bootstrap import Engine
from core.domain.bars import BarSize
from tests.fakes_bars import needs_shared_data
from tests.golden.stage import Played, Scene, play

RAW = needs_shared_data.folder / "daily" / "lean_raw"


def raw_days(folder: Path, symbol: str, first: str, last: str) -> Path:
    """The raw days of a symbol with the dividends and splits that its factor file tells of, in the form we read."""
    told = events(symbol)
    with gzip.open(RAW / f"{symbol}.csv.gz", "rt") as source:
        rows = [row for row in csv.reader(source) if first <= row[0][:10] <= last]
    target = folder / "daily" / f"{symbol}.raw.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    lines, before = ["ts,open,high,low,close,volume,dividend,split"], ""
    for row in rows:
        dividend, split = told.get(before, ("0", "0"))
        lines.append(",".join([*row[:6], dividend, split]))
        before = row[0][:10]
    target.write_text("\n".join(lines) + "\n")
    return folder


def events(symbol: str) -> dict[str, tuple[str, str]]:
    """(dividend, split) by the last session before they take effect; the file holds factors up to each such session."""
    with (RAW / "factor_files" / f"{symbol.lower()}.csv").open() as source:
        rows = [(row[0], *map(Decimal, row[1:4])) for row in csv.reader(source)]
    found = {}
    for (day, price, split, close), (_, next_price, next_split, _) in itertools.pairwise(rows):
        dividend = (close * (1 - price / next_price)).quantize(Decimal("0.01"))
        ratio = (next_split / split).normalize()
        found[f"{day[:4]}-{day[4:6]}-{day[6:]}"] = (str(dividend), f"{ratio:f}" if ratio != 1 else "0")
    return found


def scene(data: Path, symbol: str, first: date, last: date, sure_on: date) -> Scene:
    return Scene(data, first, last, (symbol,), [sure_on], BarSize.D1)


def eager(engine: Engine) -> Engine:
    """Buys whatever the forecaster is sure of: a share that is about to split has risen a lot."""
    policy = replace(engine.desk.policy, rsi_high=100.0)
    return replace(engine, desk=replace(engine.desk, rules=lambda: policy))


def played(tmp_path: Path, chosen: Scene) -> Played:
    result = play(tmp_path / "state", chosen, eager)
    assert result.problems == []
    return result


def in_todays_shares(folder: Path, raw: Path, at: str, ratio: int) -> Path:
    """The same days as a vendor tells them after the split: adjusted for it, with the column that names it."""
    header, *rows = (raw / "daily" / "AAPL.raw.csv").read_text().splitlines()
    target = folder / "daily" / "AAPL.csv"
    target.parent.mkdir(parents=True)
    told = [header]
    for row in rows:
        day, *numbers = row.split(",")
        if day < at:
            prices = [f"{Decimal(price) / ratio}" for price in numbers[:4]]
            numbers = [*prices, f"{int(numbers[4]) * ratio}", f"{Decimal(numbers[5]) / ratio}", numbers[6]]
        told.append(",".join([day, *numbers]))
    target.write_text("\n".join(told) + "\n")
    return folder


FIRST, LAST, SURE = date(2020, 8, 21), date(2020, 9, 4), date(2020, 8, 21)


@pytest.mark.shared_data
@needs_shared_data
@pytest.mark.feature("S9")
def test_over_a_split_of_four_for_one_position_stop_and_target_go_into_the_new_shares(tmp_path: Path) -> None:
    data = raw_days(tmp_path / "data", "AAPL", "2020-01-02", "2020-09-30")
    result = played(tmp_path, scene(data, "AAPL", FIRST, LAST, SURE))
    assert result.orders == [
        "Fri 21 20:00 buy 5 AAPL entry: filled",
        "Mon 24 20:00 sell 20 AAPL stop at 118.16: filled",
        "Mon 24 20:00 sell 20 AAPL target at 143.02: canceled",
    ]
    assert result.fills == [
        "Mon 24 13:30 buy 5 AAPL entry at 515.27 fee 0",
        "Fri 04 20:00 sell 20 AAPL stop at 118.12 fee 0.08",
    ]
    assert result.others == ["Mon 31 13:30 split 15 AAPL"]
    spent = 10_000 - 5 * Decimal("515.27")
    assert result.worth["Fri 28 20:15"] == spent + 5 * Decimal("499.23")
    assert result.worth["Mon 31 20:15"] == spent + 20 * Decimal("129.04")
    assert (result.cash, result.units) == (Decimal("9785.97"), {})


@pytest.mark.shared_data
@needs_shared_data
@pytest.mark.feature("S9")
def test_in_prices_that_are_adjusted_for_the_split_nothing_is_divided(tmp_path: Path) -> None:
    raw = raw_days(tmp_path / "raw", "AAPL", "2020-01-02", "2020-09-30")
    data = in_todays_shares(tmp_path / "data", raw, "2020-08-31", 4)
    result = played(tmp_path, scene(data, "AAPL", FIRST, LAST, SURE))
    assert result.orders == [
        "Fri 21 20:00 buy 20 AAPL entry: filled",
        "Mon 24 20:00 sell 20 AAPL stop at 118.16: filled",
        "Mon 24 20:00 sell 20 AAPL target at 143.02: canceled",
    ]
    assert result.fills == [
        "Mon 24 13:30 buy 20 AAPL entry at 128.82 fee 0",
        "Fri 04 20:00 sell 20 AAPL stop at 118.12 fee 0.08",
    ]
    assert result.others == []


@pytest.mark.shared_data
@needs_shared_data
@pytest.mark.feature("S9")
def test_a_share_that_is_not_held_splits_too_so_that_its_averages_mean_something_afterwards(tmp_path: Path) -> None:
    """In undivided bars the close of 129 would lie far below every average, and nothing would be bought."""
    data = raw_days(tmp_path / "data", "AAPL", "2020-01-02", "2020-09-30")
    result = played(tmp_path, scene(data, "AAPL", date(2020, 8, 27), date(2020, 9, 1), date(2020, 8, 31)))
    assert result.others == ["Mon 31 13:30 split 0 AAPL"]
    assert result.orders == [
        "Mon 31 20:00 buy 19 AAPL entry: filled",
        "Tue 01 20:00 sell 19 AAPL stop at 122.59: accepted",
        "Tue 01 20:00 sell 19 AAPL target at 148.39: accepted",
    ]
    assert result.fills == ["Tue 01 13:30 buy 19 AAPL entry at 132.95 fee 0"]


@pytest.mark.shared_data
@needs_shared_data
@pytest.mark.feature("S9")
def test_a_dividend_is_paid_once_on_what_was_held_the_evening_before(tmp_path: Path) -> None:
    data = raw_days(tmp_path / "data", "AAPL", "2020-01-02", "2020-09-30")
    result = played(tmp_path, scene(data, "AAPL", date(2020, 8, 5), date(2020, 8, 7), date(2020, 8, 5)))
    assert result.fills == ["Thu 06 13:30 buy 5 AAPL entry at 441.79 fee 0"]
    assert result.others == ["Fri 07 13:30 dividend 4.1 USD"]
