"""Measures the profiles as they were declared: python -m bot.profile_figures --data FOLDER --work FOLDER --on DATE.

Every figure is made by the code that trades, over a past period, net of costs. It writes core/settings/
profile_figures.json, and from it the tables of PROFILES.md and of the README; nothing in them is typed by hand.
Finished trainings are kept in --work, finished figures in the file: with --profile only the named ones are measured
anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from bot import profile_page
from bot.backtest import Backtest, BacktestOptions, BacktestResult, Run
from core.domain.bars import BarSize
from core.domain.decisions import BrakeKind
from core.performance import Curve, Performance, sharpe
from core.series import COLUMNS
from core.settings import Settings, load_settings
from core.settings.profile_figures import FIGURES, Line
from core.settings.profiles import DECLARED, DIGEST, PROFILES, ProfileName

PLACES = 6
REPOSITORY = Path(__file__).resolve().parents[1]
Row = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bot.profile_figures", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of bars; without it the pages are written from what is kept")
    parser.add_argument("--work", type=Path, default=Path("work"), help="where finished trainings are kept")
    parser.add_argument("--on", type=date.fromisoformat, metavar="YYYY-MM-DD", help="the day of the measurement")
    parser.add_argument("--profile", action="append", type=ProfileName, choices=tuple(ProfileName), help="only these")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes that train")
    given = parser.parse_args(arguments)
    if given.data is not None:
        if given.on is None:
            parser.error("--on is needed: a measurement has a day")
        for name in given.profile or ProfileName:
            book = measure_into(_kept(), name, given.data, given.work, given.on, given.jobs)
            FIGURES.write_text(json.dumps(book, indent=1) + "\n", encoding="utf-8")
    profile_page.write(REPOSITORY)
    return 0


def measure_into(book: Row, name: ProfileName, data: Path, work: Path, on: date, jobs: int) -> Row:
    """`book` with the profile's figures; what was measured by another declaration, or of other bars, is dropped."""
    told = declared()
    options = _options(told, data, work, jobs)
    backtest = Backtest(_settings(work, {}).in_profile(name), options)
    result = _run(backtest, name.value)
    conditions = {
        **{each: told[each] for each in ("first", "last", "capital", "unlock_days", "retrain_days")},
        "bar": options.bar.value,
        "data": _data_of(backtest),
    }
    profiles = still_true(book, conditions)
    neighbours = [
        {"changed": changed, "line": _line(_neighbour(name, changed, options).runs[0])}
        for changed in neighbours_of(told, name)
    ]
    profiles[name.value] = {
        "recipe": _recipe(result),
        "lines": [_line(run) for run in result.runs],
        "neighbours": neighbours,
    }
    return {
        "declared": DIGEST,
        "conditions": {"on": on.isoformat(), **conditions},
        "held": list(_held(result)),
        "profiles": {each.value: profiles[each.value] for each in ProfileName if each.value in profiles},
    }


def declared() -> Mapping[str, Any]:
    """How everything is measured."""
    told: Mapping[str, Any] = json.loads(DECLARED.read_bytes())["measure"]
    return told


def neighbours_of(told: Mapping[str, Any], name: ProfileName) -> list[dict[str, str]]:
    """One setting at another value each; a value with an x is so many times the profile's."""
    values = PROFILES[name].values
    found = []
    for setting, others in told["neighbours"][values["STRATEGY"]].items():
        for text in others:
            value = Decimal(values[setting]) * Decimal(text[1:]) if text.startswith("x") else Decimal(text)
            found.append({setting: f"{value.normalize():f}"})
    return found


def _data_of(backtest: Backtest) -> str:
    """A hash of the bars."""
    digest = hashlib.sha256()
    for symbol, series in sorted(backtest.daily.items()):
        digest.update(symbol.encode())
        for column in COLUMNS:
            digest.update(getattr(series, column).tobytes())
    return digest.hexdigest()


def _run(backtest: Backtest, what: str) -> BacktestResult:
    print(f"{what} ...", file=sys.stderr, flush=True)
    return backtest.run(lambda _what, _steps: lambda _done: None, plain=())


def _neighbour(name: ProfileName, changed: Mapping[str, str], options: BacktestOptions) -> BacktestResult:
    given = {setting: text for setting, text in {**PROFILES[name].values, **changed}.items() if text}
    return _run(Backtest(_settings(options.folder, given), replace(options, beside=False)), f"{name} {changed}")


def _settings(work: Path, given: Mapping[str, str]) -> Settings:
    return load_settings({"STATE_DIR": str(work), "TIME_ZONE": "UTC", **given}, None)


def _options(told: Mapping[str, Any], data: Path, work: Path, jobs: int) -> BacktestOptions:
    return BacktestOptions(
        data=data,
        first=date.fromisoformat(told["first"]),
        last=date.fromisoformat(told["last"]),
        bar=BarSize.D1,
        symbols=tuple(told["symbols"]),
        seed=0,
        capital=Decimal(told["capital"]),
        folder=work,
        retrain=timedelta(days=told["retrain_days"]),
        jobs=jobs,
        unlock=timedelta(days=told["unlock_days"]),
    )


def _line(run: Run) -> Row:
    standing = sum(brake.kind is BrakeKind.DRAWDOWN for brake in run.books.brakes.values())
    return _figures(run.line.name, run.strategy, run.holdings.curve(), len(run.books.released) + standing)


def _held(result: BacktestResult) -> Iterator[Row]:
    for run in result.runs:
        if run.held is not None:
            yield _figures(run.line.name, run.held.performance, run.held.curve)
    if result.market is not None:
        yield _figures("SPY", result.market.performance, result.market.curve)


def _figures(name: str, made: Performance, curve: Curve, released: int = 0) -> Row:
    returns = curve.daily()
    volatility = float(returns.std(ddof=1)) * math.sqrt(made.days_a_year)
    first, second = (sharpe(each, made.days_a_year) for each in np.array_split(returns, 2))
    line = Line(
        name=name,
        annualised=_tidy(made.annualised or 0.0),
        volatility=_tidy(volatility),
        sharpe=_tidy(made.sharpe or 0.0),
        halves=(_tidy(first or 0.0), _tidy(second or 0.0)),
        drawdown=_tidy(made.max_drawdown),
        trades=made.trades,
        win_rate=None if made.win_rate is None else _tidy(made.win_rate),
        costs=round(made.costs, 2),
        turnover=_tidy(made.turnover),
        exposure=_tidy(made.exposure),
        released=released,
    )
    return {**asdict(line), "halves": list(line.halves)}


def _tidy(value: float) -> float:
    return round(value, PLACES)


def _recipe(result: BacktestResult) -> str:
    """What the models were fitted by; empty where none was asked."""
    return result.trained[-1].bundle.recipe if result.trained else ""


def _kept() -> Row:
    found: Row = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
    return found


def still_true(book: Row, conditions: Mapping[str, Any]) -> Row:
    """The figures of `book` by profile, where they were measured as declared now and under the same `conditions`; none
    otherwise."""
    if book.get("declared") != DIGEST:
        return {}
    measured = {name: value for name, value in book["conditions"].items() if name != "on"}
    return dict(book["profiles"]) if measured == conditions else {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
