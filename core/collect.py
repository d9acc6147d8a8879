"""Collecting bars: what is missing since the newest stored bar, per instrument and size, through the quality gate into
the store. A bad instrument is excluded with its reason and takes no other down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from core.checkpoints import Checkpoint, nowhere
from core.domain.bar_records import NO_NOTES, BarNotes, RefusedBar, SeamKind
from core.domain.bars import BarSize
from core.domain.instruments import Instrument
from core.feed.asking import Answer, Key, Reply, Request, fetch, fetch_whole
from core.feed.depth import DEPTH
from core.feed.fetching import Fetcher
from core.feed.keeping import first_gaps, parts_of, refused_of, seams_of
from core.feed.planning import Planner
from core.feed.refresh import retold
from core.feed.settling import Series, Settled, settle
from core.feed.splits import Splits, is_clear
from core.feed.standing import Rules, Standing
from core.ports import BarStore, Calendar, MarketData
from core.quality import Refusal
from core.series import BarSeries, time_of

OVERLAP = 3
EVERY_BAR = 10_000_000
UNLIKE = "was split: its bars of other sizes still count old units"


@dataclass(frozen=True, slots=True)
class Collected:
    """What came of one instrument and size. `error` says in words why nothing could be had, or why what was had may not
    count yet; empty when all is well.

    `newest` is the close of the newest stored bar. `asked` is False where no bar can have closed since. `transient` and
    `retry_at` tell an error that may pass from one of the instrument itself.
    """

    symbol: str
    size: BarSize
    newest: datetime | None
    written: int = 0
    asked: bool = True
    source: str = ""
    refused: tuple[Refusal, ...] = ()
    error: str = ""
    transient: bool = False
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CollectReport:
    """One entry per instrument and size, in the order asked."""

    at: datetime
    entries: tuple[Collected, ...]

    @property
    def written(self) -> int:
        return sum(entry.written for entry in self.entries)

    def errors(self, size: BarSize) -> Mapping[str, str]:
        """Why instruments are without new bars of that size, by symbol."""
        return {entry.symbol: entry.error for entry in self.entries if entry.size is size and entry.error}

    def refusals(self) -> tuple[Refusal, ...]:
        return tuple(refusal for entry in self.entries for refusal in entry.refused)


@dataclass(slots=True, eq=False)
class _Round:
    """One collection: what was asked, answered and made of it. `anew` are whole series in new units, or why not."""

    requests: dict[Key, Request] = field(default_factory=dict)
    answers: dict[Key, Answer] = field(default_factory=dict)
    settled: dict[Key, Settled] = field(default_factory=dict)
    anew: dict[Key, BarSeries | str] = field(default_factory=dict)
    written: dict[Key, int] = field(default_factory=dict)


@dataclass(slots=True)
class Collector:
    """Asks `sources`, the best first; whoever answers first begins a series. With `rules` another source continues it
    where its own fails for a while, after a look at what both have; without them it stays with its source.

    `parallel` fetches that many at a time in threads and gives them `deadline` seconds together; without it everything
    happens inline, which is what replay wants. The store is read and written in the calling thread only. `overlap`
    bars before the newest are asked for again, because vendors revise their last ones, and tell the past anew after a
    split; none where nothing is revised. `standings` are where each series comes from, by symbol and size, `troubles`
    why its own source last gave nothing.
    """

    sources: Sequence[MarketData]
    store: BarStore
    calendar: Calendar
    depth: Mapping[BarSize, timedelta] = field(default_factory=lambda: DEPTH)
    parallel: int | None = None
    deadline: float = 60.0
    overlap: int = OVERLAP
    checkpoint: Checkpoint = nowhere
    rules: Rules | None = None
    standings: dict[Key, Standing] = field(default_factory=dict)
    troubles: dict[Key, str] = field(default_factory=dict)
    _known: dict[Key, tuple[datetime, Series]] = field(default_factory=dict)
    _fetcher: Fetcher[tuple[str, Key], Answer] = field(init=False)
    _splits: Splits = field(default_factory=Splits)
    _refused: set[tuple[object, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._fetcher = Fetcher(self.parallel, "collect")

    def collect(self, instruments: Sequence[Instrument], sizes: Sequence[BarSize], now: datetime) -> CollectReport:
        """Brings the store up to `now`. A failing source raises nothing: the report says what is missing and why."""
        wanted = {(each.symbol, size): each for size in sizes for each in instruments}
        for key in self.standings.keys() - wanted.keys():
            # Not traded any more: nobody waits for its source.
            del self.standings[key]
        round_ = _Round()
        self._ask(round_, {key: self._request(each, key[1], now) for key, each in wanted.items()}, now)
        split = {key[0] for key, found in round_.settled.items() if found.ratio != 1.0}
        if split:
            # What one size of bars tells of a split, the others are asked for at once.
            others = [key for key in wanted if key[0] in split and key not in round_.requests]
            self._ask(round_, {key: self._request(wanted[key], key[1], now, is_due=True) for key in others}, now)
            self._splits.note((key[0] for key, found in round_.settled.items() if is_clear(found.ratio)), now)
        self._tell_anew(round_, now)
        self._write(round_, now)
        self._splits.look(self.store, sizes, now)
        return CollectReport(now, tuple(self._entry(key, round_) for key in wanted))

    def close(self) -> None:
        """Lets running fetches end on their own and starts no more."""
        self._fetcher.close()

    @property
    def best(self) -> str:
        return self.sources[0].name if self.sources else ""

    def _request(self, instrument: Instrument, size: BarSize, now: datetime, is_due: bool = False) -> Request | None:
        """None where, by the calendar, no bar can have closed since the newest stored one."""
        planner = Planner(self.calendar, self.store, self.depth, self.overlap, self.best, self.rules)
        newest, series = self._stored((instrument.symbol, size))
        if newest is None:
            return planner.first(instrument, size)
        standing = self._standing((instrument.symbol, size), series)
        is_due = is_due or instrument.symbol in self._splits.suspects
        overlap = self._splits.overlap((instrument.symbol, size), newest, self.store, now) if standing else 0
        return planner.next(instrument, size, now, newest, series, standing, is_due=is_due, overlap=overlap)

    def _stored(self, key: Key) -> tuple[datetime | None, Series]:
        """The newest stored close, and where it comes from; asked of the store once: only collecting moves it."""
        if key not in self._known:
            newest = self.store.newest_close(*key)
            if newest is None:
                return None, Series()
            seams = [
                seam
                for seam in (self.store.seams() if self.rules is not None else ())
                if (seam.symbol, seam.size) == key and seam.kind is SeamKind.SOURCE
            ]
            self._known[key] = (newest, Series(self.store.source_of(*key), seams[-1] if seams else None))
        return self._known[key]

    def _standing(self, key: Key, series: Series) -> Standing | None:
        if self.rules is None:
            return None
        known, source = self.standings.get(key), series.source or self.best
        if known is None and source not in {each.name for each in self.sources}:
            # Nobody to wait for: imported bars, or a source that is no longer set.
            return Standing(source, failures=self.rules.failures)
        return known or Standing(source)

    def _ask(self, round_: _Round, wanted: Mapping[Key, Request | None], now: datetime) -> None:
        due = {key: request for key, request in wanted.items() if request is not None}
        questions = {
            ("newest", key): partial(fetch, request, self.sources, now, self.checkpoint) for key, request in due.items()
        }
        round_.requests |= due
        for request, answer in zip(due.values(), self._answers(questions), strict=True):
            _, series = self._stored(request.key)
            standing = self._standing(request.key, series)
            found = settle(request, answer, series, standing, self.best, now, self.rules)
            if found.standing is not None:
                self.standings[request.key] = found.standing
            if answer.own is not None and answer.own.error:
                self.troubles[request.key] = f"{answer.own.source or self.best}: {answer.own.error}"
            round_.answers[request.key], round_.settled[request.key] = answer, found

    def _tell_anew(self, round_: _Round, now: datetime) -> None:
        """Asks for the whole of each series whose units have changed; none of it is written before that is there."""
        stored: dict[Key, BarSeries] = {}
        questions: dict[tuple[str, Key], Callable[[], Answer]] = {}
        for key, found in round_.settled.items():
            if found.ratio != 1.0 and found.taken is not None:
                source = next(each for each in self.sources if each.name == found.taken.reply.source)
                stored[key] = self.store.read(*key, now, EVERY_BAR)
                request = round_.requests[key]
                questions["whole", key] = partial(fetch_whole, request, source, stored[key], now, self.checkpoint)
        for key, answer in zip(stored, self._answers(questions), strict=True):
            taken, seam = round_.settled[key].taken, self._stored(key)[1].seam
            assert taken is not None
            round_.anew[key] = retold(stored[key], answer.replies[0], taken, seam)

    def _answers(self, questions: Mapping[tuple[str, Key], Callable[[], Answer]]) -> list[Answer]:
        late = Answer(Reply("", error=f"no answer within {self.deadline:g} s", transient=True))
        return self._fetcher.all(list(questions.items()), self.deadline, late)

    def _write(self, round_: _Round, now: datetime) -> None:
        """Everything that is good, and what is noted of it, in one transaction."""
        parts = parts_of(round_.settled, round_.anew)
        seams = seams_of(round_.settled, parts, now)
        notes = NO_NOTES
        if self.rules is not None:
            fresh = [bar for bar in refused_of(round_.answers, now) if _name_of(bar) not in self._refused]
            gaps = first_gaps(self.calendar, self.depth, round_.requests, round_.answers, parts, now)
            notes = BarNotes(tuple(gaps), tuple(seams), tuple(fresh))
            self._refused.update(map(_name_of, fresh))
        counts = self.store.write_all(list(parts.values()), notes)
        round_.written = dict(zip(parts, counts, strict=True))
        for key, (bars, source) in parts.items():
            newest, series = self._stored(key)
            closed = time_of(bars.closed_at[-1])
            new = [each for each in seams if (each.symbol, each.size) == key and each.kind is SeamKind.SOURCE]
            series = Series(source, new[-1] if new else series.seam)
            self._known[key] = (closed if newest is None else max(newest, closed), series)
            if self.rules is not None:
                self._splits.compared(key, newest, round_.requests[key].known, bars, now)
            if key in round_.anew:
                self._splits.told_anew(key)

    def _entry(self, key: Key, round_: _Round) -> Collected:
        request, found = round_.requests.get(key), round_.settled.get(key)
        newest = self._stored(key)[0]
        unlike = UNLIKE if key[0] in self._splits.suspects else ""
        if request is None or found is None:
            return Collected(*key, newest, asked=False, error=unlike)
        anew = round_.anew.get(key)
        error = found.error or (anew if isinstance(anew, str) else "") or unlike
        replies = round_.answers[key].replies
        failed = [reply for reply in replies if reply.error]
        taken = found.taken.reply if found.taken is not None else None
        return Collected(
            *key,
            newest,
            round_.written.get(key, 0),
            source=taken.source if taken is not None else "",
            refused=taken.inspection.refused if taken is not None and taken.inspection is not None else (),
            error=error,
            transient=bool(error) and any(reply.transient for reply in failed),
            retry_at=min((reply.retry_at for reply in failed if reply.retry_at), default=None) if error else None,
        )


def _name_of(bar: RefusedBar) -> tuple[object, ...]:
    return bar.symbol, bar.size, bar.at, bar.defect
