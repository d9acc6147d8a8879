"""What comes beside trading in a simulated month: money of all kinds, hours in which Alpaca is out of order, keys that
are refused, a clock that is ahead, cancellations that take their time, a stock that is halted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from tests.servers.alpaca_trading_server import AlpacaTradingServer

DAYS = 60


@dataclass(frozen=True)
class Happening:
    at: datetime
    name: str
    happen: Callable[[], None]


def happenings(server: AlpacaTradingServer, start: datetime, chance: np.random.Generator) -> list[Happening]:
    """Two months of them, in order; when on a day, is by chance."""
    found: list[Happening] = []
    for day in range(DAYS):
        at = start.replace(hour=0) + timedelta(days=day, minutes=int(chance.integers(1, 1_400)))
        found += [each for each in (*_money(server, at, day), *_trouble(server, at, day)) if each.at > start]
    return sorted(found, key=lambda each: each.at)


def _money(server: AlpacaTradingServer, at: datetime, day: int) -> Iterator[Happening]:
    if day % 3 == 0:
        yield Happening(at, "dividend", lambda: server.dividend("SPY", "1.37"))
    if day % 4 == 2:
        yield Happening(at, "interest", lambda: server.move("INT", "0.83"))
    if day % 5 == 1:
        yield Happening(at, "fee", lambda: server.move("FEE", "-0.11", activity_sub_type="TAF"))
    if day % 9 == 4:
        yield Happening(at, "deposit", lambda: server.move("CSD", 250))
    if day % 9 == 8:
        yield Happening(at, "withdrawal", lambda: server.move("CSW", -125))


def _trouble(server: AlpacaTradingServer, at: datetime, day: int) -> Iterator[Happening]:
    def spell(name: str, hours: float, begin: Callable[[], None], end: Callable[[], None]) -> Iterator[Happening]:
        yield Happening(at, name, begin)
        yield Happening(at + timedelta(hours=hours), f"{name} over", end)

    def go_out() -> None:
        server.faults.standing["/v2/"] = "502"

    def be_ahead(seconds: int) -> None:
        server.skew = timedelta(seconds=seconds)

    def cancel_slowly(slowly: bool) -> None:
        server.venue.habits.cancels_slowly = slowly

    if day % 6 == 2:
        yield from spell("outage", 0.7, go_out, server.faults.standing.clear)
    if day % 10 == 4:
        yield from spell("keys refused", 3.5, server.revoke_keys, server.restore_keys)
    if day % 5 == 3:
        yield from spell("clock ahead", 9, lambda: be_ahead(40), lambda: be_ahead(0))
    if day % 4 == 1:
        yield from spell("slow cancels", 20, lambda: cancel_slowly(True), lambda: cancel_slowly(False))
    if day % 7 == 1:
        yield from spell("halt", 2, lambda: server.halt("QQQ"), lambda: server.resume("QQQ"))
