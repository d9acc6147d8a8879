"""What can be seen to be wrong with a bar only beside its neighbours: spikes, stale repetitions, another volume unit.

The limits were chosen on genuine bars: 33 years of 260 US funds and stocks, coins since 2010, five-minute bars of
both. The largest true excursion of an open or a close that was taken back at once was 2.25 (AIG, 2008-09-16), of a low
or high alone 2.55 (6 May 2010); volumes changed for good by 33 times at most, and three bars in a row were the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from core.domain.bars import BarSize
from core.quality.defects import BarRule, Defect, ohlc
from core.series import PRICES, VALUES, BarSeries, Floats, Mask

SPIKE_OF_BODY = 2.5
SPIKE_OF_WICK = 4.0
JUMP: Mapping[BarSize, float] = MappingProxyType({BarSize.M1: 1.15, BarSize.M5: 1.2, BarSize.H1: 1.4, BarSize.D1: 2.0})
"""A newest bar that moved by more than this factor waits for the next one."""
JUMP_WITHIN = 4 * 86_400
SAME_AT_MOST = 3
FLAT_SECONDS = 2 * 3_600
FLAT_AT_LEAST = 4
UNIT_FACTOR = 50.0
UNIT_BEFORE, UNIT_AFTER = 20, 5
FAR_SHIFT = 24 * 3_600
SHIFT_STEP = 1_800
SHIFT_PROOF = 3


def spikes(series: BarSeries) -> Mask:
    """Bars whose open or close lies SPIKE_OF_BODY times, or whose high or low lies SPIKE_OF_WICK times, beyond what the
    bars on both sides know of. The first and the last bar have no two sides. A spike may span two bars: its close is
    the next one's open; so what is left is looked at again."""
    found = np.zeros(len(series), np.bool_)
    if len(series) < 3 or not _moves(series, SPIKE_OF_BODY):
        return found
    while True:
        rows = np.flatnonzero(~found)
        fresh = _lone_spikes(series.part(rows))
        if not fresh.any():
            return found
        found[rows[fresh]] = True


def _lone_spikes(series: BarSeries) -> Mask:
    found = np.zeros(len(series), np.bool_)
    if len(series) < 3:
        return found
    opened, high, low, closed = (np.log(column) for column in (series.open, series.high, series.low, series.close))
    before, after, own = closed[:-2], closed[2:], closed[1:-1]
    body = np.maximum(_beyond(own, before, after), _beyond(opened[1:-1], before, own))
    highest = np.maximum(np.maximum(high[:-2], high[2:]), np.maximum(opened, closed)[1:-1])
    lowest = np.minimum(np.minimum(low[:-2], low[2:]), np.minimum(opened, closed)[1:-1])
    wick = np.maximum(high[1:-1] - highest, lowest - low[1:-1])
    found[1:-1] = (body >= np.log(SPIKE_OF_BODY)) | (wick >= np.log(SPIKE_OF_WICK))
    return found


def _beyond(price: Floats, before: Floats, after: Floats) -> Floats:
    """By how much (log) a price lies above both, or below both."""
    return np.maximum(np.minimum(price - before, price - after), np.minimum(before - price, after - price))


def unconfirmed(series: BarSeries) -> Mask:
    """The newest bar where it moved by more than JUMP, or has a wick like a spike's: nothing can tell a crash from a
    bad tick before the next bar. After a pause of days any distance is believed."""
    found = np.zeros(len(series), np.bool_)
    if len(series) < 2 or series.opened_at[-1] - series.closed_at[-2] > JUMP_WITHIN:
        return found
    limit, before = JUMP[series.size], series.close[-2]
    prices = np.array([series.open[-1], series.close[-1]])
    jumped = (prices / before > limit).any() or (before / prices > limit).any()
    body = max(prices.max(), before), min(prices.min(), before)
    found[-1] = jumped or series.high[-1] / body[0] >= SPIKE_OF_WICK or body[1] / series.low[-1] >= SPIKE_OF_WICK
    return found


