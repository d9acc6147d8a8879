"""What the profiles earned: measured by one command, kept by a hash of what was declared, told by tables of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from bot import profile_figures, profile_page
from bot.profile_figures import declared, measure_into, neighbours_of, still_true
from core.learning.recipes import DEFAULT_RECIPE
from core.settings.profile_figures import FIGURES, measured, read_book
from core.settings.profiles import DIGEST, PROFILES, ProfileName
from tests.fakes_bars import needs_shared_data
from tests.series_builders import random_walk

pytestmark = pytest.mark.feature("S21")

ON = date(2026, 11, 26)
REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = {
    **declared(),
    "symbols": ["BTC-USD", "ADA-USD"],
    "first": "2020-09-01",
    "last": "2020-12-31",
    "neighbours": {"rule": {"VOLATILITY_TARGET": ["x0.75"]}},
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "bars" / "daily").mkdir(parents=True)
    for seed, symbol in enumerate(("BTC-USD", "ADA-USD")):
        bars = random_walk(symbol, 400, seed=seed + 3, start=datetime(2020, 1, 1, tzinfo=UTC), drift=0.0, swing=0.03)
        with gzip.open(tmp_path / "bars" / "daily" / f"{symbol}.csv.gz", "wt") as file:
            file.write("ts,open,high,low,close,volume\n")
            for bar in bars.bars():
                numbers = ",".join(f"{each:.4f}" for each in (bar.open, bar.high, bar.low, bar.close, 1e6))
                file.write(f"{bar.opened_at:%Y-%m-%dT%H:%M:%SZ},{numbers}\n")
    return tmp_path / "bars"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(profile_figures, "declared", lambda: SMALL)
    yield


def measure(book: dict[str, Any], data: Path) -> dict[str, Any]:
    return measure_into(book, ProfileName.RULE, data, data.parent / "work", ON, 1)


def test_a_profile_is_measured_with_its_parts_its_neighbours_and_what_it_stands_beside(data: Path) -> None:
    told = measure({}, data)
    assert measure(told, data) == told, "equal bars give equal figures"
    book = read_book(told)
    assert book is not None
    made = book.profiles[ProfileName.RULE]
    assert [line.name for line in made.lines] == ["all", "no ADA, SOL"]
    assert (made.recipe, [each.changed for each in made.neighbours]) == ("", [{"VOLATILITY_TARGET": "0.09"}])
    whole, lower = made.lines[0], made.neighbours[0].line
    assert whole.trades > 0 and whole.costs > 0 and 0 < whole.drawdown < 1
    assert lower.exposure < whole.exposure and lower.volatility < whole.volatility
    assert [line.name for line in book.held] == ["all", "no ADA, SOL"]
    assert (book.conditions.on, book.conditions.unlock_days) == (ON, 30)


def test_what_was_measured_otherwise_is_dropped_and_what_was_measured_alike_is_kept() -> None:
    how = {"data": "abc", "last": "2024-12-31"}
    book = {"declared": DIGEST, "conditions": {"on": "2026-01-01", **how}, "profiles": {"mission": {"recipe": "x"}}}
    assert still_true(book, how) == {"mission": {"recipe": "x"}}
    assert still_true({**book, "declared": "of yesterday"}, how) == still_true({}, how) == {}
    for name in how:
        assert still_true(book, {**how, name: "another"}) == {}


def test_neighbours_are_one_setting_away_from_each_profile() -> None:
    told = declared()
    assert neighbours_of(told, ProfileName.CONSERVATIVE)[-2:] == [
        {"DAILY_RISK_FRACTION": "0.001125"},
        {"DAILY_RISK_FRACTION": "0.001875"},
    ]
    assert len(neighbours_of(told, ProfileName.MISSION)) == 8
    assert {"TAKE_PROFIT": "2"} in neighbours_of(told, ProfileName.RULE)


@pytest.mark.parametrize(
    ("page", "lines"), [(profile_page.PAGE, profile_page.full), (profile_page.README, profile_page.short)]
)
def test_the_committed_pages_say_what_the_committed_figures_say(page: Path, lines: Any) -> None:
    text = (REPOSITORY / page).read_text("utf-8")
    assert text == profile_page.page_with(text, lines(measured()))
    with pytest.raises(ValueError, match="no place"):
        profile_page.page_with("nothing", iter([]))


def test_the_committed_figures_are_those_of_what_is_declared_now() -> None:
    """And of what the engine trains now."""
    told = json.loads(FIGURES.read_text("utf-8"))
    assert told["declared"] == DIGEST
    for name, made in told["profiles"].items():
        forest = PROFILES[ProfileName(name)].values["STRATEGY"] == "forest"
        assert made["recipe"] == (DEFAULT_RECIPE if forest else "")


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.shared_data
@needs_shared_data
def test_the_plain_rule_measured_anew_has_the_committed_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = {**declared(), "neighbours": {"rule": {}}}
    monkeypatch.setattr(profile_figures, "declared", lambda: without)
    told = measure_into({}, ProfileName.RULE, needs_shared_data.folder, tmp_path, ON, 1)
    kept = json.loads(FIGURES.read_text("utf-8"))
    assert told["profiles"]["rule"]["lines"] == kept["profiles"]["rule"]["lines"]
    assert (told["held"], told["conditions"]["data"]) == (kept["held"], kept["conditions"]["data"])
