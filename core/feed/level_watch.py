"""Live prices against the stops and targets of what is held: the first that reaches one is a reason to look at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from core.domain.instruments import instrument_for
from core.domain.portfolio import Guard
from core.ports import Calendar, Clock

AGAIN = 30.0


@dataclass(slots=True)
class _Levels:
    """USD. `told_at` is when, by the monotonic clock, a price beyond them was last told of."""

    stop: float
    target: float
    told_at: float | None = None


class Stopwatch(Clock, Protocol):
    """A clock that also tells how much time has passed."""

    def monotonic(self) -> float: ...


class LevelWatch:
    """Calls `reached` for a price at or beyond a level of a position that is followed, while its market is open; for
    the same levels again only after AGAIN seconds. It judges nothing: whoever looks then asks for prices himself.

    Thread-safe; `hear` is quick enough for every quote of a stream.
    """

    def __init__(self, calendar: Calendar, clock: Stopwatch, reached: Callable[[], None]) -> None:
        self._calendar = calendar
        self._clock = clock
        self._reached = reached
        self._lock = threading.Lock()
        self._followed: dict[str, dict[str, _Levels]] = {}

    def follow(self, guards: Iterable[Guard]) -> None:
        """From now on these, by symbol and account, and no others."""
        followed: dict[str, dict[str, _Levels]] = {}
        with self._lock:
            for guard in guards:
                stop, target = float(guard.stop), float(guard.target)
                known = self._followed.get(guard.symbol, {}).get(guard.account)
                same = known if known is not None and (known.stop, known.target) == (stop, target) else None
                followed.setdefault(guard.symbol, {})[guard.account] = same or _Levels(stop, target)
            self._followed = followed

    def hear(self, symbol: str, price: float) -> None:
        """A live price, USD."""
        followed = self._followed.get(symbol)
        if followed is None:
            return
        beyond = [levels for levels in followed.values() if price <= levels.stop or price >= levels.target]
        if not beyond:
            return
        now = self._clock.monotonic()
        with self._lock:
            news = [each for each in beyond if each.told_at is None or now - each.told_at >= AGAIN]
            if not news or not self._calendar.is_open(instrument_for(symbol).asset_class, self._clock.now()):
                return
            for each in news:
                each.told_at = now
        self._reached()
