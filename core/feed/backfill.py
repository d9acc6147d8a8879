"""Back-fill: bars that are missing inside a series are asked for, in the fewest calls, a few at a time, so that nothing
else waits for them. What is left to do is found in the store: a restart goes on where it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import numpy as np

from core.checkpoints import Checkpoint, calling, nowhere
from core.domain.bar_records import BarNotes, KnownGap, Seam
from core.domain.bars import BarSize
from core.domain.instruments import Instrument
from core.feed.asked import gaps_found, refused_bars
from core.feed.asking import Key, Reply, ask_until
from core.feed.depth import DEPTH, wanted_closes
from core.feed.fetching import Fetcher
from core.feed.gap_owners import FOREVER, parts_of, seams_around, whom
from core.feed.gaps import Gap, missing_closes, windows
from core.feed.overlap import Comparison, Fit, compare, in_volume_of
from core.ports import BarStore, Calendar, MarketData
from core.quality import CONTEXT
from core.series import BarSeries, Seconds, concatenated, seconds_of, time_of

SETTLED = timedelta(hours=1)
"""Younger gaps may still close by themselves: vendors give their last bars late."""
LOOK_AGAIN = timedelta(hours=1)
MOST_PER_CALL = 20_000
BUDGET = 8
LEFT = "left in about"
"""Words of a back-fill that goes on."""
AROUND = 3
"""So many stored bars on both sides are asked for too, to see whether what comes fits."""


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """One stretch of a series with missing bars, and whom to ask for it; `owner` is the source of the bars around it,
    whose own volumes are `volume_ratio` times those of the series."""

    instrument: Instrument
    size: BarSize
    source: MarketData
    owner: str
    gap: Gap
    missing: Seconds
    known: tuple[KnownGap, ...]
    volume_ratio: float | None

    @property
    def key(self) -> tuple[str, BarSize, int]:
        return self.instrument.symbol, self.size, self.gap.first

    @property
    def is_own(self) -> bool:
        return self.source.name == self.owner


@dataclass(frozen=True, slots=True)
class Filled:
    """What one run did: `calls` made, of which `failed` got no answer; `bars` written. `left` bars are still to be
    asked for, in `left_calls`; `at_no_source` were asked for and not given."""

    calls: int = 0
    failed: int = 0
    bars: int = 0
    left: int = 0
    left_calls: int = 0
    at_no_source: int = 0

    @property
    def words(self) -> str:
        """One line for health and record."""
        lacking = f"; {self.at_no_source:,} bars that their source does not have" if self.at_no_source else ""
        if not self.calls and not self.left:
            return f"no gaps to fill{lacking}"
        troubled = f", {self.failed} unanswered" if self.failed else ""
        left = f"{self.left:,} bars {LEFT} {self.left_calls} calls" if self.left else "none left"
        return f"{self.bars:,} missing bars filled in {self.calls} calls{troubled}; {left}{lacking}"


@dataclass(slots=True)
class BackFiller:
    """`budget` calls a run, `parallel` at a time in threads or inline; a run in which nobody answers ends early."""

    sources: Sequence[MarketData]
    store: BarStore
    calendar: Calendar
    depth: Mapping[BarSize, timedelta] = field(default_factory=lambda: DEPTH)
    parallel: int | None = None
    deadline: float = 60.0
    budget: int = BUDGET
    checkpoint: Checkpoint = nowhere
    _looked: dict[Key, datetime] = field(default_factory=dict)
    _open: dict[Key, list[_Call]] = field(default_factory=dict)
    _lacking: dict[Key, int] = field(default_factory=dict)
    _fetcher: Fetcher[tuple[str, BarSize, int], Reply] = field(init=False)

    def __post_init__(self) -> None:
        self._fetcher = Fetcher(self.parallel, "back-fill")

    def fill(self, instruments: Sequence[Instrument], sizes: Sequence[BarSize], now: datetime) -> Filled:
        """Asks for what is missing, the newest first. A failing source raises nothing: it is asked again next time."""
        wanted = {(instrument.symbol, size): instrument for size in sizes for instrument in instruments}
        for key in self._looked.keys() - wanted.keys():
            del self._looked[key], self._open[key], self._lacking[key]
        for (_, size), instrument in wanted.items():
            self._look(instrument, size, now)
        calls = failed = bars = 0
        for some in self._rounds():
            replies = self._ask(some)
            calls += len(some)
            failed += sum(reply.transient for reply in replies)
            bars += self._keep(list(zip(some, replies, strict=True)), now)
            if all(reply.transient for reply in replies):
                break
        left = [call for waiting in self._open.values() for call in waiting]
        return Filled(
            calls, failed, bars, sum(len(call.missing) for call in left), len(left), sum(self._lacking.values())
        )

    def close(self) -> None:
        self._fetcher.close()

    def _look(self, instrument: Instrument, size: BarSize, now: datetime) -> None:
        """Finds what is missing in a series, once an hour."""
        key = (instrument.symbol, size)
        looked = self._looked.get(key)
        if looked is not None and now - looked < LOOK_AGAIN:
            return
        newest = self.store.newest_close(*key)
        if newest is None:
            return
        self._looked[key], self._open[key], self._lacking[key] = now, [], 0
        expected = wanted_closes(self.calendar, instrument, size, self.depth, seconds_of(newest))
        expected = expected[expected <= seconds_of(now - SETTLED)]
        if not len(expected):
            return
        missing = missing_closes(expected, self.store.closes(*key, int(expected[0]) - 1, int(expected[-1])))
        known = tuple(self.store.known_gaps(*key))
        seams = self.store.seams()
        calls = [
            _Call(instrument, size, source, part.source, gap, _within(welcome, gap), known, part.volume_ratio)
            for part in parts_of(self.store.source_of(*key) or "", seams, key)
            for source, asked, welcome in whom(part, part.of(missing), known, self.sources, size, now)
            for gap in windows(expected, asked, MOST_PER_CALL)
        ]
        self._open[key] = calls
        hoped_for = [call.missing for call in calls]
        self._lacking[key] = len(np.setdiff1d(missing, np.concatenate([np.empty(0, np.int64), *hoped_for])))

    def _rounds(self) -> Iterator[list[_Call]]:
        """The newest gaps of all series, as many at a time as are asked side by side."""
        waiting = sorted(
            (call for calls in self._open.values() for call in calls), key=lambda call: call.gap.last, reverse=True
        )[: self.budget]
        step = self.parallel or 1
        for start in range(0, len(waiting), step):
            yield waiting[start : start + step]

    def _ask(self, calls: Sequence[_Call]) -> list[Reply]:
        late = Reply("", error=f"no answer within {self.deadline:g} s", transient=True)
        return self._fetcher.all([(call.key, partial(self._fetch, call)) for call in calls], self.deadline, late)

    def _fetch(self, call: _Call) -> Reply:
        """The stretch and a few bars on both sides of it. Runs in threads."""
        whole = 2 * AROUND + call.gap.bars
        after = self.store.closes(call.instrument.symbol, call.size, call.gap.last, FOREVER)[:AROUND]
        end = time_of(after[-1]) if len(after) else time_of(call.gap.last)
        context = self.store.read(call.instrument.symbol, call.size, time_of(call.gap.first), CONTEXT)
        with calling(self.checkpoint, "fetch"):
            return ask_until(call.source, call.instrument, call.size, end, whole, context if call.is_own else None)

    def _keep(self, answered: Sequence[tuple[_Call, Reply]], now: datetime) -> int:
        """Writes what was missing and fits, and what is not to be had; how many bars."""
        parts: list[tuple[BarSeries, str]] = []
        gaps, refused, seams = [], [], list[Seam]()
        for call, reply in answered:
            if reply.transient:
                continue
            self._open[call.instrument.symbol, call.size].remove(call)
            bars, words, fit = self._fitting(call, reply)
            span = (call.gap.first, call.gap.last)
            held = self.store.closes(call.instrument.symbol, call.size, span[0] - 1, span[1])
            held = np.union1d(held, bars.closed_at)
            why = reply.inspection.refused if reply.inspection is not None else ()
            found = gaps_found(
                self.calendar, call.instrument, call.size, call.source.name, span, held, why, call.known, now, words
            )
            self._lacking[call.instrument.symbol, call.size] += sum(gap.bars for gap in found.gaps)
            gaps.append(found)
            refused += refused_bars(call.instrument.symbol, call.size, reply.source, why, now)
            if len(bars):
                parts.append((bars, call.source.name))
                if not call.is_own:
                    key, sources = (call.instrument.symbol, call.size), (call.owner, call.source.name)
                    seams += seams_around(key, sources, bars.closed_at, self._beside(call), fit, now)
        if gaps:
            self.store.write_all(_joined(parts), BarNotes(tuple(gaps), tuple(seams), tuple(refused)))
        return sum(len(bars) for bars, _ in parts)

    def _beside(self, call: _Call) -> Seconds:
        """The stored closes in and around the stretch."""
        low = self.store.read(call.instrument.symbol, call.size, time_of(call.gap.first), 2)
        high = self.store.closes(call.instrument.symbol, call.size, call.gap.first - 1, FOREVER)
        return np.union1d(low.closed_at, high)

    def _fitting(self, call: _Call, reply: Reply) -> tuple[BarSeries, str, Comparison]:
        """The missing bars of an answer; none, and why, where it does not agree with the stored ones beside it."""
        nothing, good = BarSeries.empty(call.instrument.symbol, call.size), reply.good
        if good is None or not len(good):
            return nothing, reply.error or "it gave none", Comparison(Fit.APART)
        stored = self.store.read(call.instrument.symbol, call.size, time_of(good.closed_at[-1]), len(good) + 2 * AROUND)
        found = compare(stored, good, call.instrument, one_source=call.is_own)
        match found.fit:
            case Fit.AGREES:
                bars = good.part(np.isin(good.closed_at, call.missing))
                ratio = call.volume_ratio if call.is_own else found.volume_ratio
                return in_volume_of(bars, ratio), "it gave none", found
            case Fit.APART:
                return nothing, "what it gave has too few bars in common with the stored ones", found
            case Fit.RESCALED:
                return nothing, "what it gave counts other units than the stored bars", found
            case _:
                return nothing, f"its closes lie up to {found.difference:.2%} from the stored ones", found


def _within(closes: Seconds, gap: Gap) -> Seconds:
    return closes[(closes >= gap.first) & (closes <= gap.last)]


def _joined(parts: Iterable[tuple[BarSeries, str]]) -> list[tuple[BarSeries, str]]:
    """Stretches of one series and source as one, ascending: what the store takes."""
    found: dict[tuple[str, BarSize, str], list[BarSeries]] = {}
    for bars, source in parts:
        found.setdefault((bars.symbol, bars.size, source), []).append(bars)
    together = (
        (concatenated(*sorted(those, key=lambda bars: int(bars.closed_at[0]))), source)
        for (_, _, source), those in found.items()
    )
    return list(together)
