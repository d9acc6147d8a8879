"""Runs one life of the simulated month after another, each in a process of its own that may be killed, on one folder.

The libraries, the calendar and the market's prices are loaded once; every life is a fork of this process. It reads one
JSON request a line and answers each with one line: how the life ended, what it reported, and where it died.

Test side: `with AlpacaNest(folder) as nest: outcome = nest.live(request, crash=Crash("submit.after_call", 2))`.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.fault.crashing import Crash, report
from tests.fault.nests import LifeNest, live_each

LONGEST_LIFE = 1_800


@dataclass(frozen=True, slots=True)
class Ended:
    """How a life ended. `facts` are None where it died before it was awake; `place` is where it was killed."""

    was_killed: bool
    facts: dict[str, Any] | None
    place: str


class AlpacaNest(LifeNest):
    """The test's side. `prices` say which months of which symbols are loaded: symbols, seed, end."""

    def __init__(self, folder: Path, prices: Mapping[str, Any]) -> None:
        super().__init__("tests.soak.alpaca_nest", str(folder), json.dumps(prices), longest=LONGEST_LIFE)

    def live(self, request: Mapping[str, Any], crash: Crash | None = None) -> Ended:
        """`request`: address, symbols, seed, start, until and, with a crash, arm_at. Raises AssertionError with the
        life's own traceback where it ended in any other way than asked for."""
        told = self.ask(dict(request), crash)
        place = told["trail"][-1] if told["trail"] else ""
        ended = Ended(told["signal"] == signal.SIGKILL, told["facts"], place)
        assert told["code"] == 0 or (crash is not None and ended.was_killed), f"{request}:\n{told['error']}"
        return ended


# In the nest's process


def main(folder: Path, prices: Mapping[str, Any]) -> None:
    # Not above: the test's side needs none of it. What a life needs is loaded once, for all of them.
    import core.adapters.alpaca_trading_vendor
    import tests.soak.alpaca_life
    from bot.price_sources import make_calendar, make_simulated_market
    from core.domain.bars import BarSize
    from core.domain.instruments import instrument_for

    assert core.adapters.alpaca_trading_vendor
    assert tests.soak.alpaca_life
    calendar, end = make_calendar(), datetime.fromisoformat(prices["end"])
    market = make_simulated_market(prices["seed"], calendar)
    for symbol in prices["symbols"]:
        for size in (BarSize.D1, BarSize.M5):
            market.bars(instrument_for(symbol), size, end, prices["count"])
    live_each(folder, lambda request: _live(folder, request, market, calendar), LONGEST_LIFE)


def _live(folder: Path, request: dict[str, Any], market: Any, calendar: Any) -> None:
    from tests.soak.alpaca_life import AlpacaLife

    life = AlpacaLife(folder, request, market, calendar)
    life.wake()
    life.settle()
    report(life.facts())
    arm_at = request.get("arm_at")
    life.live(datetime.fromisoformat(request["until"]), datetime.fromisoformat(arm_at) if arm_at else None)
    life.settle()
    report(life.facts())
    life.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
