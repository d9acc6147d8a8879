"""Collecting bars: what is missing since the newest stored bar, per instrument and size, through the quality gate into
the store. A bad instrument is excluded with its reason and takes no other down."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from core.checkpoints import Checkpoint, calling, nowhere
from core.domain.bars import BarSize
from core.domain.instruments import Instrument
from core.errors import DataFault, Transient
from core.ports import BarStore, Calendar, MarketData
from core.quality import CONTEXT, Inspection, Refusal, inspect
from core.series import BarSeries, time_of

OVERLAP = 3
SESSION = timedelta(hours=6, minutes=30)
DAYS_PER_SESSION = 365.25 / 252

# How far back the first collection reaches: about 3,000 daily bars of a stock, and what Yahoo keeps of 5 minutes.
DEPTH: Mapping[BarSize, timedelta] = MappingProxyType(
    {
        BarSize.M1: timedelta(days=7),
        BarSize.M5: timedelta(days=60),
        BarSize.H1: timedelta(days=700),
        BarSize.D1: timedelta(days=4_350),
    }
)
MOST_DAILY_BARS = 3_000

_Key = tuple[str, BarSize]


@dataclass(frozen=True, slots=True)
class Collected:
    """What came of one instrument and size. `error` says in words why nothing could be had; empty when all is well.

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


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """One question to the sources; `only` names the source that the stored bars come from, `known` are the newest of
    them."""

    instrument: Instrument
    size: BarSize
    newest: datetime | None
    count: int
    only: str | None
    known: BarSeries | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    inspection: Inspection | None = None
    source: str = ""
    error: str = ""
    transient: bool = False
    retry_at: datetime | None = None


