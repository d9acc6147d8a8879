"""The quick account of research and the engine itself, over the same forecasts of the same real bars.

Of funds alone: at a venue without brackets for coins the engine sees a coin's target at the close of a daily bar, and
its stop rests from the next one on, while research counts both within the bar. Live it looks every minute.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from bot.backtest import Backtest, BacktestOptions
from bot.backtest_lines import Line
from core.backtest.forecasts import Forecasts, ModelsInTime
from core.domain.bars import BarSize
from core.learning import plans
from core.learning.declared import read_declaration
from core.learning.history import read_histories
from core.learning.market import market_of
from core.learning.portfolio import Result, Rules
from core.learning.statistics import sharpe
from core.series import Floats
from core.settings import load_settings
from tests.fakes_bars import needs_shared_data

SYMBOLS = ("SPY", "QQQ", "IWM", "VTI")
FIRST, LAST = date(2018, 1, 1), date(2022, 12, 31)
EPOCH = date(1970, 1, 1)
# The account of research has no brakes on losses.
WITHOUT_BRAKES = {"DAILY_LOSS_LIMIT": "0.99", "DRAWDOWN_LIMIT": "0.99", "LOSS_STREAK": "1000", "TIME_ZONE": "UTC"}


def foreseen(close: Floats) -> Floats:
    """A stand-in for a model: sure of what has risen for 20 days."""
    said = np.full(len(close), np.nan)
    said[120:] = np.where(close[120:] > close[100:-20], 0.7, 0.4)
    return said


def by_the_engine(folder: Path) -> tuple[dict[int, float], int]:
    """(value at the end of each day since 1970, trades that were worth something)."""
    settings = load_settings({"STATE_DIR": str(folder), **WITHOUT_BRAKES}, None)
    data, capital = needs_shared_data.folder, Decimal(100_000)
    options = BacktestOptions(data, FIRST, LAST, BarSize.D1, SYMBOLS, 7, capital, folder / "work", beside=False)
    backtest = Backtest(settings, options)
    said = {name: (series.closed_at, foreseen(series.close)) for name, series in backtest.daily.items()}
    models = ModelsInTime([(datetime(2000, 1, 1, tzinfo=UTC), Forecasts("fixed", "rises", said))])
    run = backtest._run(Line("all", SYMBOLS), models, lambda _what, _steps: lambda _done: None)
    curve = run.holdings.curve()
    days = (curve.at - 1) // 86_400
    last = np.flatnonzero(np.append(np.diff(days) > 0, True))
    worth = sum(each.cost > 1 for each in run.portfolio.closed)
    return dict(zip(days[last].tolist(), curve.value[last].tolist(), strict=True)), worth


def by_research() -> tuple[list[int], Result]:
    end = datetime(LAST.year, LAST.month, LAST.day, tzinfo=UTC) + timedelta(days=1)
    histories = list(read_histories(needs_shared_data.folder, SYMBOLS, end).values())
    market = market_of(histories, (FIRST - EPOCH).days, (LAST - EPOCH).days)
    gate = next(each for each in read_declaration().configurations if each.use == "gate")
    said = [foreseen(history.bars.close) for history in histories]
    account = replace(Rules(), whole_units=True)
    return market.day.tolist(), plans.play(market, histories, gate, said, 0.6, account)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.shared_data
@needs_shared_data
@pytest.mark.feature("S17")
def test_the_account_of_research_comes_to_what_the_engine_comes_to(tmp_path: Path) -> None:
    """Not to the cent: the engine knows ticks, fees by the share and an hour's rest between two trades."""
    engine, trades = by_the_engine(tmp_path)
    days, result = by_research()
    shared = [place for place, day in enumerate(days) if day in engine]
    ours, theirs = result.equity[shared], np.array([engine[days[place]] for place in shared])
    assert len(shared) > 1200 and min(trades, len(result.trades)) > 40
    assert ours[-1] == pytest.approx(theirs[-1], rel=0.01)
    our_returns, their_returns = (each[1:] / each[:-1] - 1 for each in (ours, theirs))
    assert np.corrcoef(our_returns, their_returns)[0, 1] > 0.99
    assert sharpe(our_returns) * np.sqrt(252) == pytest.approx(sharpe(their_returns) * np.sqrt(252), abs=0.05)
    assert len(result.trades) == pytest.approx(trades, abs=2)
