"""Whose a gap is: which source the bars around it come from, who is asked for it, and the seams where another fills it.
Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from core.domain.bar_records import KnownGap, Seam, SeamKind
from core.domain.bars import BarSize
from core.feed.asking import Key
from core.feed.gaps import gaps_in, without
from core.feed.overlap import Comparison
from core.ports import MarketData
from core.series import Seconds, seconds_of, time_of

FOREVER: Final = 2**62


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a series that comes from `source`: from `first` (a close, in seconds) on, before `end`."""

    source: str
    first: int
    end: int
    volume_ratio: float | None = None

    def of(self, closes: Seconds) -> Seconds:
        return closes[(closes >= self.first) & (closes < self.end)]


def parts_of(source: str, seams: Sequence[Seam], key: Key) -> list[Part]:
    """Which source each part of a series comes from, by its seams; `source` is that of the newest bar."""
    mine = [seam for seam in seams if (seam.symbol, seam.size) == key and seam.kind is SeamKind.SOURCE]
    if not mine:
        return [Part(source, 0, FOREVER)]
    # Of two seams at one place the later recorded one counts: the first source came back and healed the series.
    newest = {seconds_of(seam.at): seam for seam in mine}
    places = sorted(newest)
    starts = [Part(min(mine, key=lambda seam: seam.at).source_from, 0, places[0])]
    for at, end in zip(places, [*places[1:], FOREVER], strict=True):
        starts.append(Part(newest[at].source_to, at, end, newest[at].volume_ratio))
    return starts


def whom(
    part: Part, missing: Seconds, known: Sequence[KnownGap], sources: Sequence[MarketData], size: BarSize, now: datetime
) -> Iterator[tuple[MarketData, Seconds, Seconds]]:
    """Who is to be asked for which of the missing closes now: first the source of the bars around them, the others for
    what that was asked for lately and did not give. Nobody is asked for what he no longer gives. The last are all
    closes that are welcome from him: what lies inside a stretch that is asked for anyhow may have come by now."""
    left = missing
    for source in sorted(sources, key=lambda source: source.name != part.source):
        if not len(left) or (source.name != part.source and part.source not in {each.name for each in sources}):
            return
        reach = source.reach(size)
        within = left if reach is None else left[left > seconds_of(now - reach + size.span)]
        lately = [
            (seconds_of(gap.first), seconds_of(gap.last))
            for gap in known
            if gap.source == source.name and gap.ask_again_at > now
        ]
        yield source, without(within, lately), left
        left = np.setdiff1d(left, without(left, lately))


def seams_around(
    key: Key, sources: tuple[str, str], written: Seconds, beside: Seconds, found: Comparison, now: datetime
) -> Iterator[Seam]:
    """Where bars of the second of `sources` begin in a gap of the first one's, and where those go on behind them:
    `beside` are the closes stored around the `written` ones."""
    owner, other = sources
    stored = np.union1d(beside, written)
    for run in gaps_in(stored, written):
        following = stored[np.searchsorted(stored, run.last) + 1 :]
        places = [(run.first, owner, other)]
        places += [(int(at), other, owner) for at in following[:1]]
        for at, source_from, source_to in places:
            yield Seam(
                *key,
                time_of(at),
                SeamKind.FILLED,
                source_from,
                source_to,
                found.compared,
                found.difference,
                now,
                volume_ratio=found.volume_ratio,
            )
