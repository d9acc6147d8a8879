"""How complete the stored bars are: what there is, what should be there by the calendar, what is known of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np

from core.domain.bar_records import KnownGap, Seam, SeamKind
from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from core.feed.asking import Key
from core.feed.gaps import expected_closes, gaps_in, missing_closes, without
from core.ports import BarStore, Calendar
from core.series import Seconds, seconds_of, time_of


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """One series. `missing` bars lie in `gaps` runs between `first` and `last` (closes); of them `lacking` in
    `lacking_gaps` were asked for and their source does not have them. `refused` counts bars by class of defect;
    `seams` are where another source begins or ends, `retold` how often the whole was told anew.

    The closes, in seconds, are for pictures: `expected` by the calendar, `held`, and those that `lack`.
    """

    symbol: str
    size: BarSize
    source: str
    first: datetime
    last: datetime
    bars: int
    missing: int
    gaps: int
    lacking: int
    lacking_gaps: int
    expected: Seconds
    held: Seconds
    lack: Seconds
    refused: Mapping[str, int] = field(default_factory=dict)
    seams: int = 0
    retold: int = 0

    @property
    def share(self) -> float:
        """The part of the expected bars that is there; 1 where none is expected."""
        return 1 - self.missing / len(self.expected) if len(self.expected) else 1.0


class NotedStore(BarStore, Protocol):
    """A store of bars that tells what it has, and what it was refused."""

    def all_series(self) -> Sequence[Key]: ...

    def refusals(self) -> Mapping[Key, Mapping[str, int]]: ...


def covered(store: NotedStore, calendar: Calendar, symbols: Sequence[str] = ()) -> list[Coverage]:
    """Every stored series, or those of the symbols, the small bars first."""
    seams, refusals = store.seams(), store.refusals()
    order = list(BarSize)
    keys = sorted(store.all_series(), key=lambda key: (order.index(key[1]), key[0]))
    found = (coverage(store, calendar, key, seams, refusals) for key in keys if not symbols or key[0] in symbols)
    return [one for one in found if one is not None]


def coverage(
    store: BarStore,
    calendar: Calendar,
    key: Key,
    seams: Sequence[Seam],
    refusals: Mapping[Key, Mapping[str, int]],
) -> Coverage | None:
    """None for a series without bars. Bars outside the calendar's grid count as bars and fill no gap."""
    oldest, newest = store.oldest_close(*key), store.newest_close(*key)
    if oldest is None or newest is None:
        return None
    first, last = seconds_of(oldest), seconds_of(newest)
    expected = expected_closes(calendar, instrument_for(key[0]).asset_class, key[1], first - 1, last)
    held = store.closes(*key, first - 1, last)
    missing = missing_closes(expected, held)
    lack = np.setdiff1d(missing, without(missing, map(_range, store.known_gaps(*key))))
    mine = [seam.kind for seam in seams if (seam.symbol, seam.size) == key]
    return Coverage(
        *key,
        source=store.source_of(*key) or "",
        first=time_of(first),
        last=time_of(last),
        bars=len(held),
        missing=len(missing),
        gaps=len(gaps_in(expected, missing)),
        lacking=len(lack),
        lacking_gaps=len(gaps_in(expected, lack)),
        expected=expected,
        held=held,
        lack=lack,
        refused=refusals.get(key, {}),
        seams=mine.count(SeamKind.SOURCE) + mine.count(SeamKind.FILLED),
        retold=mine.count(SeamKind.RESCALED),
    )


def _range(gap: KnownGap) -> tuple[int, int]:
    return seconds_of(gap.first), seconds_of(gap.last)
