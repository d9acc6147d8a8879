"""A stored series whose source has changed its units: a split, or a dividend taken out of past prices. Pure.

What tells of it is the overlap: all bars that both have differ by one constant ratio. Then the whole series is asked
for anew; bars that the source no longer gives are divided by the ratio.
"""

from __future__ import annotations

import numpy as np

from core.domain.bar_records import Seam
from core.feed.asking import Reply
from core.feed.overlap import rescaled
from core.feed.settling import Taken
from core.series import BarSeries, concatenated, merged, seconds_of

CLEAR_RATIO = 1.1
NEARLY_ALL = 0.98
"""Of a ratio as small as a dividend's, revisions may reach: so many bars must lie nearer to the new units."""


def retold(stored: BarSeries, reply: Reply, taken: Taken, seam: Seam | None) -> BarSeries | str:
    """The whole series in new units; in words why it cannot be had yet."""
    if reply.good is None:
        return f"{reply.source}: counts other units now, and its past could not be had: {reply.error}"
    old = stored.part(stored.closed_at <= taken.until)
    if not is_in_new_units(old, reply.good, taken.ratio):
        return f"{reply.source}: tells only a part of its past in new units so far"
    inside = concatenated(rescaled(old, taken.ratio), stored.part(stored.closed_at > taken.until))
    return refreshed(inside, reply.good, seam)


def refreshed(stored: BarSeries, fresh: BarSeries, seam: Seam | None) -> BarSeries:
    """`stored` with the bars of `fresh` in place of its own; none before the newest `seam`, where another source's bars
    end."""
    if seam is not None:
        fresh = fresh.part(fresh.closed_at >= seconds_of(seam.at))
    return merged(stored, fresh)


def is_in_new_units(stored: BarSeries, fresh: BarSeries, ratio: float) -> bool:
    """Whether `fresh` counts new units throughout: a vendor may have told only a part of its past anew so far."""
    _, left, right = np.intersect1d(stored.closed_at, fresh.closed_at, assume_unique=True, return_indices=True)
    if not len(left):
        return False
    steps = np.log(stored.close[left] / fresh.close[right])
    share = float((np.abs(steps - np.log(ratio)) < abs(np.log(ratio)) / 2).mean())
    return share == 1.0 if max(ratio, 1 / ratio) >= CLEAR_RATIO else share >= NEARLY_ALL


def count_alike(daily: BarSeries, intraday: BarSeries) -> bool:
    """Whether the newest daily bar and the last bar of another size within its day count the same units; true where
    there is none to tell by."""
    row = int(np.searchsorted(intraday.closed_at, daily.closed_at[-1], side="right")) - 1
    if row < 0 or intraday.closed_at[row] < daily.opened_at[-1]:
        return True
    return bool(abs(np.log(daily.close[-1] / intraday.close[row])) < np.log(CLEAR_RATIO) / 2)