@dataclass(slots=True)
class Collector:
    """Asks `sources` in order and keeps the first that answers; a series once begun stays with its source.

    `parallel` fetches that many at a time in threads and gives them `deadline` seconds together; without it everything
    happens inline, which is what replay wants. The store is read and written in the calling thread only. `overlap`
    bars before the newest are asked for again, because vendors revise their last ones; none where nothing is revised.
    """

    sources: Sequence[MarketData]
    store: BarStore
    calendar: Calendar
    depth: Mapping[BarSize, timedelta] = field(default_factory=lambda: DEPTH)
    parallel: int | None = None
    deadline: float = 60.0
    overlap: int = OVERLAP
    checkpoint: Checkpoint = nowhere
    _known: dict[_Key, tuple[datetime, str | None]] = field(default_factory=dict)
    _pool: ThreadPoolExecutor | None = None
    _running: dict[_Key, Future[_Answer]] = field(default_factory=dict)

    def collect(self, instruments: Sequence[Instrument], sizes: Sequence[BarSize], now: datetime) -> CollectReport:
        """Brings the store up to `now`. A failing source raises nothing: the report says what is missing and why."""
        wanted = [(instrument, size) for size in sizes for instrument in instruments]
        requests = [self._request(instrument, size, now) for instrument, size in wanted]
        due = [request for request in requests if request is not None]
        answers = dict(zip(((r.instrument.symbol, r.size) for r in due), self._fetch_all(due, now), strict=True))
        written = self._store_all(answers)
        entries = [
            self._entry(request, answers.get((instrument.symbol, size)), written, instrument.symbol, size)
            for (instrument, size), request in zip(wanted, requests, strict=True)
        ]
        return CollectReport(now, tuple(entries))

    def close(self) -> None:
        """Lets running fetches end on their own and starts no more."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _request(self, instrument: Instrument, size: BarSize, now: datetime) -> _Request | None:
        """None where, by the calendar, no bar can have closed since the newest stored one."""
        newest, source = self._stored(instrument.symbol, size)
        whole = bars_in(instrument, size, self.depth[size])
        if newest is None:
            return _Request(instrument, size, None, whole, None)
        if next_bar_close(self.calendar, instrument, size, newest) > now:
            return None
        missing = math.ceil((now - newest) / size.span) + self.overlap
        known = self.store.read(instrument.symbol, size, newest, CONTEXT)
        return _Request(instrument, size, newest, min(missing, whole), source, known)

    def _stored(self, symbol: str, size: BarSize) -> tuple[datetime | None, str | None]:
        """The newest stored close and its source; asked of the store once, because only collecting moves it."""
        key = (symbol, size)
        if key not in self._known:
            newest = self.store.newest_close(symbol, size)
            if newest is None:
                return None, None
            self._known[key] = (newest, self.store.source_of(symbol, size))
        return self._known[key]

    def _fetch_all(self, requests: Sequence[_Request], now: datetime) -> list[_Answer]:
        if self.parallel is None:
            return [self._fetch(request, now) for request in requests]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.parallel, thread_name_prefix="collect")
        for request in requests:
            key = (request.instrument.symbol, request.size)
            if key not in self._running:
                self._running[key] = self._pool.submit(self._fetch, request, now)
        futures = [self._running[request.instrument.symbol, request.size] for request in requests]
        wait(futures, timeout=self.deadline)
        return [self._result(request) for request in requests]

    def _result(self, request: _Request) -> _Answer:
        """A fetch that overruns stays remembered, and is not started a second time while it runs."""
        key = (request.instrument.symbol, request.size)
        future = self._running[key]
        if not future.done():
            return _Answer(error=f"no answer within {self.deadline:g} s", transient=True)
        del self._running[key]
        return future.result()

    def _fetch(self, request: _Request, now: datetime) -> _Answer:
        sources = [source for source in self.sources if request.only in (None, source.name)]
        if not sources:
            held = ", ".join(source.name for source in self.sources) or "no source"
            return _Answer(error=f"stored bars come from {request.only}; {held} may not continue them")
        failed: list[_Answer] = []
        for source in sources:
            with calling(self.checkpoint, "fetch"):
                answer = _ask(source, request, now)
            if not answer.error:
                return answer
            failed.append(answer)
        return _Answer(
            error="; ".join(f"{answer.source}: {answer.error}" for answer in failed),
            transient=any(answer.transient for answer in failed),
            retry_at=min((answer.retry_at for answer in failed if answer.retry_at), default=None),
        )

    def _store_all(self, answers: Mapping[_Key, _Answer]) -> Mapping[_Key, int]:
        """Everything that is good, in one transaction; how many rows were written of each."""
        inspected = {key: answer.inspection.good for key, answer in answers.items() if answer.inspection is not None}
        good = {key: series for key, series in inspected.items() if len(series)}
        counts = self.store.write_all([(series, answers[key].source) for key, series in good.items()])
        return dict(zip(good, counts, strict=True))

    def _entry(
        self,
        request: _Request | None,
        answer: _Answer | None,
        written: Mapping[_Key, int],
        symbol: str,
        size: BarSize,
    ) -> Collected:
        if request is None or answer is None:
            return Collected(symbol, size, self._stored(symbol, size)[0], asked=False)
        if answer.inspection is None:
            return Collected(
                symbol, size, request.newest, error=answer.error, transient=answer.transient, retry_at=answer.retry_at
            )
        good, newest = answer.inspection.good, request.newest
        if len(good):
            closed = time_of(good.closed_at[-1])
            newest = closed if newest is None else max(newest, closed)
            self._known[symbol, size] = (newest, answer.source)
        refused = answer.inspection.refused
        rows = written.get((symbol, size), 0)
        return Collected(symbol, size, newest, rows, source=answer.source, refused=refused)


def _ask(source: MarketData, request: _Request, now: datetime) -> _Answer:
    instrument, size = request.instrument, request.size
    try:
        series = source.bars(instrument, size, now, request.count)
    except DataFault as fault:
        return _Answer(source=source.name, error=fault.reason)
    except Transient as trouble:
        return _Answer(source=source.name, error=str(trouble), transient=True, retry_at=trouble.retry_at)
    inspection = inspect(series, now, request.known)
    if not len(inspection.good) and request.newest is None:
        return _Answer(source=source.name, error=_nothing_good(series, inspection))
    return _Answer(inspection, source.name)


def _nothing_good(series: BarSeries, inspection: Inspection) -> str:
    if not len(series):
        return f"no {series.size} bars yet"
    return f"all {len(series)} bars were refused; the last: {inspection.refused[-1].sentence}"


def bars_in(instrument: Instrument, size: BarSize, span: timedelta) -> int:
    """About how many bars of the instrument fall into `span`."""
    if not size.is_intraday:
        days = span / timedelta(days=1)
        return min(MOST_DAILY_BARS, math.ceil(days if instrument.is_crypto else days / DAYS_PER_SESSION))
    if instrument.is_crypto:
        return math.ceil(span / size.span)
    return math.ceil(span / timedelta(days=DAYS_PER_SESSION) * math.ceil(SESSION / size.span))


def next_bar_close(calendar: Calendar, instrument: Instrument, size: BarSize, newest: datetime) -> datetime:
    """When the bar after the one closed at `newest` closes."""
    asset_class = instrument.asset_class
    if not size.is_intraday:
        return calendar.next_close(asset_class, newest)
    return calendar.bar_close(asset_class, size, calendar.next_open(asset_class, newest))
