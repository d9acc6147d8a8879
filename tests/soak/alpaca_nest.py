"""Runs one life of the simulated month after another, each in a process of its own that may be killed, on one folder.

The libraries, the calendar and the market's prices are loaded once; every life is a fork of this process. It reads one
JSON request a line and answers each with one line: how the life ended, what it reported, and where it died.

Test side: `with AlpacaNest(folder) as nest: outcome = nest.live(request, crash=Crash("submit.after_call", 2))`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from tests.fault.crashing import CRASH_NAME, CRASH_OCCURRENCE, FACTS_FILE, ROOT, TRAIL_FILE, Crash, report

LONGEST_LIFE = 1_800


@dataclass(frozen=True, slots=True)
class Ended:
    """How a life ended. `facts` are None where it died before it was awake; `place` is where it was killed."""

    was_killed: bool
    facts: dict[str, Any] | None
    place: str


class AlpacaNest:
    """The test's side. `prices` say which months of which symbols are loaded: symbols, seed, end."""

    def __init__(self, folder: Path, prices: Mapping[str, Any]) -> None:
        self._folder = folder
        self._prices = prices
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> AlpacaNest:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.alpaca_nest", str(self._folder), json.dumps(self._prices)],
            cwd=ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stdin, stdout = self._pipes()
        stdin.close()
        assert self._process is not None
        self._process.wait(LONGEST_LIFE)
        stdout.close()

    def live(self, request: Mapping[str, Any], crash: Crash | None = None) -> Ended:
        """`request`: address, symbols, seed, start, until and, with a crash, arm_at. Raises AssertionError with the
        life's own traceback where it ended in any other way than asked for."""
        stdin, stdout = self._pipes()
        chosen = {"name": crash.name if crash else "", "occurrence": crash.occurrence if crash else 1}
        stdin.write(json.dumps({**request, **chosen}) + "\n")
        stdin.flush()
        told = json.loads(stdout.readline())
        ended = Ended(told["signal"] == signal.SIGKILL, told["facts"], told["place"])
        assert told["code"] == 0 or (crash is not None and ended.was_killed), f"{request}:\n{told['error']}"
        return ended

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout


# In the nest's process


def main(folder: Path, prices: Mapping[str, Any]) -> None:
    # Not above: the test's side needs none of it. What a life needs is loaded once, for all of them.
    import core.adapters.alpaca_trading_vendor
    import tests.soak.alpaca_life
    from bot.bootstrap import make_calendar
    from bot.price_sources import make_simulated_market
    from core.domain.bars import BarSize
    from core.domain.instruments import instrument_for

    assert core.adapters.alpaca_trading_vendor
    assert tests.soak.alpaca_life
    calendar, end = make_calendar(), datetime.fromisoformat(prices["end"])
    market = make_simulated_market(prices["seed"], calendar)
    for symbol in prices["symbols"]:
        for size in (BarSize.D1, BarSize.M5):
            market.bars(instrument_for(symbol), size, end, prices["count"])
    for line in sys.stdin:
        request = json.loads(line)
        for leftover in ("facts.json", "trail.txt", "error.txt"):
            (folder / leftover).unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            os._exit(_in_the_child(folder, request, market, calendar))
        _, status = os.waitpid(child, 0)
        print(json.dumps(_answer(folder, status)), flush=True)


def _answer(folder: Path, status: int) -> dict[str, Any]:
    facts, trail, error = (folder / name for name in ("facts.json", "trail.txt", "error.txt"))
    return {
        "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1,
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        "facts": json.loads(facts.read_text()) if facts.exists() else None,
        "place": trail.read_text().splitlines()[-1] if trail.exists() else "",
        "error": error.read_text() if error.exists() else "no traceback",
    }


def _in_the_child(folder: Path, request: dict[str, Any], market: Any, calendar: Any) -> int:
    signal.alarm(LONGEST_LIFE)
    os.environ[FACTS_FILE], os.environ[TRAIL_FILE] = str(folder / "facts.json"), str(folder / "trail.txt")
    os.environ[CRASH_NAME], os.environ[CRASH_OCCURRENCE] = request["name"], str(request["occurrence"])
    try:
        _live(folder, request, market, calendar)
    except BaseException:  # noqa: BLE001 - told to the test, which fails with it
        (folder / "error.txt").write_text(traceback.format_exc())
        return 1
    return 0


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
