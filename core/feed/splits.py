"""When stored bars are looked at once more: whether their source still tells the past as it did, in the same units."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

import numpy as np

from core.domain.bars import BarSize
from core.feed.asking import Key
from core.feed.refresh import CLEAR_RATIO, count_alike
from core.ports import BarStore
from core.series import BarSeries, concatenated, seconds_of

UNSETTLED_FOR = timedelta(days=5)
"""After so long a source that never told the other sizes anew is believed."""


LONG_LOOK: Mapping[BarSize, int] = MappingProxyType(
    {BarSize.M1: 390, BarSize.M5: 400, BarSize.H1: 150, BarSize.D1: 400}
)
"""So many stored bars are compared once a day, and at the first ask of a process."""
A_DAY = timedelta(hours=20)
JUMP = math.log(1.08)
AROUND_A_JUMP = 6


@dataclass(slots=True)
class Splits:
    """Remembers where prices jumped, which may be a split that the source tells of only later, and `suspects`: symbols
    of which one size of bars was told anew and another was not, so that they cannot be judged together."""

    suspects: dict[str, datetime] = field(default_factory=dict)
    _jumps: dict[Key, tuple[int, datetime]] = field(default_factory=dict)
    _looked: dict[Key, datetime] = field(default_factory=dict)
    _looking: set[Key] = field(default_factory=set)

    def overlap(self, key: Key, newest: datetime, store: BarStore, now: datetime) -> int:
        """How many of the stored bars are to be asked for again."""
        looked, jump = self._looked.get(key), self._jumps.get(key)
        wide = 0 if looked is not None and now - looked < A_DAY else LONG_LOOK[key[1]]
        if wide:
            self._looking.add(key)
        if jump is None:
            return wide
        if now - jump[1] > UNSETTLED_FOR:
            del self._jumps[key]
            return wide
        return max(wide, len(store.closes(*key, jump[0], seconds_of(newest))) + AROUND_A_JUMP)

    def compared(self, key: Key, newest: datetime | None, known: BarSeries, bars: BarSeries, now: datetime) -> None:
        """Notes that the source has answered, and a jump behind the newest stored bar in `bars` that it gave."""
        if key in self._looking:
            self._looking.discard(key)
            self._looked[key] = now
        since = 0 if newest is None else seconds_of(newest)
        fresh = concatenated(known.last(1), bars.part(bars.closed_at > since))
        steps = np.flatnonzero(np.abs(np.log(fresh.open[1:] / fresh.close[:-1])) >= JUMP)
        if len(steps) and newest is not None:
            self._jumps[key] = int(fresh.closed_at[steps[-1]]), now

    def told_anew(self, key: Key) -> None:
        self._jumps.pop(key, None)

    def note(self, symbols: Iterable[str], now: datetime) -> None:
        for symbol in symbols:
            self.suspects.setdefault(symbol, now)

    def look(self, store: BarStore, sizes: Sequence[BarSize], now: datetime) -> None:
        """Forgets those whose sizes count the same units again."""
        for symbol, since in list(self.suspects.items()):
            if now - since > UNSETTLED_FOR or all(_is_alike(store, symbol, size, now) for size in sizes):
                del self.suspects[symbol]


def is_clear(ratio: float) -> bool:
    """Whether prices of two sizes would tell the two units apart."""
    return max(ratio, 1 / ratio) >= CLEAR_RATIO


def _is_alike(store: BarStore, symbol: str, size: BarSize, now: datetime) -> bool:
    if not size.is_intraday:
        return True
    daily = store.read(symbol, BarSize.D1, now, 1)
    if not len(daily):
        return True
    # The bar that closes with the day lies up to a weekend back.
    return count_alike(daily, store.read(symbol, size, now, int(timedelta(days=4) / size.span)))
