"""What a backtest leaves behind: a page that needs nothing else, trades as rows, the same text from the same run."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from bot.backtest import Backtest, BacktestOptions, BacktestResult
from bot.backtest_options import options_of
from bot.backtest_profiles import prepared, side_by_side
from bot.backtest_report import caveats, figures, trades_csv, words, write
from bot.backtest_views import by_asset, by_reason, monthly
from bot.bootstrap import SIMULATED
from bot.cli import _parser
from bot.svg import Drawn, lines
from core.backtest.ledger import fills_of
from core.domain.bars import BarSize
from core.domain.orders import Purpose
from core.errors import Fatal
from core.series import time_of
from core.settings import load_settings
from core.settings.profiles import ProfileName
from core.storage.store import open_database
from tests.series_builders import random_walk

pytestmark = pytest.mark.feature("S17")
T = TypeVar("T")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> BacktestResult:
    folder = tmp_path_factory.mktemp("backtest")
    settings = load_settings(
        {"MODEL_TREES": "10", "MIN_PROBABILITY": "0.45", "STOP_LOSS": "0.01", "STATE_DIR": str(folder)}, None
    )
    chosen = BacktestOptions(
        None,
        date(2026, 3, 20),
        date(2026, 5, 5),
        BarSize.D1,
        ("SPY", "BTC-USD", "ADA-USD"),
        7,
        Decimal(8_000),
        folder / "work",
    )
    tested = Backtest(settings, chosen)
    return tested.run(lambda _what, _steps: lambda _done: None)


class HereWorker:
    """The Worker port in this very process."""

    def run(self, task: Callable[..., T], *arguments: Any, deadline: float) -> T:
        return task(*arguments)


class Page(HTMLParser):
    """Every tag that is opened is closed, and nothing is fetched from elsewhere."""

    VOID = frozenset({"meta", "br", "line", "polyline", "polygon", "circle"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_and_needs_nothing_beside_itself(result: BacktestResult, tmp_path: Path) -> None:
    write(result, tmp_path, HereWorker())
    page = Page()
    page.feed((tmp_path / "sheet.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert page.fetched == []
    for part in ("Figures", "Months", "By asset", "promised", "invested", "No returns are promised", "SIMULATED"):
        assert part in page.text
    assert {path.name for path in tmp_path.iterdir()} >= {"sheet.html", "figures.json", "trades.csv"}


@pytest.mark.feature("S19")
def test_no_figure_of_all_assets_stands_without_the_lines_of_its_parts(result: BacktestResult) -> None:
    assert [run.line.name for run in result.runs] == ["all", "no coins", "no ADA, SOL"]
    assert result.runs[1].line.symbols == ("SPY",)
    assert result.runs[2].line.symbols == ("SPY", "BTC-USD")
    shown = words(result)
    assert all(name in shown for name in ("no coins", "no ADA, SOL", "all, held", "SPY, held"))
    assert any("chosen knowing how they went" in line for line in caveats(result))
    assert any("shown to add" in line for line in caveats(result))


@pytest.mark.feature("S21")
def test_the_plain_rule_stands_beside_the_strategy_as_the_same_profile_by_itself(
    result: BacktestResult, tmp_path: Path
) -> None:
    write(result, tmp_path, HereWorker())
    page, told = (tmp_path / "sheet.html").read_text("utf-8"), json.loads(figures(result))
    whole = result.plain[0]
    assert whole.portfolio.closed
    assert page.count("plain rule") >= 4 and "plain rule" in words(result)
    assert [each["name"] for each in told["figures"]][-4:] == [
        "plain rule",
        "plain rule, no coins",
        "plain rule, no ADA, SOL",
        "SPY, held",
    ]
    (ruled,) = prepared(load_settings({"STATE_DIR": str(tmp_path)}, None), result.options, [ProfileName.RULE])
    alone = ruled.run(lambda _what, _steps: lambda _done: None)
    assert not alone.plain and not alone.trained
    for ours, beside in zip(alone.runs, result.plain, strict=True):
        assert ours.portfolio.closed == beside.portfolio.closed
        assert replace(ours.strategy, name="") == replace(beside.strategy, name="")
    together = side_by_side([result, alone])
    assert all(name in together for name in ("mission, all", "rule, all", "rule, no ADA, SOL", "SPY, held"))
    assert "- rule: No model: the plain rule decides" in together


@pytest.mark.feature("S21")
def test_a_named_profile_is_tested_with_its_own_values_whatever_the_environment_says() -> None:
    asked = _parser().parse_args(["backtest", "--from", "2026-03-20", "--to", "2026-05-05", "--profile", "moderate"])
    given = load_settings({"STOP_LOSS": "0.02", "MODEL_TREES": "10", "PROFILE": "rule"}, None)
    chosen = given.in_profile(asked.profile[0])
    assert chosen.policy() == load_settings({"PROFILE": "moderate"}, None).policy()
    assert chosen.model_trees == 10


def test_the_trades_add_up_to_what_the_account_gained(result: BacktestResult) -> None:
    whole = result.runs[0]
    rows = [row for row in csv.DictReader(trades_csv(result).splitlines()) if row["run"] == "all"]
    assert len(rows) == len(whole.portfolio.closed) > 0
    closed = sum(float(row["profit"]) for row in rows)
    assert closed == pytest.approx(sum(group.profit for group in by_asset(whole)), abs=0.01 * len(rows))
    assert closed == pytest.approx(sum(group.profit for group in by_reason(whole)), abs=0.01 * len(rows))
    fees = sum(group.fees or 0.0 for group in by_asset(whole))
    assert fees == pytest.approx(float(whole.portfolio.fees), abs=1e-9)


def test_months_multiply_to_the_return_of_the_whole(result: BacktestResult) -> None:
    whole = result.runs[0]
    grown = np.prod(
        [1 + value for year in monthly(whole.holdings.curve()).values() for value in year if value is not None]
    )
    assert grown - 1 == pytest.approx(whole.strategy.total_return, abs=1e-12)


def test_the_same_run_gives_the_same_text_to_the_last_digit(result: BacktestResult) -> None:
    options = replace(result.options, folder=result.options.folder / "anew")
    settings = load_settings(
        {"MODEL_TREES": "10", "MIN_PROBABILITY": "0.45", "STOP_LOSS": "0.01", "STATE_DIR": str(options.folder)}, None
    )
    again = Backtest(settings, options).run(lambda _what, _steps: lambda _done: None)
    assert figures(again) == figures(result)
    assert json.loads(figures(again))["runs"][0]["closed_trades"]


def test_a_line_that_never_moves_can_be_drawn() -> None:
    at = np.array([1_577_836_800, 1_580_515_200], np.int64)
    assert "<polyline" in lines([Drawn("flat", "#000", at, np.array([0.0, 0.0]))], percent=True)
    assert "<polyline" in lines([Drawn("flat", "#000", at, np.array([10.0, 10.0]))], log=True)


def test_orders_placed_by_hand_come_later_and_that_is_said(result: BacktestResult) -> None:
    options = replace(result.options, delay=timedelta(days=1), beside=False)
    settings = load_settings(
        {"MODEL_TREES": "10", "MIN_PROBABILITY": "0.45", "STOP_LOSS": "0.01", "STATE_DIR": str(options.folder)}, None
    )
    late = Backtest(settings, options).run(lambda _what, _steps: lambda _done: None)

    def entries(of: BacktestResult) -> list[datetime]:
        fills = fills_of(of.runs[0].books, SIMULATED)
        return [fill.at for fill in fills if fill.purpose is Purpose.ENTRY and fill.symbol == "BTC-USD"]

    assert entries(late)[0] - entries(result)[0] == timedelta(days=1)
    assert any("By hand: each order reaches the venue 24 h" in line for line in caveats(late))


def options_from(*words: str) -> BacktestOptions:
    given = _parser().parse_args(["backtest", "--from", "2024-01-01", "--to", "2024-02-01", *words])
    return options_of(given, load_settings({"STATE_DIR": "/nowhere"}, None), {"AUTOTRADER_DASK": "tcp://10.0.0.2:8786"})


def test_what_the_command_line_asks_is_checked_before_anything_begins() -> None:
    asked = options_from("--simulated", "--capital", "8,000", "--retrain", "28d", "--unlock", "30d", "--delay", "1h")
    assert (asked.capital, asked.retrain, asked.unlock) == (8_000, timedelta(days=28), timedelta(days=30))
    assert (asked.delay, asked.dask) == (timedelta(hours=1), "tcp://10.0.0.2:8786")
    assert options_from("--simulated", "--retrain", "live").retrain is None
    for wrong, said in (
        (("--simulated", "--capital", "lots"), "--capital lots"),
        (("--simulated", "--retrain", "often"), "--retrain often"),
        (("--simulated", "--jobs", "0"), "--jobs 0"),
        (("--simulated", "--data", "x"), "exclude one another"),
        ((), "no bars are stored here yet"),
    ):
        with pytest.raises(Fatal, match=said):
            options_from(*wrong)


def test_the_bars_that_are_stored_are_tested_where_no_folder_is_named(tmp_path: Path) -> None:
    symbol = "SPY"
    series = replace(random_walk(symbol, 400, seed=4), size=BarSize.D1)
    path = tmp_path / "data" / "ledger.sqlite"
    path.parent.mkdir()
    database = open_database(path)
    database.bars.write(series, "made up")
    database.close()
    first, last = (time_of(series.closed_at[row]).date() for row in (300, 399))
    options = BacktestOptions(
        None, first, last, BarSize.D1, (symbol,), 1, Decimal(10_000), tmp_path / "work", stored=path
    )
    settings = load_settings({"MODEL_TREES": "10", "MIN_PROBABILITY": "0.3", "STATE_DIR": str(tmp_path)}, None)
    found = Backtest(settings, options).run(lambda _what, _steps: lambda _done: None)
    # The bar that closes at midnight of the first day belongs to the day before.
    assert found.runs[0].played.bars == 99
    assert any("this installation has stored" in line for line in caveats(found))


def test_where_nothing_can_draw_it_is_said_what_is_missing(
    result: BacktestResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    assert "it needs matplotlib" in write(result, tmp_path, HereWorker())
    assert (tmp_path / "sheet.html").exists()
    assert not (tmp_path / "sheet.png").exists()
