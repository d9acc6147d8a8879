"""The classes of what can be wrong with bars, and what is said of a bar that was not taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np

from core.series import BarSeries, Mask, time_of

Says = Callable[[BarSeries, int], str]
"""What is wrong with the bar in that row, in words."""


class Defect(StrEnum):
    NOT_FINITE = "not finite"
    NOT_POSITIVE = "not positive"
    INCONSISTENT = "inconsistent"
    TIMES = "impossible times"
    CONFLICT = "conflicting duplicates"
    FUTURE = "closes in the future"
    OFF_SESSION = "outside every session"
    SHIFTED = "shifted times"
    SPIKE = "spike"
    UNCONFIRMED = "not confirmed yet"
    STALE = "stale"
    VOLUME_UNIT = "another unit of volume"


@dataclass(frozen=True, slots=True)
class BarRule:
    """`breaks` marks the bars that have the defect."""

    defect: Defect
    breaks: Callable[[BarSeries], Mask]
    says: Says


@dataclass(frozen=True, slots=True)
class Refusal:
    """One bar that was not taken. `at` is its close where that is known, else its open; aware UTC."""

    at: datetime
    defect: Defect
    sentence: str


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """`good` is ascending, unique by close and finite. The counts say what was put right without a refusal."""

    good: BarSeries
    refused: tuple[Refusal, ...]
    out_of_order: int = 0
    repeated: int = 0


def ohlc(series: BarSeries, row: int) -> str:
    return (
        f"open {series.open[row]:g}, high {series.high[row]:g}, low {series.low[row]:g}, "
        f"close {series.close[row]:g}, volume {series.volume[row]:g}"
    )


def refuse(series: BarSeries, broken: Mask, defect: Defect, says: Says, refused: list[Refusal]) -> BarSeries:
    """The rows that are not `broken`; `refused` gets a sentence for each of the others."""
    if not broken.any():
        return series
    for row in np.flatnonzero(broken):
        at = time_of(series.closed_at[row])
        sentence = f"{series.symbol} {series.size} bar closing {at:%Y-%m-%d %H:%MZ}: {defect}: {says(series, int(row))}"
        refused.append(Refusal(at, defect, sentence))
    return series.part(~broken)
