"""What is done with the answers to one request: whose bars are taken, with which seam, who is in charge then. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from core.domain.bar_records import Seam, SeamKind
from core.feed.asking import Answer, Reply, Request
from core.feed.overlap import Comparison, Fit, are_stretches, compare, in_volume_of
from core.feed.standing import Round, Rules, Standing, Turn, after
from core.series import BarSeries, seconds_of, time_of


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """What is known of a stored series: where its newest bar comes from, and the newest seam between two sources."""

    source: str | None = None
    seam: Seam | None = None

    @property
    def volume_ratio(self) -> float | None:
        """By how much the source's volumes are larger than those of the series that it continues."""
        seam = self.seam
        return seam.volume_ratio if seam is not None and seam.source_to == self.source else None


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """Bars of one reply that may be stored; with a `ratio` that is not 1 those stored until `until` (their close, in
    seconds) have to be brought into new units first. `error` says why they may not."""

    reply: Reply
    bars: BarSeries
    seam: Seam | None = None
    ratio: float = 1.0
    until: int = 0
    compared: int = 0
    difference: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """`error` is why the instrument takes no entries; empty when all is well."""

    taken: Taken | None
    standing: Standing | None
    turn: Turn | None = None
    error: str = ""

    @property
    def ratio(self) -> float:
        """By how much stored prices have to be divided before the taken bars may stand beside them."""
        return self.taken.ratio if self.taken is not None else 1.0


def settle(
    request: Request,
    answer: Answer,
    series: Series,
    standing: Standing | None,
    best: str,
    now: datetime,
    rules: Rules | None,
) -> Settled:
    """Without `rules` there is no hysteresis: a series stays with its source."""
    takes = {reply.source: _taken(request, series, reply, now) for reply in answer.replies}
    whole = [take for take in takes.values() if not take.error]
    if request.newest is None:
        return _begun(whole, takes.values(), standing, now, rules)
    own = None if answer.own is None else takes[answer.own.source]
    if rules is None or standing is None:
        return Settled(None if own is None or own.error else own, standing, error=_reasons(takes.values()))
    others = [takes[reply.source] for reply in answer.others if not takes[reply.source].error]
    probe = None if answer.probe is None else takes[answer.probe.source]
    heard = Round(
        None if own is None else not own.error,
        others[0].reply.source if others else None,
        None if probe is None else not probe.error,
    )
    later, turn = after(standing, heard, best, now, rules)
    taken = next((take for take in whole if take.reply.source == later.source), None)
    return Settled(taken, later, turn, _error(later, taken, own, takes.values(), request))


def _begun(
    whole: list[Taken], takes: Iterable[Taken], standing: Standing | None, now: datetime, rules: Rules | None
) -> Settled:
    """The first bars of a series."""
    error = "" if whole else _reasons(takes)
    taken = whole[0] if whole else None
    if rules is None or standing is None:
        return Settled(taken, standing, error=error)
    if taken is not None and taken.reply.source != standing.source:
        return Settled(taken, Standing(taken.reply.source, changed_at=now), Turn.MOVED)
    later, turn = after(standing, Round(taken is not None), standing.source, now, rules)
    return Settled(taken, later, turn, error)


def _taken(request: Request, series: Series, reply: Reply, now: datetime) -> Taken:
    good = reply.good
    nothing = BarSeries.empty(*request.key)
    if good is None:
        return Taken(reply, nothing, error=reply.error)
    if request.newest is None:
        return Taken(reply, good)
    one_source = reply.source == series.source
    if one_source:
        good = in_volume_of(_own_part(good, series), series.volume_ratio)
    if one_source and (not len(good) or int(good.closed_at[0]) > seconds_of(request.newest)):
        return Taken(reply, good)
    found = compare(request.known, good, request.instrument, one_source=one_source)
    if one_source:
        ratio = found.ratio if found.fit is Fit.RESCALED else 1.0
        return Taken(reply, good, None, ratio, found.until, found.compared, found.difference)
    if found.fit is not Fit.AGREES and not are_stretches(request.known, good):
        return Taken(reply, nothing, error=_unfit(found))
    bars, at = _continuing(request, series, good, reply.source)
    if not len(bars):
        return Taken(reply, bars)
    seam = Seam(
        *request.key,
        at,
        SeamKind.SOURCE,
        series.source or "",
        reply.source,
        found.compared,
        found.difference,
        now,
        volume_ratio=found.volume_ratio,
    )
    return Taken(reply, in_volume_of(bars, found.volume_ratio), seam)


def _own_part(good: BarSeries, series: Series) -> BarSeries:
    """Bars of the own source; none that would overwrite another's from before the seam."""
    if series.seam is None:
        return good
    return good.part(good.closed_at >= seconds_of(series.seam.at))


def _continuing(request: Request, series: Series, good: BarSeries, source: str) -> tuple[BarSeries, datetime]:
    """The bars with which `source` goes on, and where they begin: where the other one had begun, if it is the source
    of before and has every bar of the time since; else behind the newest stored bar."""
    assert request.newest is not None
    seam, known = series.seam, request.known
    if seam is not None and seam.source_from == source and known.closed_at[0] < seconds_of(seam.at):
        since = seconds_of(seam.at)
        if np.isin(known.closed_at[known.closed_at >= since], good.closed_at).all():
            return good.part(good.closed_at >= since), seam.at
    newer = good.after(request.newest)
    return newer, time_of(newer.closed_at[0]) if len(newer) else request.newest


def _unfit(found: Comparison) -> str:
    match found.fit:
        case Fit.APART:
            return f"has only {found.compared} bars in common with the stored ones"
        case Fit.RESCALED:
            return f"counts other units: the stored prices are {found.ratio:.4g} times its own"
        case _:
            return f"its closes lie up to {found.difference:.2%} from the stored ones"


def _error(standing: Standing, taken: Taken | None, own: Taken | None, takes: Iterable[Taken], request: Request) -> str:
    if standing.held:
        until = "none yet" if request.newest is None else f"{request.newest:%Y-%m-%d %H:%MZ}"
        return f"last good bars until {until}; {_reasons(takes) or f'{standing.source} answers again'}"
    if taken is not None or own is None:
        return ""
    return _reasons(takes)


def _reasons(takes: Iterable[Taken]) -> str:
    named = ((take.reply.source, take.error) for take in takes if take.error)
    return "; ".join(f"{source}: {error}" if source else error for source, error in named)
