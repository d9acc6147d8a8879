"""One question to the sources and what each of them answered, through the quality gate. Runs in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.checkpoints import Checkpoint, calling
from core.domain.bars import BarSize
from core.domain.instruments import Instrument
from core.errors import DataFault, Transient
from core.ports import MarketData
from core.quality import Inspection, inspect
from core.series import BarSeries, seconds_of

Key = tuple[str, BarSize]


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """The newest `count` bars of a series, of which the stored ones end at `newest` and come from `own` (None: there
    are none yet, and whoever answers first begins it).

    `known` are the newest stored bars; `is_converted` where their volumes are not as `own` tells them. `may_leave`:
    where `own` fails the others are asked too, for `others` bars. `probe` names the best source where it is to be tried
    besides. With `asks_own` False nothing but the probe is asked. `is_overdue`: an answer without a newer bar is none.
    """

    instrument: Instrument
    size: BarSize
    newest: datetime | None
    count: int
    own: str | None
    known: BarSeries
    others: int = 0
    may_leave: bool = False
    probe: str = ""
    asks_own: bool = True
    is_overdue: bool = False
    is_converted: bool = False

    @property
    def key(self) -> Key:
        return self.instrument.symbol, self.size


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """What one source said: bars that were looked at, or in words why there are none."""

    source: str
    inspection: Inspection | None = None
    error: str = ""
    transient: bool = False
    retry_at: datetime | None = None

    @property
    def good(self) -> BarSeries | None:
        return self.inspection.good if self.inspection is not None and not self.error else None


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """`own` is None where the source in charge was not asked; `others` were asked in its place, in order."""

    own: Reply | None = None
    others: tuple[Reply, ...] = ()
    probe: Reply | None = None

    @property
    def replies(self) -> tuple[Reply, ...]:
        found = (self.own, *self.others, self.probe)
        return tuple(reply for reply in found if reply is not None)


def fetch(request: Request, sources: Sequence[MarketData], now: datetime, checkpoint: Checkpoint) -> Answer:
    """Asks whom the request names, the others only until one of them answers. Raises nothing that a source raises."""
    by_name = {source.name: source for source in sources}

    def asked(name: str, count: int, known: BarSeries | None) -> Reply:
        with calling(checkpoint, "fetch"):
            return ask(by_name[name], request, count, known, now)

    if request.own is None:
        return Answer(others=_until_one_answers(lambda name: asked(name, request.count, None), by_name))
    probe = asked(request.probe, request.others, None) if request.probe in by_name else None
    if not request.asks_own:
        return Answer(probe=probe)
    if request.own in by_name:
        own = asked(request.own, request.count, None if request.is_converted else request.known)
    else:
        held = ", ".join(by_name) or "no source"
        own = Reply("", error=f"stored bars come from {request.own}; {held} may not continue them")
    if own.good is not None or not request.may_leave:
        return Answer(own, probe=probe)
    if probe is not None and probe.good is not None:
        return Answer(own, (probe,), probe)
    left = [name for name in by_name if name not in (request.own, request.probe)]
    return Answer(own, _until_one_answers(lambda name: asked(name, request.others, None), left), probe)


def fetch_whole(
    request: Request, source: MarketData, stored: BarSeries, now: datetime, checkpoint: Checkpoint
) -> Answer:
    """Everything that is `stored`, and what came since, as far back as the source can be asked."""
    reach = source.reach(request.size)
    within = stored if reach is None else stored.after(now - reach)
    with calling(checkpoint, "fetch"):
        return Answer(ask(source, request, len(within) + request.count, None, now))


def _until_one_answers(asked: Callable[[str], Reply], names: Iterable[str]) -> tuple[Reply, ...]:
    replies: list[Reply] = []
    for name in names:
        replies.append(asked(name))
        if replies[-1].good is not None:
            break
    return tuple(replies)


def ask(source: MarketData, request: Request, count: int, known: BarSeries | None, now: datetime) -> Reply:
    """The newest bars. `known` are stored ones of the same source, to judge the answer beside."""
    reply = ask_until(source, request.instrument, request.size, now, count, known)
    inspection = reply.inspection
    if inspection is None:
        return reply
    if not len(inspection.good) and request.newest is None:
        return Reply(source.name, inspection, _nothing_good(request.size, inspection))
    if request.is_overdue and not _has_newer(inspection.good, request.newest):
        return Reply(source.name, inspection, f"gave no bar since {request.newest:%Y-%m-%d %H:%MZ}", transient=True)
    return reply


def ask_until(
    source: MarketData, instrument: Instrument, size: BarSize, end: datetime, count: int, known: BarSeries | None
) -> Reply:
    """At most `count` bars closed at or before `end`."""
    try:
        series = source.bars(instrument, size, end, count)
    except DataFault as fault:
        return Reply(source.name, error=fault.reason)
    except Transient as trouble:
        return Reply(source.name, error=str(trouble), transient=True, retry_at=trouble.retry_at)
    return Reply(source.name, inspect(series, end, known))


def _has_newer(series: BarSeries, newest: datetime | None) -> bool:
    return bool(len(series)) and (newest is None or int(series.closed_at[-1]) > seconds_of(newest))


def _nothing_good(size: BarSize, inspection: Inspection) -> str:
    if not inspection.refused:
        return f"no {size} bars yet"
    return f"all {len(inspection.refused)} bars were refused; the last: {inspection.refused[-1].sentence}"
