"""What an answer says about bars that it does not hold: asked for, and not given. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from core.domain.bar_records import GapsFound, KnownGap, RefusedBar
from core.domain.bars import BarSize
from core.domain.instruments import Instrument
from core.feed.gaps import expected_closes, gaps_in, missing_closes
from core.ports import Calendar
from core.quality import Defect, Refusal
from core.series import Seconds, time_of

FOR_NOW = frozenset({Defect.FUTURE, Defect.UNCONFIRMED})
"""Bars that are refused today and taken tomorrow."""


def gaps_found(
    calendar: Calendar,
    instrument: Instrument,
    size: BarSize,
    source: str,
    span: tuple[int, int],
    held: Seconds,
    refused: Sequence[Refusal],
    former: Sequence[KnownGap],
    now: datetime,
    words: str = "it gave none",
) -> GapsFound:
    """Which bars that close within `span` (both included, in seconds) are not among `held` although `source` was asked
    for all of them; `former` is what was known before, `words` what it said."""
    expected = expected_closes(calendar, instrument.asset_class, size, span[0] - 1, span[1])
    gaps = []
    for gap in gaps_in(expected, missing_closes(expected, held)):
        first, last = time_of(gap.first), time_of(gap.last)
        why = next((str(each.defect) for each in refused if first <= each.at <= last), "")
        before = [
            each.tries
            for each in former
            if each.source == source and each.size is size and each.first <= last and each.last >= first
        ]
        reason = f"what it gave was refused: {why}" if why else words
        whole = KnownGap(instrument.symbol, size, source, first, last, gap.bars, reason, now)
        gaps.append(replace(whole, tries=1 + max(before, default=0)))
    return GapsFound(instrument.symbol, size, source, time_of(span[0]), time_of(span[1]), tuple(gaps))


def refused_bars(
    symbol: str, size: BarSize, source: str, refused: Sequence[Refusal], now: datetime
) -> list[RefusedBar]:
    """Those of the refusals that are final."""
    return [
        RefusedBar(symbol, size, each.at, str(each.defect), source, each.sentence, now)
        for each in refused
        if each.defect not in FOR_NOW
    ]
