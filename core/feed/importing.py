"""Bars of a file beside those that are stored: what is taken, what was there, and what does not fit. Pure.

Files together are one source. Where two of them tell of one time they must tell the same. Another source's stretch is
never filled in between, and is continued by files only where what both have shows that they fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from core.domain.bar_records import Seam, SeamKind
from core.domain.instruments import instrument_for
from core.errors import DataFault
from core.feed.overlap import Comparison, Fit, are_stretches, compare, in_volume_of
from core.quality import Refusal, inspect
from core.series import BarSeries, Mask, equal_bars, time_of

SOURCE: Final = "files"
DAY: Final = 86_400


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Stored bars, ascending, with the source of each."""

    series: BarSeries
    sources: Sequence[str]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """`fresh` is to be written. Of the others `known` stood there already, to the last digit; `inside` fall into a
    stretch of another source; `covered` are of sessions that regular hours tell of."""

    fresh: BarSeries
    known: int
    inside: int
    covered: int
    refused: tuple[Refusal, ...]
    seams: tuple[Seam, ...] = ()
    repeated: int = 0


def plan(series: BarSeries, held: Held, now: datetime, recorded_at: datetime, *, extended: bool) -> Plan:
    """What becomes of the bars of a file. `held` are the stored ones of its symbol and size; `now` is market time.

    Raises DataFault, in words, where the file as a whole must not be mixed with what is stored.
    """
    alone = inspect(series, now)
    clean, covered = _uncovered(alone.good, held.series) if extended else (alone.good, 0)
    own, foreign = _by_source(held)
    comparison = _compared(clean, foreign, held)
    if comparison is not None:
        clean = in_volume_of(clean, comparison.volume_ratio)
    # Once more beside what is stored: times that are shifted, and volumes of another unit, show only there.
    again = inspect(clean, now, held.series)
    good = again.good
    known = _known(good, own)
    inside = ~known & _within(good, foreign)
    fresh = good.part(~known & ~inside)
    seams = tuple(_seams(fresh, foreign, held, comparison, recorded_at)) if comparison is not None else ()
    refused = tuple(sorted((*alone.refused, *again.refused), key=lambda refusal: refusal.at))
    return Plan(fresh, int(known.sum()), int(inside.sum()), covered, refused, seams, alone.repeated)


def batches(series: BarSeries, rows: int) -> Iterator[BarSeries]:
    """`series` in parts of at most `rows` bars, the oldest first."""
    return (series.part(slice(first, first + rows)) for first in range(0, len(series), rows))


def _by_source(held: Held) -> tuple[BarSeries, BarSeries]:
    own = np.array([source == SOURCE for source in held.sources], np.bool_)
    return held.series.part(own), held.series.part(~own)


def _uncovered(series: BarSeries, stored: BarSeries) -> tuple[BarSeries, int]:
    """The bars of days of which nothing is stored that is not also in `series` itself."""
    same = equal_bars(series, stored)
    others = stored.part(~np.isin(stored.closed_at, series.closed_at[same]))
    fresh = ~np.isin(series.closed_at // DAY, np.unique(others.closed_at // DAY))
    return series.part(fresh), int((~fresh).sum())


def _known(series: BarSeries, own: BarSeries) -> Mask:
    """Raises DataFault where another file has told of one time differently."""
    same = equal_bars(series, own)
    differing = np.isin(series.closed_at, own.closed_at) & ~same
    if differing.any():
        first = time_of(series.closed_at[differing][0])
        raise DataFault(
            series.symbol,
            f"{int(differing.sum())} of its {series.size} bars differ from what another file brought, the first one "
            f"closes {first:%Y-%m-%d %H:%MZ}; nothing of it was taken",
        )
    return same


def _within(series: BarSeries, foreign: BarSeries) -> Mask:
    if not len(foreign):
        return np.zeros(len(series), np.bool_)
    inside: Mask = (series.closed_at >= foreign.closed_at[0]) & (series.closed_at <= foreign.closed_at[-1])
    return inside


def _compared(series: BarSeries, foreign: BarSeries, held: Held) -> Comparison | None:
    """None where nothing is there to compare with. Raises DataFault where the two do not fit."""
    if not len(foreign) or not len(series):
        return None
    found = compare(foreign, series, instrument_for(series.symbol), one_source=False)
    if found.fit is Fit.AGREES or are_stretches(series, foreign) or are_stretches(foreign, series):
        return found
    others = " and ".join(sorted(set(held.sources) - {SOURCE}))
    words: Mapping[Fit, str] = {
        Fit.APART: f"only {found.compared} of them stand in both, too few to see whether they fit",
        Fit.RESCALED: f"its prices are 1/{found.ratio:.4g} of those, as after another adjustment",
        Fit.DIFFERS: f"{found.compared} of them stand in both and differ by up to {100 * found.difference:.2g}%",
    }
    raise DataFault(
        series.symbol, f"{series.size} bars from {others} are stored, and {words[found.fit]}; nothing of it was taken"
    )


def _seams(
    taken: BarSeries, foreign: BarSeries, held: Held, found: Comparison, recorded_at: datetime
) -> Iterator[Seam]:
    """One where the files' bars end and the other's begin, one where it is the other way round."""
    others = [source for source in held.sources if source != SOURCE]
    places = []
    if len(taken) and taken.closed_at[0] < foreign.closed_at[0]:
        places.append((foreign.closed_at[0], SOURCE, others[0]))
    after = taken.closed_at[taken.closed_at > foreign.closed_at[-1]]
    if len(after):
        places.append((after[0], others[-1], SOURCE))
    for at, before, then in places:
        yield Seam(
            taken.symbol,
            taken.size,
            time_of(at),
            SeamKind.SOURCE,
            before,
            then,
            found.compared,
            found.difference,
            recorded_at,
            volume_ratio=found.volume_ratio,
        )
