"""A backtest decides, bar for bar, what the whole system decides in a replay of the same prices."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from bot.backtest import Backtest, BacktestOptions, BacktestResult
from bot.bootstrap import SIMULATED
from bot.replay import Replay, ReplayOptions
from core.backtest.ledger import fills_of
from core.domain.bars import BarSize
from core.domain.codec import decode
from core.domain.decisions import Decision, Verdict
from core.domain.portfolio import Fill, PositionAdjustment
from core.settings import Settings, load_settings
from core.storage.chain import DECISION, FILL
from core.strategy import skill
from tests.fakes_bars import needs_shared_data
from tests.golden.test_splits import raw_days

SPY, BTC = "SPY", "BTC-USD"
# A willing model and narrow limits, so that much happens; the gap keeps a replay's card for the newcomer out of it.
EAGER = {
    "MODEL_TREES": "10",
    "MIN_PROBABILITY": "0.45",
    "STOP_LOSS": "0.01",
    "TAKE_PROFIT": "0.015",
    "RETRAIN_MIN_NEW_LABELS": "40",
    "TIME_ZONE": "UTC",
}
NARROW = {"STOP_LOSS": "0.004", "TAKE_PROFIT": "0.006", "MIN_TRADE_GAP_MINUTES": "60", "DAILY_LOSS_LIMIT": "0.005"}
RULED = {
    "STRATEGY": "rule",
    "STOP_LOSS": "0.30",
    "TAKE_PROFIT": "1",
    "MODEL_TREES": "10",
    "RETRAIN_MIN_NEW_LABELS": "900",
}
FOUR = ("SPY", "QQQ", "BTC-USD", "ETH-USD")


def settings(folder: Path, **changes: str) -> Settings:
    return load_settings({**EAGER, "STATE_DIR": str(folder), **changes}, None)


@dataclass(frozen=True, slots=True)
class Course:
    """What was decided and what was filled."""

    decisions: list[Decision]
    fills: list[Fill]


def in_replay(folder: Path, chosen: BacktestOptions, **changes: str) -> Course:
    of_replay = ReplayOptions(chosen.data, chosen.first, chosen.last, chosen.bar, chosen.symbols, chosen.seed)
    replay = Replay(settings(folder, **changes), of_replay)
    try:
        replay.play(lambda _now: None)
    finally:
        replay.close()
    with closing(sqlite3.connect(folder / "data" / "replay.sqlite")) as ledger:
        written = ledger.execute("select kind, payload from chain order by seq").fetchall()
    bodies = [(kind, json.loads(payload)["body"]) for kind, payload in written]
    decisions = [decode(Decision, body) for kind, body in bodies if kind == DECISION]
    fills = [decode(Fill, body) for kind, body in bodies if kind == FILL]
    return Course([each for each in decisions if each.account == SIMULATED], fills)


def in_backtest(folder: Path, chosen: BacktestOptions, **changes: str) -> tuple[Course, BacktestResult]:
    backtest = Backtest(settings(folder, **changes), chosen)
    result = backtest.run(lambda _what, _steps: lambda _done: None)
    run = result.runs[0]
    return Course(run.played.decisions, fills_of(run.books, SIMULATED)), result


def options(folder: Path, first: str, last: str, bar: BarSize = BarSize.D1) -> BacktestOptions:
    return BacktestOptions(
        data=None,
        first=date.fromisoformat(first),
        last=date.fromisoformat(last),
        bar=bar,
        symbols=(SPY, BTC),
        seed=7,
        capital=Decimal(10_000),
        folder=folder / "work",
        retrain=None,
        beside=False,
    )


def judged(course: Course) -> list[tuple[object, ...]]:
    """Every judgement of every tick. A replay's card for the newcomer, which waits in his own account for an hour, is
    not among what a backtest has."""
    return [
        (decision.at, signal.symbol, signal.price, signal.prediction, *map(without_card, signal.verdicts))
        for decision in course.decisions
        for signal in decision.signals
    ]


def without_card(verdict: Verdict) -> Verdict:
    is_card = verdict.gate == "pending" and "manual" in verdict.reason
    return Verdict("pending", True, "no entry waits") if is_card else verdict


@pytest.fixture
def suspicious(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weeks instead of years are enough to doubt forecasts."""
    for name, value in (("ENOUGH", 0.5), ("THROTTLE_AT", 0.1), ("OBSERVE_AT", 0.2), ("TRUST_BELOW", 0.05)):
        monkeypatch.setattr(skill, name, value)


