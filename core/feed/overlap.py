"""Whether bars that came fit those that are stored, by what both have. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from core.domain.instruments import AssetClass, Instrument
from core.series import PRICES, BarSeries, Floats

FLOAT_NOISE = 1e-5
"""Vendors store prices as 32-bit floats or with few decimals."""
LEAST_SHIFT = 5e-4
"""Less than the smallest dividend that a source may have taken out of its past prices."""
CLEAR = 0.0953
"""A ratio of 1.1, as a logarithm."""
LEAST_COMMON = 2
OLDEST = 5
NEARLY_ALL = 0.9
"""Single bars may have been revised besides."""
LEAST_PAUSE = 7 * 86_400
"""Seconds without a bar after which two sources' bars are two stretches: no window of a decision spans them."""
LEAST_STRANGERS = 6
"""So many bars must two sources have in common before one may continue the other's."""
TOLERANCE = MappingProxyType({AssetClass.STOCK: 0.01, AssetClass.CRYPTO: 0.02})
"""How far closes of two sources may lie apart: coins trade at many places."""


class Fit(StrEnum):
    """AGREES: may stand in one series. RESCALED: one constant ratio lies between them. DIFFERS: they do not fit.
    APART: too few bars in common to tell."""

    AGREES = "agrees"
    RESCALED = "rescaled"
    DIFFERS = "differs"
    APART = "apart"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference` is the largest of the closes, as a fraction, once `ratio` (stored price for one new) is taken out of
    the stored bars that close at or before `until` (seconds).

    `volume_ratio` is the new volume for one stored, the median; None where fewer than three bars have both.
    """

    fit: Fit
    compared: int = 0
    difference: float = 0.0
    ratio: float = 1.0
    volume_ratio: float | None = None
    until: int = 0


def compare(stored: BarSeries, fresh: BarSeries, instrument: Instrument, *, one_source: bool) -> Comparison:
    """One source may revise its bars as it likes, but not all of them by one ratio: then the units have changed."""
    _, left, right = np.intersect1d(stored.closed_at, fresh.closed_at, assume_unique=True, return_indices=True)
    if len(left) < (LEAST_COMMON if one_source else LEAST_STRANGERS):
        return Comparison(Fit.APART, len(left))
    old, new = _prices(stored, left), _prices(fresh, right)
    if one_source and np.array_equal(old, new):
        # What nearly every tick finds.
        return Comparison(Fit.AGREES, len(left))
    steps = np.log(old / new)
    noise = FLOAT_NOISE + float(instrument.price_tick) / float(min(old.min(), new.min()))
    volume = _volume_ratio(stored.volume[left], fresh.volume[right])
    tolerance = TOLERANCE[instrument.asset_class]
    shift = _shift(np.median(steps, axis=0), 2 * noise if one_source else tolerance / 4)
    if shift is not None and len(np.unique(old)) > 2:
        middle, bars = shift
        apart = np.concatenate([steps[3, :bars] - middle, steps[3, bars:]])
        until = int(stored.closed_at[left[bars - 1]])
        return Comparison(Fit.RESCALED, len(left), float(np.abs(apart).max()), float(np.exp(middle)), volume, until)
    difference = float(np.abs(steps[3]).max())
    agrees = one_source or _is_close(steps, difference, tolerance)
    return Comparison(Fit.AGREES if agrees else Fit.DIFFERS, len(left), difference, 1.0, volume)


def _shift(steps: Floats, allowed: float) -> tuple[float, int] | None:
    """By how much (log) the bars from the first one on are shifted, and how many; None where they are not.

    Later bars may agree: a split counts for what was before it, and a vendor may tell the past anew a day later.
    """
    middle = float(np.median(steps[:OLDEST]))
    if abs(middle) < max(LEAST_SHIFT, 4 * allowed):
        return _shifted_in_part(steps, allowed)
    near = np.abs(steps - middle) <= allowed
    bars = len(steps) - int(np.argmax(near[::-1]))
    if not near.any() or bars < 2 or near[:bars].mean() < NEARLY_ALL:
        return None
    rest = np.abs(steps[bars:]) < abs(middle) / 2
    if len(rest) and rest.mean() < NEARLY_ALL:
        return None
    return float(np.median(steps[:bars][near[:bars]])), bars


def _shifted_in_part(steps: Floats, allowed: float) -> tuple[float, int] | None:
    """The same where the oldest bars still count old units: a vendor has begun to tell the past anew, at its end. Only
    what no single correction looks like: many bars in a row, by much."""
    rows = np.flatnonzero(np.abs(steps) >= CLEAR - allowed)
    if len(rows) < OLDEST or len(rows) < NEARLY_ALL * (rows[-1] - rows[0] + 1):
        return None
    middle = float(np.median(steps[rows]))
    if (np.abs(steps[rows] - middle) <= allowed).mean() < NEARLY_ALL:
        return None
    return middle, int(rows[-1]) + 1


def _prices(series: BarSeries, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Floats:
    return np.stack([getattr(series, name)[rows] for name in PRICES])


def _is_close(steps: Floats, difference: float, tolerance: float) -> bool:
    """Every close within the tolerance, and the usual price well within it."""
    return difference <= tolerance and float(np.median(np.abs(steps))) <= tolerance / 4


def _volume_ratio(old: Floats, new: Floats) -> float | None:
    both = (old > 0) & (new > 0)
    return float(np.median(new[both] / old[both])) if int(both.sum()) > 2 else None


def rescaled(series: BarSeries, ratio: float) -> BarSeries:
    """Prices divided and volumes multiplied by `ratio`: new units for one old."""
    return replace(
        series,
        open=series.open / ratio,
        high=series.high / ratio,
        low=series.low / ratio,
        close=series.close / ratio,
        volume=series.volume * ratio,
    )


def is_other_volume(volume_ratio: float | None) -> bool:
    """Whether the volumes of two sources are so far apart that they cannot stand in one series: another unit, or one
    exchange beside all of them."""
    return volume_ratio is not None and not 0.5 <= volume_ratio <= 2.0


def in_volume_of(series: BarSeries, volume_ratio: float | None) -> BarSeries:
    """Another source's bars with volumes in the unit of the series that they continue."""
    if volume_ratio is None or not is_other_volume(volume_ratio):
        return series
    return replace(series, volume=series.volume / volume_ratio)


def are_stretches(earlier: BarSeries, later: BarSeries) -> bool:
    """Whether so long a pause lies between them that there is nothing to compare and nothing to mix."""
    return bool(len(earlier) and len(later)) and int(later.opened_at[0] - earlier.closed_at[-1]) >= LEAST_PAUSE
