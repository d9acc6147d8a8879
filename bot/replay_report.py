"""What a replay prints at its end: the table, what it counts and what it does not promise."""

from __future__ import annotations

import json
from dataclasses import asdict

from bot.replay import ReplayResult
from core.domain.codec import encode
from core.domain.dust import without_dust
from core.performance import table


def words(result: ReplayResult, prices: str, seconds: float) -> str:
    """`prices` says where they came from; `seconds` of wall time."""
    rows = [result.strategy] if result.holding is None else [result.strategy, result.holding]
    open_positions = len(without_dust(result.portfolio.positions))
    return "\n".join(
        (
            "",
            table(rows),
            "",
            *(f"{line}." for line in result.left_out),
            f"{prices} Simulated broker: fills at the next bar's open, spread, slippage and fees included.",
            "Buy and hold: equal parts of all instruments, each from its first bar.",
            f"{open_positions} positions are still open. Past figures promise nothing.",
            f"{result.runs:,} runs of jobs, {result.trainings} trainings, {result.messages:,} messages.",
            _contests(result),
            f"{seconds:.1f} s of wall time.",
            f"Ledger head {result.ledger_head}",
        )
    )


def _contests(result: ReplayResult) -> str:
    if result.contests is None:
        return "Without contests of recipes, which a live run holds each month: --contest holds them here, too."
    return f"{result.contests} contests of recipes."


def figures(result: ReplayResult) -> str:
    """The same as JSON, for a machine to read."""
    return json.dumps(
        {
            "strategy": encode(asdict(result.strategy)),
            "buy_and_hold": encode(asdict(result.holding)) if result.holding else None,
            "cash": encode(result.portfolio.cash),
            "fees": encode(result.portfolio.fees),
            "closed_trades": [encode(trade) for trade in result.portfolio.closed],
            "equity": [encode(point) for point in result.equity],
            "rows_left_out": list(result.left_out),
            "ledger_head": result.ledger_head,
        },
        indent=1,
    )
