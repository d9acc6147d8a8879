"""Several profiles over the same period: the models are trained once, the figures stand side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.backtest import Backtest, BacktestOptions, BacktestResult, Begin
from bot.backtest_report import caveats
from core.performance import Performance, table
from core.settings import Settings
from core.settings.profiles import ProfileName


def prepared(settings: Settings, options: BacktestOptions, names: Sequence[ProfileName]) -> list[Backtest]:
    """One run a profile, each named once; without a name the settings as they are. Raises Fatal as Backtest does."""
    wanted = [settings.in_profile(name) for name in dict.fromkeys(names)] or [settings]
    return [Backtest(each, options) for each in wanted]


def played(tested: Sequence[Backtest], begin: Begin) -> list[BacktestResult]:
    """In their order. The plain rule, which is the same beside each, is played once."""
    results: list[BacktestResult] = []
    for each in tested:
        plain = next((known.plain for known in results if known.plain), None)
        results.append(each.run(begin, plain))
    return results


def side_by_side(results: Sequence[BacktestResult]) -> str:
    """A table for each part of the symbols, a column a profile, beside the same assets held; then what the figures do
    not show, once each."""
    tables = [table(_columns(results, place)) for place in range(len(results[0].runs))]
    said = dict.fromkeys(line for result in results for line in _said(result, results))
    return "\n".join(("", "\n\n".join(tables), "", *(f"- {line}" for line in said)))


def _said(result: BacktestResult, results: Sequence[BacktestResult]) -> list[str]:
    """Its caveats; what is not true of every profile names its own."""
    shared = set.intersection(*(set(caveats(each)) for each in results))
    return [line if line in shared else f"{result.profile}: {line}" for line in caveats(result)]


def _columns(results: Sequence[BacktestResult], place: int) -> list[Performance]:
    first = results[0]
    name = first.runs[place].line.name
    columns = [replace(each.runs[place].strategy, name=f"{each.profile}, {name}") for each in results]
    plain = next((each.plain for each in results if each.plain), ())
    if plain and all(each.profile != ProfileName.RULE for each in results):
        columns.append(plain[place].strategy)
    held = first.runs[place].held
    if held is not None:
        columns.append(held.performance)
    if first.market is not None:
        columns.append(first.market.performance)
    return columns
