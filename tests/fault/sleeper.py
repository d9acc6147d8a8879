"""One life of an installation (tests.fault.kill_life) that puts itself to sleep by SIGSTOP at a chosen checkpoint.

`python -m tests.fault.sleeper FOLDER SEED TICKS [CHECKPOINT]`. Ends with code 1 and the reason on stderr where the
ledger was lost meanwhile, with code 0 after its ticks.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from bot.bootstrap import make_calendar, make_simulated_market
from core.errors import LeaseLost
from tests.fault.kill_life import Life, Watch
from tests.fault.kill_nest import MARKET_SEED

LONGEST = 100


LEDGER = Path("data") / "ledger-simulated.sqlite"


class Sleeper(Watch):
    """Stops the whole process the first time that the place is reached while nobody in it is writing to the ledger: one
    that sleeps in the middle of a transaction keeps the file, and a second process is refused until it wakes."""

    def __init__(self, place: str, ledger: Path) -> None:
        super().__init__()
        self._place = place
        self._ledger = ledger

    def __call__(self, name: str) -> None:
        with_orders = f"{name} with orders"
        here = name == self._place or (with_orders == self._place and self.orders_under_way())
        if self.is_armed and here and self._is_free():
            self._place = ""
            os.kill(os.getpid(), signal.SIGSTOP)

    def _is_free(self) -> bool:
        with closing(sqlite3.connect(self._ledger, timeout=0, isolation_level=None)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
                database.execute("ROLLBACK")
            except sqlite3.OperationalError:
                return False
        return True


def main(folder: Path, seed: int, ticks: int, place: str) -> int:
    signal.alarm(LONGEST)
    calendar = make_calendar()
    life = Life(folder, seed, make_simulated_market(MARKET_SEED, calendar), calendar, Sleeper(place, folder / LEDGER))
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
