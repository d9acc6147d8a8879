"""What a decision costs, counted in lines of code run rather than in seconds."""

from __future__ import annotations

import sys
from decimal import Decimal
from types import FrameType
from typing import Any

from core.strategy.decide import decide
from core.strategy.policy import Policy
from core.strategy.snapshot import Snapshot
from tests.snapshot_builders import (
    FixedPredictor,
    account_view,
    entry_order,
    exit_order,
    guard,
    market,
    position,
    snapshot,
)


def busy(count: int) -> Snapshot:
    """`count` markets: a third held, with a working stop each, a third with a pending entry."""
    symbols = [f"S{number:03d}" for number in range(count)]
    held, pending = symbols[::3], symbols[1::3]
    view = account_view(
        "100000",
        *(position(symbol, "1", "100") for symbol in held),
        orders=[
            *(exit_order(symbol, "1") for symbol in held),
            *(entry_order(symbol, "1", "100") for symbol in pending),
        ],
        guards=[guard(symbol, "95", "115") for symbol in held],
    )
    return snapshot(*(market(symbol) for symbol in symbols), accounts=[view])


def lines_run(count: int) -> int:
    seen, lines = busy(count), 0
    sure = FixedPredictor({each.instrument.symbol: 0.7 for each in seen.markets})
    policy = Policy(max_asset_fraction=Decimal("0.01"))

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        decide(seen, sure, policy)
    finally:
        sys.settrace(former)
    return lines


def test_an_instrument_costs_the_same_whether_there_are_sixty_or_two_hundred_and_forty() -> None:
    lines_run(3)
    few, many = lines_run(60) / 60, lines_run(240) / 240
    assert many < 1.1 * few
