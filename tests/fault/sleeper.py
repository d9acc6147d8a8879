"""One life of an installation (tests.fault.kill_life) that waits at a chosen checkpoint to be put to sleep by SIGSTOP.

`python -m tests.fault.sleeper FOLDER SEED TICKS [CHECKPOINT]`. At the place it makes the file WAITS and goes on once
somebody has taken that away. Ends with code 1 and the reason on stderr where the ledger was lost meanwhile, with code 0
after its ticks.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from bot.price_sources import make_calendar, make_simulated_market
from core.errors import LeaseLost
from tests.fault.kill_life import Life, Watch
from tests.fault.kill_nest import MARKET_SEED

LONGEST = 100

LEDGER = Path("data") / "ledger-simulated.sqlite"
WAITS = "waits"


class Sleeper(Watch):
    """Waits the first time that the place is reached. It does not stop itself: only from outside can one see whether
    another thread is in the middle of a transaction, which would keep the file."""

    def __init__(self, place: str, folder: Path) -> None:
        super().__init__()
        self._place = place
        self._waits = folder / WAITS

    def __call__(self, name: str) -> None:
        with_orders = f"{name} with orders"
        if self.is_armed and (name == self._place or (with_orders == self._place and self.orders_under_way())):
            self._place = ""
            self._waits.touch()
            while self._waits.exists():
                time.sleep(0.01)


def main(folder: Path, seed: int, ticks: int, place: str) -> int:
    signal.alarm(LONGEST)
    calendar = make_calendar()
    life = Life(folder, seed, make_simulated_market(MARKET_SEED, calendar), calendar, Sleeper(place, folder))
    try:
        life.wake()
        life.tap_again()
        life.begin()
        life.live(ticks, "auto")
        life.tell_everything()
    except LeaseLost as lost:
        print(f"stopped: {lost}", file=sys.stderr)
        return 1
    life.close()
    return 0


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "")
    # The writer's thread of a life that was cut short still waits for work.
    os._exit(code)
