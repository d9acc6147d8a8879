"""Runs one life after another, each in a process of its own that may be killed, on one folder.

The libraries, the calendar and the simulated market are loaded once; every life is a fork of this process, opens the
files itself and ends by SIGKILL or on its own. It reads one JSON request a line and answers each with one line:
how the life ended, what it reported and every checkpoint that it passed.

Test side: `with Nest(folder) as nest: outcome = nest.live(seed, crash=Crash("submit.after_call", 2), ticks=40)`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from tests.fault.crashing import CRASH_NAME, CRASH_OCCURRENCE, FACTS_FILE, ROOT, TRAIL_FILE, Crash, report

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


class Nest:
    """The test's side."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Nest:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fault.kill_nest", str(self._folder)],
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
        assert self._process is not None
        stdin, stdout = self._pipes()
        stdin.close()
        self._process.wait(LONGEST_LIFE)
        stdout.close()

    def live(
        self, seed: int, *, ticks: int, mode: str = "auto", crash: Crash | None = None, from_birth: bool = False
    ) -> Outcome:
        """`crash` counts from when the life is ready, or `from_birth`. Raises AssertionError with the life's own
        traceback where it ended in any other way than asked for."""
        stdin, stdout = self._pipes()
        request = {
            "seed": seed,
            "ticks": ticks,
            "mode": mode,
            "from_birth": from_birth,
            "name": crash.name if crash else "",
            "occurrence": crash.occurrence if crash else 1,
        }
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        answer = json.loads(stdout.readline())
        outcome = Outcome(answer["signal"], answer["facts"], answer["trail"])
        assert answer["code"] == 0 or outcome.was_killed, f"{request} ended badly:\n{answer['error']}"
        return outcome

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout


# In the nest's process


def main(folder: Path) -> None:
    # Not above: the test's side needs none of it.
    from bot.bootstrap import make_calendar
    from bot.price_sources import make_simulated_market
    from core.domain.bars import BarSize
    from core.domain.instruments import instrument_for
    from tests.fault.kill_setup import START, SYMBOLS

    calendar = make_calendar()
    market = make_simulated_market(MARKET_SEED, calendar)
    for symbol in SYMBOLS:
        for size in (BarSize.D1, BarSize.M5):
            market.bars(instrument_for(symbol), size, START, 1_500)
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
        "trail": trail.read_text().splitlines() if trail.exists() else [],
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