@pytest.mark.feature("S6", "S17")
@pytest.mark.usefixtures("suspicious")
def test_weeks_of_daily_bars_are_judged_and_traded_as_in_a_replay(tmp_path: Path) -> None:
    chosen = options(tmp_path, "2026-04-05", "2026-05-05")
    replayed = in_replay(tmp_path / "replay", chosen)
    found, _ = in_backtest(tmp_path, replace(chosen, every_tick=True))
    assert len(replayed.fills) >= 6
    assert judged(found) == judged(replayed)
    trust = [
        each.reason[:4]
        for decision in found.decisions
        for signal in decision.signals
        for each in signal.verdicts
        if each.gate == "skill"
    ]
    assert {"half", "obse", "noth"} == set(trust)
    assert found.fills == replayed.fills
    quick, result = in_backtest(tmp_path, chosen)
    assert quick.fills == replayed.fills
    assert result.runs[0].played.made < len(found.decisions)


@pytest.mark.feature("S17")
def test_a_day_of_five_minutes_trades_the_same_whether_idle_ticks_are_made_or_not(tmp_path: Path) -> None:
    chosen = options(tmp_path, "2026-05-05", "2026-05-05", BarSize.M5)
    every, whole = in_backtest(tmp_path, replace(chosen, every_tick=True), **NARROW)
    quick, result = in_backtest(tmp_path, chosen, **NARROW)
    assert len(every.fills) >= 10
    assert quick.fills == every.fills
    assert 3 * result.runs[0].played.made < whole.runs[0].played.made
    assert np.array_equal(result.runs[0].holdings.value, whole.runs[0].holdings.value)


@pytest.mark.feature("S21")
def test_the_plain_rule_buys_and_sells_without_a_model_as_in_a_replay_that_trains_one(tmp_path: Path) -> None:
    chosen = options(tmp_path, "2026-04-11", "2026-04-24")
    replayed = in_replay(tmp_path / "replay", chosen, **RULED)
    found, every = in_backtest(tmp_path, replace(chosen, every_tick=True), **RULED)
    assert not every.trained
    assert len(replayed.fills) >= 4 and {fill.symbol for fill in replayed.fills} == {SPY, BTC}
    assert without_forecasts(found) == without_forecasts(replayed)
    assert found.fills == replayed.fills
    quick, result = in_backtest(tmp_path, chosen, **RULED)
    assert quick.fills == replayed.fills
    assert result.runs[0].played.made < len(found.decisions)


def without_forecasts(course: Course) -> list[tuple[object, ...]]:
    """What a forest foresees is written down while the rule is followed, and is heard by nobody."""
    return [(*each[:3], *each[4:]) for each in judged(course)]


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.shared_data
@needs_shared_data
@pytest.mark.parametrize(
    ("first", "last", "bar", "symbols", "changes"),
    [
        pytest.param("2024-10-31", "2024-11-05", BarSize.M5, FOUR, NARROW, id="the clocks go back"),
        pytest.param("2024-11-27", "2024-11-30", BarSize.M5, FOUR, NARROW, id="a half day"),
        pytest.param("2024-07-01", "2024-12-31", BarSize.D1, FOUR, {}, id="half a year of days"),
        pytest.param("2024-07-29", "2024-08-09", BarSize.M5, FOUR, RULED, id="the plain rule on five minutes"),
    ],
)
def test_real_prices_are_judged_and_traded_as_in_a_replay(
    tmp_path: Path,
    first: str,
    last: str,
    bar: BarSize,
    symbols: tuple[str, ...],
    changes: dict[str, str],
) -> None:
    chosen = replace(options(tmp_path, first, last, bar), data=needs_shared_data.folder, symbols=symbols)
    replayed = in_replay(tmp_path / "replay", chosen, **changes)
    found, _ = in_backtest(tmp_path, replace(chosen, every_tick=True), **changes)
    assert replayed.fills
    told = without_forecasts if "STRATEGY" in changes else judged
    assert told(found) == told(replayed)
    assert found.fills == replayed.fills
    quick, _ = in_backtest(tmp_path, chosen, **changes)
    assert quick.fills == replayed.fills


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.shared_data
@needs_shared_data
def test_a_split_in_raw_prices_is_lived_through_as_in_a_replay(tmp_path: Path) -> None:
    data = raw_days(tmp_path / "data", "AAPL", "2015-01-02", "2020-12-31")
    chosen = replace(options(tmp_path, "2020-08-01", "2020-10-15"), data=data, symbols=("AAPL",))
    changes = {"MIN_PROBABILITY": "0.2", "STOP_LOSS": "0.10", "TAKE_PROFIT": "0.30"}
    replayed = in_replay(tmp_path / "replay", chosen, **changes)
    every, whole = in_backtest(tmp_path, replace(chosen, every_tick=True), **changes)
    quick, result = in_backtest(tmp_path, chosen, **changes)
    assert replayed.fills
    assert every.fills == replayed.fills
    assert quick.fills == replayed.fills
    assert any(isinstance(booked.entry, PositionAdjustment) for booked in result.runs[0].books.entries)
    assert np.array_equal(result.runs[0].holdings.value, whole.runs[0].holdings.value)
