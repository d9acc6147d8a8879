"""Small bars made into larger ones, session by session. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np

from core.domain.bars import BarSize
from core.domain.instruments import AssetClass
from core.feed.gaps import Sessions
from core.series import BarSeries, Seconds, time_of

DAY: Final = 86_400
FINER: Final = {
    BarSize.M1: (),
    BarSize.M5: (BarSize.M1,),
    BarSize.H1: (BarSize.M5, BarSize.M1),
    BarSize.D1: (BarSize.H1, BarSize.M5, BarSize.M1),
}
"""Of which sizes a size can be made, the largest first."""


def aggregate(sessions: Sessions, asset_class: AssetClass, series: BarSeries, size: BarSize) -> BarSeries:
    """Bars of `size` from the finer ones of `series`: first open, highest high, lowest low, last close, summed volume.

    They are cut as the calendar cuts them: from the session's open on, the last one of a session perhaps short; coins'
    on whole multiples. One of which a part is missing, or that has not ended, is never made; finer bars outside every
    session, or between two places of their own grid, are left out. Raises ValueError where `size` is not coarser.
    """
    if series.size not in FINER[size]:
        raise ValueError(f"{size} bars are not made of {series.size} bars")
    if not len(series):
        return BarSeries.empty(series.symbol, size)
    opens, closes = _bounds(sessions, asset_class, series.opened_at, size)
    fine = int(series.size.span.total_seconds())
    fits = (opens >= 0) & ((series.opened_at - opens) % fine == 0)
    fits &= series.closed_at == np.minimum(series.opened_at + fine, closes)
    kept, opens, closes = series.part(fits), opens[fits], closes[fits]
    if not len(kept):
        return BarSeries.empty(series.symbol, size)
    starts = np.flatnonzero(np.diff(opens, prepend=-1) != 0)
    ends = np.append(starts[1:], len(kept)) - 1
    whole = ends - starts + 1 == -((opens[starts] - closes[starts]) // fine)
    made = (
        opens[starts],
        closes[starts],
        kept.open[starts],
        np.maximum.reduceat(kept.high, starts),
        np.minimum.reduceat(kept.low, starts),
        kept.close[ends],
        np.add.reduceat(kept.volume, starts),
    )
    return BarSeries(series.symbol, size, *(column[whole] for column in made))


def _bounds(sessions: Sessions, asset_class: AssetClass, opened: Seconds, size: BarSize) -> tuple[Seconds, Seconds]:
    """Open and close of the bar of `size` that each moment falls into; -1 where there is none."""
    span = int(size.span.total_seconds())
    if asset_class is AssetClass.CRYPTO:
        start = opened // span * span
        return start, start + span
    _, first, last = sessions.sessions_between(time_of(opened.min()).date(), time_of(opened.max()).date())
    if not len(first):
        return np.full_like(opened, -1), opened
    row = np.maximum(np.searchsorted(first, opened, side="right") - 1, 0)
    inside = (opened >= first[row]) & (opened < last[row])
    if not size.is_intraday:
        return np.where(inside, first[row], -1), last[row]
    start = first[row] + (opened - first[row]) // span * span
    return np.where(inside, start, -1), np.minimum(start + span, last[row])
