"""Runs one life after another, each in a process of its own that may be killed, on one folder.

The libraries, the calendar and the simulated market are loaded once; every life is a fork of this process, opens the
files itself and ends by SIGKILL or on its own. It reads one JSON request a line and answers each with one line:
how the life ended, what it reported and every checkpoint that it passed.

Test side: `with Nest(folder) as nest: outcome = nest.live(seed, crash=Crash("submit.after_call", 2), ticks=40)`.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.fault.crashing import Crash, report
from tests.fault.nests import LifeNest, live_each

LONGEST_LIFE = 90
MARKET_SEED = 7


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a life ended. `facts` are None where it died before it was ready; `trail` ends with the fatal checkpoint."""

    signal: int | None
    facts: dict[str, Any] | None
    trail: list[str]

    @property
    def was_killed(self) -> bool:
        return self.signal == signal.SIGKILL


class Nest(LifeNest):
    """The test's side."""

    def __init__(self, folder: Path) -> None:
        super().__init__("tests.fault.kill_nest", str(folder), longest=LONGEST_LIFE)

    def live(
        self, seed: int, *, ticks: int, mode: str = "auto", crash: Crash | None = None, from_birth: bool = False
    ) -> Outcome:
        """`crash` counts from when the life is ready, or `from_birth`. Raises AssertionError with the life's own
        traceback where it ended in any other way than asked for."""
        request = {"seed": seed, "ticks": ticks, "mode": mode, "from_birth": from_birth}
        answer = self.ask(request, crash)
        outcome = Outcome(answer["signal"], answer["facts"], answer["trail"])
        assert answer["code"] == 0 or outcome.was_killed, f"{request}, {crash} ended badly:\n{answer['error']}"
        return outcome


# In the nest's process


def main(folder: Path) -> None:
    # Not above: the test's side needs none of it.
    from bot.price_sources import make_calendar, make_simulated_market
    from core.domain.bars import BarSize
    from core.domain.instruments import instrument_for
    from tests.fault.kill_setup import START, SYMBOLS

    calendar = make_calendar()
    market = make_simulated_market(MARKET_SEED, calendar)
    for symbol in SYMBOLS:
        for size in (BarSize.D1, BarSize.M5):
            market.bars(instrument_for(symbol), size, START, 1_500)
    with TemporaryDirectory(dir=folder) as place:
        _rehearse(Path(place), market, calendar)
    live_each(folder, lambda request: _live(folder, request, market, calendar), LONGEST_LIFE)


def _rehearse(folder: Path, market: Any, calendar: Any) -> None:
    """What the first life of a process has to load and to compile, no fork has to do again."""
    from tests.fault.kill_checks import violations
    from tests.fault.kill_life import Life

    life = Life(folder, 0, market, calendar)
    life.wake()
    life.begin()
    assert not violations(life)
    life.close()


def _live(folder: Path, request: dict[str, Any], market: Any, calendar: Any) -> None:
    from tests.fault.kill_checks import violations
    from tests.fault.kill_found import found, kept, resolved
    from tests.fault.kill_life import Life

    life = Life(folder, request["seed"], market, calendar)
    before = found(life)
    life.watch.is_armed = request["from_birth"]
    crashed = life.wake()
    broken = [*kept(life, before, crashed), *violations(life)]
    life.tap_again()
    broken += [*resolved(life, before), *violations(life)]
    life.begin()
    broken += violations(life)
    facts = {
        "open_runs": [run.job for run in before.open_runs],
        "orders_under_way": before.orders_under_way,
        "sending": before.sending,
        **life.counts(),
    }
    report({**facts, "broken": broken, "waiting": None})
    life.live(request["ticks"], request["mode"])
    waiting = life.tell_everything()
    report({**facts, **life.counts(), "broken": [*broken, *violations(life)], "waiting": waiting})
    life.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
