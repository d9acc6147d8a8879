"""The gate itself: every rule in turn, and a way past all of them for bars that are plainly sound."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np

from core.quality.defects import Defect, Inspection, Refusal, ohlc, refuse
from core.quality.neighbours import NEIGHBOUR_RULES, SHIFT_PROOF, UNIT_FACTOR, shift_of
from core.quality.rows import ROW_RULES, closes_after, conflicts, repeats, rows_are_sound
from core.series import BarSeries, concatenated, seconds_of

CONTEXT: Final = 300
"""So many stored bars are worth showing to the gate: a day of five minutes and some."""
CALM: Final = 1.1


def inspect(series: BarSeries, end: datetime | None = None, known: BarSeries | None = None) -> Inspection:
    """Sorts by close, drops exact repetitions, and refuses each bar that breaks a rule, with the first rule it breaks.

    `end` is the moment of asking: a bar that closes later is refused (a live row, or shifted times), and so, until the
    next one came, is a newest one that jumped. `known` are stored bars of the same series, ascending, up to about where
    `series` begins or beyond: what a bar is judged by that has too few neighbours of its own, and what times are
    compared with.
    """
    return Inspection(series, ()) if is_sound(series, end, known) else inspect_fully(series, end, known)


def inspect_fully(series: BarSeries, end: datetime | None = None, known: BarSeries | None = None) -> Inspection:
    """`inspect` without its short cut."""
    refused: list[Refusal] = []
    ordered, out_of_order = _sorted(series)
    sound = _sound_rows(ordered, end, refused)
    distinct = sound.part(~repeats(sound))
    good = refuse(distinct, conflicts(distinct), Defect.CONFLICT, _conflict, refused)
    good = _beside_neighbours(good, end, known, refused)
    refused.sort(key=lambda refusal: refusal.at)
    return Inspection(good, tuple(refused), out_of_order, len(sound) - len(distinct))


def is_sound(series: BarSeries, end: datetime | None = None, known: BarSeries | None = None) -> bool:
    """Whether no rule has anything to say, seen at a glance: the usual case, answered in microseconds. Where it is not
    so plain the answer is no."""
    closed = series.closed_at
    if not len(closed) or (end is not None and closed[-1] > seconds_of(end)):
        return not len(closed)
    return rows_are_sound(series) and _is_calm(series, known)


def _is_calm(series: BarSeries, known: BarSeries | None) -> bool:
    """No price far from another, no two closes the same, volumes alike, and times that fit what is stored."""
    prices, volumes, closes = [series.low, series.high], series.volume, series.close
    if known is not None and len(known):
        before = int(np.searchsorted(known.closed_at, series.closed_at[0]))
        common = min(len(known) - before, len(series))
        if not common and len(series) >= SHIFT_PROOF:
            return False
        if not np.array_equal(series.close[:common], known.close[before : before + common]):
            return False
        context = slice(max(0, before - CONTEXT), before)
        prices.append(known.close[context][-1:])
        volumes = np.concatenate([known.volume[context], volumes])
        closes = np.concatenate([known.close[context][-1:], closes])
    values, traded = np.concatenate(prices), volumes[volumes > 0]
    return bool(
        values.max() <= CALM * values.min()
        and not (closes[1:] == closes[:-1]).any()
        and (not len(traded) or traded.max() < UNIT_FACTOR * traded.min())
    )


def _sorted(series: BarSeries) -> tuple[BarSeries, int]:
    out_of_order = int((np.diff(series.closed_at) < 0).sum())
    return (series.part(np.argsort(series.closed_at, kind="stable")) if out_of_order else series), out_of_order


def _sound_rows(series: BarSeries, end: datetime | None, refused: list[Refusal]) -> BarSeries:
    kept = series
    if end is not None:
        late = closes_after(kept, end)
        kept = refuse(kept, late, Defect.FUTURE, lambda _s, _i: f"after {end:%Y-%m-%d %H:%MZ}", refused)
    for rule in ROW_RULES:
        kept = refuse(kept, rule.breaks(kept), rule.defect, rule.says, refused)
    return kept


def _conflict(series: BarSeries, row: int) -> str:
    return f"two bars of one time differ ({ohlc(series, row)})"


def _beside_neighbours(
    series: BarSeries, end: datetime | None, known: BarSeries | None, refused: list[Refusal]
) -> BarSeries:
    """`series` without what its neighbours, here or in store, contradict."""
    if not len(series):
        return series
    shift = shift_of(series, known) if known is not None else 0
    if shift:
        every = np.ones(len(series), np.bool_)
        return refuse(series, every, Defect.SHIFTED, lambda _s, _i: _shift_words(shift), refused)
    context = _context(series, known)
    whole, new = concatenated(context, series), np.arange(len(context) + len(series)) >= len(context)
    for rule in NEIGHBOUR_RULES:
        if rule.defect is Defect.UNCONFIRMED and end is None:
            continue
        broken = rule.breaks(whole) & new
        whole, new = refuse(whole, broken, rule.defect, rule.says, refused), new[~broken]
    return whole.part(new)


def _context(series: BarSeries, known: BarSeries | None) -> BarSeries:
    if known is None:
        return BarSeries.empty(series.symbol, series.size)
    stop = int(np.searchsorted(known.closed_at, series.closed_at[0]))
    return known.part(slice(max(0, stop - CONTEXT), stop))


def _shift_words(seconds: int) -> str:
    return f"its bars are those stored for {abs(seconds) / 3_600:g} hours {'earlier' if seconds > 0 else 'later'}"
