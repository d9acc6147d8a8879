"""What is known of stored bars besides their prices: gaps that a source has nothing for, seams, refused bars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.domain.bars import BarSize

FIRST_WAIT, LONGEST_WAIT = timedelta(days=1), timedelta(days=32)


@dataclass(frozen=True, slots=True)
class KnownGap:
    """Bars that `source` was asked for and did not give: those that close from `first` to `last`, both included.

    `asked_at` is the market time of the newest of `tries` asks; `reason` says in words what the source answered.
    """

    symbol: str
    size: BarSize
    source: str
    first: datetime
    last: datetime
    bars: int
    reason: str
    asked_at: datetime
    tries: int = 1

    @property
    def ask_again_at(self) -> datetime:
        """A day after the first ask, then twice as long each time, up to a month."""
        return self.asked_at + min(FIRST_WAIT * (1 << min(self.tries - 1, 10)), LONGEST_WAIT)


class SeamKind(StrEnum):
    """SOURCE: another source continues the series. FILLED: another source's bars stand in a gap, from one such seam to
    the next. RESCALED: all bars before it were brought into new units."""

    SOURCE = "source"
    FILLED = "filled"
    RESCALED = "rescaled"


@dataclass(frozen=True, slots=True)
class Seam:
    """A place in a series where what was stored before and what came after were compared and found to fit.

    `at` is the close of the first bar of `source_to`. `compared` bars that both had differ in price by `difference` at
    most, as a fraction. Prices before were divided by `ratio` (1: they were not). `volume_ratio` is by how much the
    later source's volumes are larger; None where that could not be measured.
    """

    symbol: str
    size: BarSize
    at: datetime
    kind: SeamKind
    source_from: str
    source_to: str
    compared: int
    difference: float
    recorded_at: datetime
    ratio: float = 1.0
    volume_ratio: float | None = None
    id: int = 0


@dataclass(frozen=True, slots=True)
class RefusedBar:
    """One bar that the quality gate did not take, the first time it was seen; `defect` is its class."""

    symbol: str
    size: BarSize
    at: datetime
    defect: str
    source: str
    sentence: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class GapsFound:
    """All that `source` is known not to have of bars closing from `first` to `last`; replaces what was known before."""

    symbol: str
    size: BarSize
    source: str
    first: datetime
    last: datetime
    gaps: tuple[KnownGap, ...] = ()


@dataclass(frozen=True, slots=True)
class BarNotes:
    """What is written down together with bars."""

    gaps: tuple[GapsFound, ...] = ()
    seams: tuple[Seam, ...] = ()
    refused: tuple[RefusedBar, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.gaps or self.seams or self.refused)


NO_NOTES = BarNotes()
