"""What comes beside trading in a simulated month: money of all kinds, hours in which Alpaca is out of order, keys that
are refused, a clock that is ahead, cancellations and replacements that take their time, a stock that is halted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from tests.servers.alpaca_trading_server import AlpacaTradingServer
from tests.servers.trade_updates_server import TradeUpdatesServer

DAYS = 60
Deed = Callable[[], None]


@dataclass(frozen=True)
class Happening:
    at: datetime
    name: str
    happen: Deed


def happenings(
    server: AlpacaTradingServer, updates: TradeUpdatesServer, start: datetime, chance: np.random.Generator
) -> list[Happening]:
    """Two months of them, in order; when on a day, is by chance. `updates` is the stream of trades."""
    found: list[Happening] = []
    for day in range(DAYS):
        at = start.replace(hour=0) + timedelta(days=day, minutes=int(chance.integers(1, 1_400)))
        at_alpaca = (*_money(server, at, day), *_trouble(server, at, day), *_replacements(server, at, day))
        found += [each for each in (*at_alpaca, *_stream(updates, at, day)) if each.at > start]
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


def _spell(
    at: datetime, name: str, hours: float, begin: Callable[[], None], end: Callable[[], None]
) -> list[Happening]:
    return [Happening(at, name, begin), Happening(at + timedelta(hours=hours), f"{name} over", end)]


def _stream(updates: TradeUpdatesServer, at: datetime, day: int) -> Iterator[Happening]:
    def mute(is_mute: bool) -> None:
        updates.mute = is_mute

    def repeat(times: int) -> None:
        updates.repeats = times

    if day % 3 == 1:
        yield from _spell(at, "stream silent", 18, lambda: mute(True), lambda: mute(False))
    if day % 3 == 2:
        yield from _spell(at, "stream twice", 18, lambda: repeat(1), lambda: repeat(0))
    yield Happening(at + timedelta(hours=1), "stream broken off", updates.drop)


def _trouble(server: AlpacaTradingServer, at: datetime, day: int) -> Iterator[Happening]:
    def go_out() -> None:
        server.faults.standing["/v2/"] = "502"

    def be_ahead(seconds: int) -> None:
        server.skew = timedelta(seconds=seconds)

    def cancel_slowly(slowly: bool) -> None:
        server.venue.habits.cancels_slowly = slowly

    if day % 6 == 2:
        yield from _spell(at, "outage", 0.7, go_out, server.faults.standing.clear)
    if day % 10 == 4:
        yield from _spell(at, "keys refused", 3.5, server.revoke_keys, server.restore_keys)
    if day % 5 == 3:
        yield from _spell(at, "clock ahead", 9, lambda: be_ahead(40), lambda: be_ahead(0))
    if day % 4 == 1:
        yield from _spell(at, "slow cancels", 20, lambda: cancel_slowly(True), lambda: cancel_slowly(False))
    if day % 7 == 1:
        yield from _spell(at, "halt", 2, lambda: server.halt("QQQ"), lambda: server.resume("QQQ"))


def _replacements(server: AlpacaTradingServer, at: datetime, day: int) -> Iterator[Happening]:
    def replace_slowly(slowly: bool) -> None:
        server.venue.habits.replaces_slowly = slowly

    def reject(rejects: bool) -> None:
        server.venue.habits.rejects_replacements = rejects

    if day % 3 == 1:
        yield from _spell(at, "slow replacements", 7, lambda: replace_slowly(True), lambda: replace_slowly(False))
    if day % 3 == 2:
        yield from _spell(at, "no replacements", 5, lambda: reject(True), lambda: reject(False))
