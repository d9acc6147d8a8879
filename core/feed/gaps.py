"""Which bars should be there and are not, by the session calendar. Pure; times in whole seconds since 1970 (UTC)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

import numpy as np

from core.domain.bars import BarSize
from core.domain.instruments import AssetClass
from core.series import Seconds, time_of


class Sessions(Protocol):
    """What the calendar must know: its sessions dated from `first` to `last`, as dates (00:00Z), opens and closes."""

    def sessions_between(self, first: date, last: date) -> tuple[Seconds, Seconds, Seconds]: ...


@dataclass(frozen=True, slots=True)
class Gap:
    """`bars` missing bars in a row; `first` and `last` are their first and last close. Nights do not part them."""

    first: int
    last: int
    bars: int


def expected_closes(sessions: Sessions, asset_class: AssetClass, size: BarSize, after: int, until: int) -> Seconds:
    """The close of every bar that closes after `after` and at or before `until`, ascending.

    A session is cut into bars from its open on; the last one may be short. Coins' bars lie on whole multiples of their
    size since 1970.
    """
    if until <= after:
        return np.empty(0, np.int64)
    span = int(size.span.total_seconds())
    if asset_class is AssetClass.CRYPTO:
        return np.arange(after // span + 1, until // span + 1, dtype=np.int64) * span
    # A session belongs to one UTC date, but `after` may lie in the middle of it.
    first, last = time_of(after).date() - timedelta(days=1), time_of(until).date()
    _, opens, closes = sessions.sessions_between(first, last)
    if size.is_intraday:
        closes = _cut(opens, closes, span)
    return closes[np.searchsorted(closes, after, side="right") : np.searchsorted(closes, until, side="right")]


def _cut(opens: Seconds, closes: Seconds, span: int) -> Seconds:
    """The closes of bars of `span` seconds in each session."""
    bars = -(-(closes - opens) // span)
    ends = np.cumsum(bars)
    number = np.arange(1, int(bars.sum()) + 1) - np.repeat(ends - bars, bars)
    cut: Seconds = np.minimum(np.repeat(opens, bars) + number * span, np.repeat(closes, bars))
    return cut


def missing_closes(expected: Seconds, stored: Seconds) -> Seconds:
    """Those of `expected` that `stored` does not hold; both ascending."""
    return expected[~_held(expected, stored)]


def gaps_in(expected: Seconds, missing: Seconds) -> tuple[Gap, ...]:
    """`missing`, a part of `expected`, in runs of neighbours."""
    if not len(missing):
        return ()
    place = np.searchsorted(expected, missing)
    starts = np.flatnonzero(np.diff(place, prepend=place[0] - 2) != 1)
    ends = np.append(starts[1:], len(missing)) - 1
    return tuple(
        Gap(int(missing[start]), int(missing[end]), int(end - start + 1))
        for start, end in zip(starts, ends, strict=True)
    )


def without(closes: Seconds, ranges: Iterable[tuple[int, int]]) -> Seconds:
    """`closes` outside all of the closed ranges."""
    keep = np.ones(len(closes), np.bool_)
    for first, last in ranges:
        keep[np.searchsorted(closes, first) : np.searchsorted(closes, last, side="right")] = False
    return closes[keep]


def windows(expected: Seconds, missing: Seconds, most: int) -> Iterator[Gap]:
    """The fewest stretches of at most `most` expected bars that together hold every missing one, the oldest first.

    Each begins and ends with a missing bar; `bars` counts all expected bars of the stretch.
    """
    place = np.searchsorted(expected, missing)
    row = 0
    while row < len(place):
        last = int(np.searchsorted(place, place[row] + most)) - 1
        yield Gap(int(missing[row]), int(missing[last]), int(place[last] - place[row]) + 1)
        row = last + 1


def _held(closes: Seconds, stored: Seconds) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if not len(stored):
        return np.zeros(len(closes), np.bool_)
    place = np.minimum(np.searchsorted(stored, closes), len(stored) - 1)
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = stored[place] == closes
    return found
