"""Loss brakes at work: set once in the tick or minute that sees the loss, ended when their time is over, and counted
anew after a release. Figures come from the ledger, so that a restart changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from core.domain.decisions import Brake, BrakeKind
from core.domain.events import BrakeReleased, BrakeSet, ModeChanged
from core.execution import tidings
from core.execution.desk import MANUAL, Desk
from core.execution.equity import TOGETHER, keep_record, record_of, records_now
from core.ports import UnitOfWork
from core.strategy.brakes import LOSS_KINDS, LOSS_RULES, Standing, losing_streak

CORRECTED = "corrected"
"""Since when the books of the manual account were wrong: kept from a correction to the next look at the brakes."""
CLOCK, CORRECTION = "the clock", "the correction"


def check(desk: Desk, now: datetime, prices: Mapping[str, Decimal]) -> int:
    """Ends the brakes whose time is over and sets those that are due, in one transaction; returns how many were set.

    `prices` are those of everything held, USD. Nothing is written where nothing changes.
    """
    with desk.reading() as work:
        quiet = work.value(CORRECTED) is None and not any(_over(work, now)) and not any(_due(work, desk, prices, now))
    if quiet:
        return 0
    with desk.committing("brakes") as work:
        for brake in tuple(_over(work, now)):
            _end(work, desk, brake, CLOCK, now)
            if brake.kind is BrakeKind.LOSS_STREAK:
                count_anew(work, brake.kind, brake.scope, brake.until or now)
        _forgive(work, desk, prices, now)
        due = tuple(_due(work, desk, prices, now))
        for brake in due:
            work.set_brake(brake)
            badges = tidings.scope_badges(desk, brake.scope)
            work.publish(BrakeSet(brake.kind, brake.scope, brake.reason, brake.until, badges), market_time=now)
    return len(due)


def count_anew(work: UnitOfWork, kind: BrakeKind, scope: str, at: datetime) -> None:
    """From `at` on the cause of a loss brake is counted from nothing, in the caller's transaction."""
    record = record_of(work, scope)
    if record is None:
        return
    if kind is BrakeKind.DAILY_LOSS:
        keep_record(work, scope, replace(record, loss_index=None, loss_since=at))
    elif kind is BrakeKind.DRAWDOWN:
        keep_record(work, scope, replace(record, peak_index=None))
    elif kind is BrakeKind.LOSS_STREAK:
        keep_record(work, scope, replace(record, streak_since=at))


def corrected(work: UnitOfWork, since: datetime) -> None:
    """The manual account's books were wrong since `since` and are mended, in the caller's transaction.

    What its value seemed to be in between was never so: nothing is counted from it, and a brake that rests on it goes
    at the next look.
    """
    for scope in (MANUAL, TOGETHER):
        record = record_of(work, scope)
        if record is None:
            continue
        if record.loss_at is None or record.loss_at >= since:
            record = replace(record, loss_index=None)
        if record.peak_at is None or record.peak_at >= since:
            record = replace(record, peak_index=None)
        keep_record(work, scope, record)
    marked = work.value(CORRECTED)
    first = min(since, datetime.fromisoformat(marked)) if marked else since
    work.set_value(CORRECTED, first.isoformat())


def _standings(work: UnitOfWork, desk: Desk, prices: Mapping[str, Decimal], now: datetime) -> Iterator[Standing]:
    for scope, record in records_now(work, desk, prices, now).items():
        ended = work.portfolio(scope).trips.ended if scope != TOGETHER else ()
        yield Standing(
            scope=scope,
            equity=record.equity,
            loss=record.loss,
            loss_since=record.loss_since,
            day_end=record.day_end,
            drawdown=record.drawdown,
            lost=losing_streak(ended, record.streak_since),
        )


def _due(work: UnitOfWork, desk: Desk, prices: Mapping[str, Decimal], now: datetime) -> Iterator[Brake]:
    standing_brakes = {(brake.kind, brake.scope) for brake in work.brakes()}
    for standing in _standings(work, desk, prices, now):
        for rule in LOSS_RULES:
            brake = rule(standing, desk.policy, now)
            if brake is not None and (brake.kind, brake.scope) not in standing_brakes:
                yield brake


def _over(work: UnitOfWork, now: datetime) -> Iterator[Brake]:
    return (brake for brake in work.brakes() if not brake.holds(now))


def _end(work: UnitOfWork, desk: Desk, brake: Brake, by: str, now: datetime) -> None:
    """Told, because entries go on without the owner's doing."""
    work.release_brake(brake.kind, brake.scope)
    if brake.kind is BrakeKind.PAUSED:
        work.publish(ModeChanged(desk.mode(work), False, None, by), market_time=now)
        return
    work.publish(BrakeReleased(brake.kind, brake.scope, by, tidings.scope_badges(desk, brake.scope)), market_time=now)


def _forgive(work: UnitOfWork, desk: Desk, prices: Mapping[str, Decimal], now: datetime) -> None:
    """Ends loss brakes that were set on figures which a correction has changed, where the cause is gone with it."""
    marked = work.value(CORRECTED)
    if marked is None:
        return
    work.set_value(CORRECTED, None)
    standings = {standing.scope: standing for standing in _standings(work, desk, prices, now)}
    for brake in work.brakes():
        concerned = brake.kind in LOSS_KINDS and brake.scope in (MANUAL, TOGETHER)
        if not concerned or brake.since < datetime.fromisoformat(marked):
            continue
        standing = standings.get(brake.scope)
        causes = [rule(standing, desk.policy, now) for rule in LOSS_RULES] if standing is not None else []
        if brake.kind not in {cause.kind for cause in causes if cause is not None}:
            _end(work, desk, brake, CORRECTION, now)