def stale(series: BarSeries) -> Mask:
    """Bars that repeat the one before in every number, once that was so SAME_AT_MOST times: a feed that stands still.
    Without any volume, which an unasked-for coin may really have, not before two hours; a day without trades is none.
    """
    if len(series) <= SAME_AT_MOST or not (series.close[1:] == series.close[:-1]).any():
        return np.zeros(len(series), np.bool_)
    same = np.all([getattr(series, name)[1:] == getattr(series, name)[:-1] for name in VALUES], axis=0)
    traded = same & (series.volume[1:] > 0)
    found = _long_runs(traded, SAME_AT_MOST)
    if series.size.is_intraday:
        most = max(FLAT_AT_LEAST, FLAT_SECONDS // int(series.size.span.total_seconds()))
        found |= _long_runs(same & ~traded, most)
    return np.concatenate([[False], found])


def _long_runs(true: Mask, least: int) -> Mask:
    """The places in unbroken runs of at least `least` true ones."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], true.astype(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]
    found = np.zeros(len(true), np.bool_)
    for start, end in zip(starts, ends, strict=True):
        found[start:end] = end - start >= least
    return found


def other_unit(series: BarSeries) -> Mask:
    """The bars from the first one on where UNIT_AFTER volumes all lie UNIT_FACTOR times above, or below, all of the
    UNIT_BEFORE before them: coins instead of dollars, lots instead of shares. Bars without volume tell nothing."""
    found = np.zeros(len(series), np.bool_)
    rows = np.flatnonzero(series.volume > 0)
    if len(rows) < UNIT_BEFORE + UNIT_AFTER or series.volume[rows].max() < UNIT_FACTOR * series.volume[rows].min():
        return found
    windows = np.lib.stride_tricks.sliding_window_view(series.volume[rows], UNIT_BEFORE + UNIT_AFTER)
    old, new = windows[:, :UNIT_BEFORE], windows[:, UNIT_BEFORE:]
    changed = (new.min(axis=1) >= UNIT_FACTOR * old.max(axis=1)) | (old.min(axis=1) >= UNIT_FACTOR * new.max(axis=1))
    if changed.any():
        found[rows[UNIT_BEFORE + int(np.argmax(changed))] :] = True
    return found


NEIGHBOUR_RULES = (
    BarRule(Defect.SPIKE, spikes, lambda s, i: f"the bars before and after know nothing of it ({ohlc(s, i)})"),
    BarRule(
        Defect.UNCONFIRMED,
        unconfirmed,
        lambda s, i: f"it moved from {s.close[i - 1]:g} at once; it counts when the next bar agrees ({ohlc(s, i)})",
    ),
    BarRule(Defect.STALE, stale, lambda s, i: f"once more the very numbers of the bar before ({ohlc(s, i)})"),
    BarRule(Defect.VOLUME_UNIT, other_unit, lambda s, i: f"volumes are of another order than before ({ohlc(s, i)})"),
)


def shift_of(series: BarSeries, known: BarSeries) -> int:
    """By how many seconds the times of `series` are late (negative: early) against a series that is right; 0 where they
    agree, or where nothing can be said: at least SHIFT_PROOF different bars must be found again, and nothing else."""
    if min(len(series), len(known)) < SHIFT_PROOF or _agrees(series, known, 0):
        return 0
    for steps in range(1, FAR_SHIFT // SHIFT_STEP + 1):
        for seconds in (steps * SHIFT_STEP, -steps * SHIFT_STEP):
            if _agrees(series, known, seconds):
                return seconds
    return 0


def _agrees(series: BarSeries, known: BarSeries, seconds: int) -> bool:
    """Whether the bars that `known` has a bar for at their time less `seconds` are equal to it, nine of ten, and at
    least SHIFT_PROOF different ones."""
    _, mine, theirs = np.intersect1d(series.closed_at - seconds, known.closed_at, return_indices=True)
    least = max(SHIFT_PROOF, 0.9 * len(mine))
    equal = np.ones(len(mine), np.bool_)
    for name in PRICES:
        # Nearly every shift is a wrong one, which the first price tells.
        if np.count_nonzero(equal) < least:
            return False
        equal &= np.isclose(getattr(series, name)[mine], getattr(known, name)[theirs], rtol=1e-6)
    return len(np.unique(series.close[mine][equal])) >= least


def _moves(series: BarSeries, factor: float) -> bool:
    return bool(series.high.max() >= factor * series.low.min())
