"""What the owner hears of his sources of bars: each change once, of many instruments in one message.

What was told is written down in the transaction that writes the message, and is what a restart begins with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.domain.bar_records import Seam, SeamKind
from core.domain.bars import BarSize
from core.domain.events import BarSourceNews, BarSourcesChanged, BarsRetold, Event
from core.feed.asking import Key
from core.feed.standing import Standing, Turn
from core.ports import BarStore, UnitOfWorkFactory

STANDINGS = "bars:standings"
"""JSON by series, of those that are held or do not come from the best source: [source, held, since when]."""
TOLD_SEAM = "bars:seam"
"""The id of the newest seam that was told of."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a symbol's bars come from, the worst of its sizes; not the best source, or held: the owner was told."""

    source: str
    held: bool


def to_text(standings: Mapping[Key, Standing], best: str) -> str:
    odd = {
        f"{symbol} {size}": [one.source, one.held, one.changed_at.isoformat() if one.changed_at else None]
        for (symbol, size), one in sorted(standings.items())
        if one.held or one.source != best
    }
    return json.dumps(odd)


def from_text(text: str | None) -> dict[Key, Standing]:
    standings = {}
    for name, (source, held, changed_at) in json.loads(text or "{}").items():
        symbol, size = name.rsplit(" ", 1)
        at = datetime.fromisoformat(changed_at) if changed_at else None
        standings[symbol, BarSize(size)] = Standing(source, held, at)
    return standings


def places(standings: Mapping[Key, Standing], best: str) -> dict[str, Place]:
    """Those symbols of which a size is held or comes from another source than the best."""
    found: dict[str, Place] = {}
    for (symbol, _), one in sorted(standings.items()):
        place = Place(one.source, one.held)
        if place != Place(best, held=False) and (symbol not in found or place.held):
            found[symbol] = place
    return found


def news(
    before: Mapping[str, Place],
    after: Mapping[str, Place],
    best: str,
    newest: Mapping[str, datetime | None],
    reasons: Mapping[str, str],
    seams: Sequence[Seam],
) -> tuple[BarSourceNews, ...]:
    """One piece of news for all symbols with which the same has happened. `newest` are their last good bars."""
    groups: dict[tuple[Turn, str, str], list[str]] = {}
    normal = Place(best, held=False)
    for symbol in sorted(before.keys() | after.keys()):
        was, now = before.get(symbol, normal), after.get(symbol, normal)
        if was != now:
            groups.setdefault((_turn(was, now, best), was.source, now.source), []).append(symbol)
    return tuple(
        _told(turn, former, source, symbols, newest, reasons, seams)
        for (turn, former, source), symbols in sorted(groups.items())
    )


def _turn(was: Place, now: Place, best: str) -> Turn:
    if now.held:
        return Turn.HELD
    if now.source == was.source:
        return Turn.RESUMED
    return Turn.RETURNED if now.source == best else Turn.MOVED


def _told(
    turn: Turn,
    former: str,
    source: str,
    symbols: Sequence[str],
    newest: Mapping[str, datetime | None],
    reasons: Mapping[str, str],
    seams: Sequence[Seam],
) -> BarSourceNews:
    mine = [
        seam
        for seam in seams
        if seam.symbol in symbols
        and seam.kind is SeamKind.SOURCE
        and (seam.source_from, seam.source_to) == (former, source)
    ]
    return BarSourceNews(
        turn=turn.value,
        symbols=tuple(symbols),
        source=source,
        former=former,
        newest=min((at for symbol in symbols if (at := newest.get(symbol)) is not None), default=None),
        reason=next((reasons[symbol] for symbol in symbols if reasons.get(symbol)), ""),
        compared=min((seam.compared for seam in mine), default=0),
        difference=max((seam.difference for seam in mine), default=0.0),
    )


def retold(seams: Sequence[Seam]) -> list[BarsRetold]:
    """One event for all sizes of a symbol that were brought into the same new units."""
    found: dict[tuple[str, float], list[Seam]] = {}
    for seam in seams:
        if seam.kind is SeamKind.RESCALED:
            found.setdefault((seam.symbol, round(seam.ratio, 3)), []).append(seam)
    return [
        BarsRetold(
            symbol=symbol,
            source=those[0].source_to,
            ratio=those[0].ratio,
            sizes=tuple(seam.size.value for seam in those),
            until=max(seam.at for seam in those),
        )
        for (symbol, _), those in found.items()
    ]


@dataclass(slots=True)
class BarTeller:
    """Tells what changed since the last time; `best` is the name of the first source."""

    ledger: UnitOfWorkFactory
    store: BarStore
    best: str
    _told: str | None = None
    _seam: int = field(default=-1)

    def begin(self) -> dict[Key, Standing]:
        """What a process starts with: the standings that the owner was told of."""
        with self.ledger() as work:
            self._told, self._seam = work.value(STANDINGS) or "{}", int(work.value(TOLD_SEAM) or 0)
        return from_text(self._told)

    def tell(
        self,
        standings: Mapping[Key, Standing],
        newest: Mapping[str, datetime | None],
        reasons: Mapping[str, str],
        now: datetime,
    ) -> Sequence[Event]:
        """Commits the events and what they tell of, where there is anything to tell; returns them. `newest` are the
        last good bars of all that is traded: of what is not, no change is news."""
        if self._told is None:
            self.begin()
        text, seams = to_text(standings, self.best), self.store.seams(self._seam)
        if text == self._told and not seams:
            return ()
        told = {key: one for key, one in from_text(self._told).items() if key[0] in newest}
        before, after = places(told, self.best), places(standings, self.best)
        changed = news(before, after, self.best, newest, reasons, seams)
        events: list[Event] = [*([BarSourcesChanged(now, changed)] if changed else []), *retold(seams)]
        newest_seam = max((seam.id for seam in seams), default=self._seam)
        with self.ledger() as work:
            for event in events:
                work.publish(event, market_time=now)
            work.set_value(STANDINGS, text)
            work.set_value(TOLD_SEAM, str(newest_seam))
            work.commit("bar sources")
        self._told, self._seam = text, newest_seam
        return events
