"""The owner who is away (C9): after some days without a sign of him nothing new is bought; exits go on.

The days are the owner's, so they are counted by the system clock; when the silence began is kept by the market clock as
well, for what happened meanwhile.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.domain.accounts import Badge
from core.domain.decisions import Brake, BrakeKind
from core.domain.dust import without_dust
from core.domain.events import BrakeSet, OwnerReturned, OwnerSilent
from core.domain.orders import Side
from core.domain.portfolio import Fill
from core.domain.values import ZERO
from core.execution.desk import MANUAL, Desk
from core.ports import UnitOfWork

SEEN, WARNED = "owner_seen", "owner_silence_told"
EVERYTHING = "*"
_OFTEN_ENOUGH = timedelta(minutes=10)
"""Signs that follow each other within this are one."""


@dataclass(frozen=True, slots=True)
class Sign:
    """The last sign of the owner: system time and market time."""

    at: datetime
    market: datetime


def look(desk: Desk) -> str:
    """Tells the owner that he will be held to be away, then holds him to be so. One line for the record."""
    limit, now = desk.policy.away_after, desk.system_clock.now()
    sign = _sign(desk)
    if sign is None:
        with desk.committing("away") as work:
            _keep(work, Sign(now, desk.market_clock.now()))
        return "the owner is here"
    if not limit or now - sign.at < limit - _notice(limit):
        return "the owner is here"
    with desk.ledger() as work:
        told = _tell(work, desk, sign, limit) if now - sign.at < limit else _hold(work, desk, sign, now)
        if told:
            work.commit("away")
    return f"no sign of the owner for {(now - sign.at).days} days"


def present(desk: Desk) -> bool:
    """A sign of the owner: what held entries back because of his silence is released. True where something was."""
    now, sign = desk.system_clock.now(), _sign(desk)
    with desk.reading() as work:
        is_away = _brake(work) is not None
    if not is_away and sign is not None and timedelta(0) <= now - sign.at < _OFTEN_ENOUGH:
        return False
    with desk.committing("sign") as work:
        if work.release_brake(BrakeKind.AWAY, EVERYTHING) and sign is not None:
            work.publish(_meanwhile(work, desk, sign, now), market_time=desk.market_clock.now())
        _keep(work, Sign(now, desk.market_clock.now()))
        work.set_value(WARNED, None)
    return is_away


def _notice(limit: timedelta) -> timedelta:
    """How long before the end it is told: two days, or half of a shorter time."""
    return min(timedelta(days=2), limit / 2)


def _tell(work: UnitOfWork, desk: Desk, sign: Sign, limit: timedelta) -> bool:
    if work.value(WARNED) is not None:
        return False
    work.set_value(WARNED, sign.at.isoformat())
    event = OwnerSilent(sign.at, sign.at + limit, _badges(desk))
    work.publish(event, market_time=desk.market_clock.now())
    return True


def _hold(work: UnitOfWork, desk: Desk, sign: Sign, now: datetime) -> bool:
    if _brake(work) is not None:
        return False
    market_now = desk.market_clock.now()
    reason = f"no sign of you for {(now - sign.at).days} days; any message or tap ends it"
    work.set_brake(Brake(BrakeKind.AWAY, EVERYTHING, reason, market_now))
    work.publish(BrakeSet(BrakeKind.AWAY, EVERYTHING, reason, None, _badges(desk)), market_time=market_now)
    return True


def _brake(work: UnitOfWork) -> Brake | None:
    return next((brake for brake in work.brakes() if brake.kind is BrakeKind.AWAY), None)


def _meanwhile(work: UnitOfWork, desk: Desk, sign: Sign, now: datetime) -> OwnerReturned:
    """What the ledger says has happened since the last sign, in figures that fit one screen."""
    books = [work.portfolio(account.id) for account in work.accounts()]
    closed = [trade for book in books for trade in book.closed if trade.closed_at >= sign.market]
    bought = [
        entry
        for entry in work.entries()
        if isinstance(entry, Fill) and entry.side is Side.BUY and entry.at >= sign.market
    ]
    return OwnerReturned(
        since=sign.at,
        at=now,
        bought=len(bought),
        closed=len(closed),
        profit=sum((trade.profit for trade in closed), ZERO),
        open_positions=sum(len(without_dust(book.positions)) for book in books),
        waiting=len(work.open_instructions()) + len(work.open_questions()),
        badges=_badges(desk),
    )


def _badges(desk: Desk) -> tuple[Badge, ...]:
    return desk.badges(desk.broker_account or MANUAL)


def _sign(desk: Desk) -> Sign | None:
    with desk.reading() as work:
        stored = work.value(SEEN)
    if stored is None:
        return None
    fields = json.loads(stored)
    return Sign(datetime.fromisoformat(fields["at"]), datetime.fromisoformat(fields["market"]))


def _keep(work: UnitOfWork, sign: Sign) -> None:
    work.set_value(SEEN, json.dumps({"at": sign.at.isoformat(), "market": sign.market.isoformat()}))
