"""What is written after a round of answers: bars, and what is noted of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from core.domain.bar_records import GapsFound, RefusedBar, Seam, SeamKind
from core.domain.bars import BarSize
from core.feed.asked import gaps_found, refused_bars
from core.feed.asking import Answer, Key, Request
from core.feed.depth import wanted_closes
from core.feed.settling import Settled, Taken
from core.ports import Calendar
from core.series import BarSeries, time_of

Parts = dict[Key, tuple[BarSeries, str]]


def parts_of(settled: Mapping[Key, Settled], anew: Mapping[Key, BarSeries | str]) -> Parts:
    """The bars to write of each series, with their source. A series that counts other units than its source waits until
    it was told anew (`anew`: that, or why it could not be)."""
    parts: Parts = {}
    for key, found in settled.items():
        if found.taken is None:
            continue
        bars = found.taken.bars if found.taken.ratio == 1.0 else anew[key]
        if isinstance(bars, BarSeries) and len(bars):
            parts[key] = bars, found.taken.reply.source
    return parts


def seams_of(settled: Mapping[Key, Settled], parts: Parts, now: datetime) -> list[Seam]:
    found = []
    for key, one in settled.items():
        if one.taken is None or key not in parts:
            continue
        if one.taken.seam is not None:
            found.append(one.taken.seam)
        elif one.taken.ratio != 1.0:
            found.append(_rescaling(key, one.taken, now))
    return found


def _rescaling(key: Key, taken: Taken, now: datetime) -> Seam:
    source, common = taken.reply.source, (taken.compared, taken.difference)
    return Seam(*key, time_of(taken.until), SeamKind.RESCALED, source, source, *common, now, ratio=taken.ratio)


def refused_of(answers: Mapping[Key, Answer], now: datetime) -> list[RefusedBar]:
    """Every bar that was refused for good."""
    return [
        bar
        for key, answer in answers.items()
        for reply in answer.replies
        if reply.inspection is not None
        for bar in refused_bars(*key, reply.source, reply.inspection.refused, now)
    ]


def first_gaps(
    calendar: Calendar,
    depth: Mapping[BarSize, timedelta],
    requests: Mapping[Key, Request],
    answers: Mapping[Key, Answer],
    parts: Parts,
    now: datetime,
) -> list[GapsFound]:
    """Of series that begin now: whoever was asked for everything and left something out does not have it."""
    found = []
    for key, (bars, source) in parts.items():
        request = requests[key]
        if request.newest is not None:
            continue
        newest = int(bars.closed_at[-1])
        wanted = wanted_closes(calendar, request.instrument, request.size, depth, newest)
        whole = (int(wanted[0]), newest) if len(wanted) else (newest, newest)
        refused = [
            refusal
            for reply in answers[key].replies
            if reply.source == source and reply.inspection is not None
            for refusal in reply.inspection.refused
        ]
        found.append(
            gaps_found(calendar, request.instrument, request.size, source, whole, bars.closed_at, refused, (), now)
        )
    return found
