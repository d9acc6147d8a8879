"""What a backtest says at its end: the table, what was counted, and what it does not show."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from bot import backtest_luck
from bot.backtest import BacktestOptions, BacktestResult, Run
from bot.backtest_png import draw
from bot.backtest_sheet import picture, sheet
from bot.backtest_views import bought_at, daily_points
from core.domain.codec import encode
from core.domain.decisions import BrakeKind
from core.domain.dust import without_dust
from core.errors import Fatal
from core.performance import Performance, table
from core.ports import Worker
from core.strategy.policy import Strategy
from jobs.verdict import committed_verdict

SECONDS_TO_DRAW = 120.0


def words(result: BacktestResult) -> str:
    """The table of figures with its caveats, for a terminal."""
    return "\n".join(("", table(rows(result)), "", *(f"- {line}" for line in caveats(result))))


def rows(result: BacktestResult) -> list[Performance]:
    """Each run beside the same assets bought and held, then the plain rule and the market."""
    found: list[Performance] = []
    for run in result.runs:
        found.append(run.strategy)
        if run.held is not None:
            found.append(run.held.performance)
    found += [run.strategy for run in result.plain]
    if result.market is not None:
        found.append(result.market.performance)
    return found


def caveats(result: BacktestResult) -> list[str]:
    """What a reader must know before he believes a figure."""
    return [line for line in _caveats(result) if line]


def _caveats(result: BacktestResult) -> Iterator[str]:
    options, whole = result.options, result.runs[0]
    yield _of_prices(options)
    if options.delay > timedelta(0):
        hours = options.delay.total_seconds() / 3600
        yield f"By hand: each order reaches the venue {hours:g} h after its decision and fills at the next open then."
    yield (
        "Fills: the next bar's open after a decision, the stop before the target within a bar, gaps at the open; "
        "spread, slippage and fees are paid. At most a tenth of a bar's volume is taken where the bars tell it."
    )
    yield _of_models(result)
    yield _of_plain(result)
    yield committed_verdict()
    yield from backtest_luck.words(result.luck)
    yield _of_choice(result)
    yield from (_of_brake(run) for run in _all_runs(result))
    held = without_dust(whole.portfolio.positions)
    yield f"At the end {len(held)} positions are open and counted at their last price." if held else ""
    yield "One past of a few assets that move together is one sample. Past figures promise nothing."
    yield from (f"{line}." for line in result.left_out)


def _of_prices(options: BacktestOptions) -> str:
    if options.stored is not None:
        return "Prices that this installation has stored; dividends are not among them."
    if options.data is None:
        return "SIMULATED prices: no real market moved like this."
    return f"Prices from {options.data}."


def _of_models(result: BacktestResult) -> str:
    if result.policy.strategy is Strategy.RULE:
        return "No model: the plain rule decides, and buys a size once that it keeps until it sells."
    refused = sum(bool(each.objection) for each in result.trained)
    if not result.trained:
        return "No model could be trained: too few labelled rows before the period. Nothing was bought."
    return (
        f"{len(result.trained)} models, each trained only on what was known by then and used only after it; "
        f"{refused} were refused by the rule that guards the live engine. All are of one recipe: contests of recipes "
        "are not played, and no model is compared with the one before it."
    )


def _of_plain(result: BacktestResult) -> str:
    if not result.plain:
        return f"The plain rule could not be played beside it: {result.unplayed}." if result.unplayed else ""
    return (
        "The plain rule (held above the mean of 200 days) is the profile 'rule' on daily bars, by the same code with "
        "the same costs: what learning has to beat."
    )


def _all_runs(result: BacktestResult) -> list[Run]:
    return [*result.runs, *result.plain]


def _of_choice(result: BacktestResult) -> str:
    if len(result.runs) == 1:
        return "The assets were chosen by you, today, knowing how they went."
    names = " and ".join(f"'{run.line.name}'" for run in result.runs[1:])
    return (
        f"The assets were chosen knowing how they went: read {names} before 'all'. The lines share their models and "
        "differ in what may be bought."
    )


def _of_brake(run: Run) -> str:
    """A brake on the drawdown waits for the owner: who reads the figures must know how long nothing was bought."""
    released = len(run.books.released)
    often = "once" if released == 1 else f"{released} times"
    times = f"'{run.line.name}' met the drawdown limit {often}, and was released as --unlock says."
    brake = next((each for each in run.books.brakes.values() if each.kind is BrakeKind.DRAWDOWN), None)
    if brake is None:
        return times if released else ""
    return (
        f"'{run.line.name}' bought nothing from {brake.since:%Y-%m-%d} on: {brake.reason}. Nobody was there to release "
        "it; --unlock 30d shows what follows where somebody is."
    )


def figures(result: BacktestResult) -> str:
    """The same as JSON, for a machine to read; equal runs give equal text."""
    return json.dumps(
        {
            "figures": [encode(asdict(row)) for row in rows(result)],
            "caveats": caveats(result),
            "luck": backtest_luck.figures(result.luck),
            "runs": [_figures(run) for run in _all_runs(result)],
            "models": [
                {
                    "at": encode(each.at),
                    "version": each.bundle.version,
                    "rows": each.rows,
                    "scores": asdict(each.scores),
                    "objection": each.objection,
                }
                for each in result.trained
            ],
        },
        indent=1,
    )


def _figures(run: Run) -> dict[str, object]:
    return {
        "name": run.line.name,
        "symbols": list(run.line.symbols),
        "cash": encode(run.portfolio.cash),
        "fees": encode(run.portfolio.fees),
        "closed_trades": [encode(trade) for trade in run.portfolio.closed],
        "ticks": len(run.played.ticks),
        "ticks_made": run.played.made,
        "equity": [
            [int(at), round(float(value), 2)] for at, value in zip(*daily_points(run.holdings.curve()), strict=True)
        ],
    }


def trades_csv(result: BacktestResult) -> str:
    """Every closed trade of every run, one a row."""
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    names = ("symbol", "quantity", "cost", "proceeds", "profit", "bought_at", "closed_at", "reason")
    writer.writerow(("run", *names))
    for run in result.runs:
        opened = bought_at(run)
        for trade in run.portfolio.closed:
            money = (trade.cost, trade.proceeds, trade.profit)
            times = (opened[trade].isoformat(), trade.closed_at.isoformat())
            writer.writerow(
                (run.line.name, trade.symbol, trade.quantity, *(f"{usd:.2f}" for usd in money), *times, trade.purpose)
            )
    return sheet.getvalue()


def write(result: BacktestResult, folder: Path, worker: Worker) -> str:
    """Figures, trades, tear sheet and picture into `folder`, which is made where it is missing; `worker` draws.

    Returns why there is no picture; empty where there is one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.json").write_text(figures(result), encoding="utf-8")
    (folder / "trades.csv").write_text(trades_csv(result), encoding="utf-8")
    (folder / "sheet.html").write_text(sheet(result, rows(result), caveats(result)), encoding="utf-8")
    try:
        drawn = worker.run(draw, picture(result, rows(result)), deadline=SECONDS_TO_DRAW)
    except Fatal as missing:
        return str(missing)
    (folder / "sheet.png").write_bytes(drawn)
    return ""
