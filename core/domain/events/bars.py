"""Where bars come from, and that they do not come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class BarSourceNews:
    """What happened to the bars of `symbols`: moved, held, returned or resumed (core.feed.standing.Turn).

    `newest` is the close of their last good bar. Before another source went on, at least `compared` bars that both have
    lay at most `difference` (a fraction) apart.
    """

    turn: str
    symbols: tuple[str, ...]
    source: str
    former: str
    newest: datetime | None
    reason: str
    compared: int
    difference: float


@dataclass(frozen=True, slots=True)
class BarSourcesChanged:
    """Bars come from another source, from none, or from the best one again."""

    at: datetime
    news: tuple[BarSourceNews, ...]


@dataclass(frozen=True, slots=True)
class BarsRetold:
    """The source tells past prices in new units, the stored ones divided by `ratio`: all bars of `sizes` were fetched
    anew. `until` is the close of the last bar in old units."""

    symbol: str
    source: str
    ratio: float
    sizes: tuple[str, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class StaleSeries:
    """Bars of `size` of which `missed` should have come since the one closed at `newest`."""

    symbol: str
    size: str
    newest: datetime
    missed: int


@dataclass(frozen=True, slots=True)
class BarsStale:
    """An open session goes on without bars of these instruments, or (`over`) they come again. `held` are those of them
    that an account holds."""

    at: datetime
    series: tuple[StaleSeries, ...]
    held: tuple[str, ...]
    over: bool
