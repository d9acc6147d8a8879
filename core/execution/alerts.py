"""Warnings to the owner (I6): a price that comes near a stop, bars that do not come in an open session.

Each is told once when it begins and once when it is over. What was told is kept in the ledger with the message, so that
a restart neither repeats nor forgets it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.bars import BarSize
from core.domain.dust import without_dust
from core.domain.events import BarsStale, NearStop, StaleSeries
from core.domain.instruments import Instrument
from core.domain.portfolio import Guard
from core.domain.values import exact
from core.execution.desk import Desk
from core.feed.gaps import expected_closes
from core.feed.telling import STANDINGS, from_text
from core.ports import UnitOfWork
from core.series import seconds_of
from core.strategy.alarms import OFF, Alarm, Change, Level, after, near_distance, near_level, stale_level
from core.strategy.features import true_range

NEAR, STALE = "alerts:near", "alerts:bars"
ATR_DAYS = 14
Alarms = dict[str, Alarm]


@dataclass(frozen=True, slots=True)
class _Near:
    """A position beside its stop."""

    guard: Guard
    price: Decimal
    atr: Decimal | None
    level: Level


def look_at_stops(desk: Desk, now: datetime, prices: Mapping[str, Decimal]) -> int:
    """Warns of prices near a stop; `prices` are those of everything held, USD. Returns how many changes were told."""
    policy = desk.policy
    if policy.near_stop_fraction is None and policy.near_stop_atr is None and not _any_on(desk, NEAR):
        return 0
    with desk.reading() as work:
        seen = {f"{each.guard.account} {each.guard.symbol}": each for each in _beside_stops(work, desk, prices, now)}
        held = {f"{account} {symbol}" for account, symbol in _held(work)}
        before = _read(work, NEAR)
    # Who has no price now stays as he was; who is no longer held is forgotten without a word: his sale was told.
    alarms = {name: alarm for name, alarm in before.items() if name in held}
    changes: dict[str, Change] = {}
    for name, each in seen.items():
        alarms[name], change = after(alarms.get(name, OFF), each.level, now)
        if change is not None:
            changes[name] = change

    def publish(work: UnitOfWork) -> None:
        for name, change in changes.items():
            work.publish(_near_event(desk, seen[name], change, now), market_time=now)

    _keep(desk, NEAR, before, alarms, publish)
    return len(changes)


def look_at_bars(desk: Desk, now: datetime) -> int:
    """Warns where an open session goes on without bars. Of series that are known to have no source the owner was told
    already. Returns how many changed."""
    if desk.policy.stale_bars <= 0 and not _any_on(desk, STALE):
        return 0
    with desk.reading() as work:
        before = _read(work, STALE)
        silent = {symbol for (symbol, _), one in from_text(work.value(STANDINGS)).items() if one.held}
        held = {symbol for _, symbol in _held(work)}
    alarms, series = Alarms(), dict[str, StaleSeries]()
    changes: dict[str, Change] = {}
    for instrument in desk.instruments:
        symbol, known = instrument.symbol, before.get(instrument.symbol, OFF)
        found = _lateness(desk, instrument, now)
        if found is None or symbol in silent:
            alarms[symbol] = known
            continue
        series[symbol] = found
        level = stale_level(found.missed, desk.policy.stale_bars)
        if level is Level.DANGER and not desk.calendar.is_open(instrument.asset_class, now):
            level = Level.BETWEEN
        alarms[symbol], change = after(known, level, now)
        if change is not None:
            changes[symbol] = change

    def publish(work: UnitOfWork) -> None:
        for kind in Change:
            told = tuple(series[symbol] for symbol, change in changes.items() if change is kind)
            if told:
                owned = tuple(sorted(held & {each.symbol for each in told}))
                work.publish(BarsStale(now, told, owned, kind is Change.OVER), market_time=now)

    _keep(desk, STALE, before, alarms, publish)
    return len(changes)


def _any_on(desk: Desk, key: str) -> bool:
    """Whether a warning of that kind stands, which has still to be ended where its rule was switched off since."""
    with desk.reading() as work:
        return work.value(key) is not None


def _keep(desk: Desk, key: str, before: Alarms, alarms: Alarms, publish: Callable[[UnitOfWork], None]) -> None:
    """The alarms that are on, with what is told of them, in one transaction; nothing where nothing changed."""
    on = {name: alarm for name, alarm in sorted(alarms.items()) if alarm.is_on}
    if on == before:
        return
    with desk.committing("alerts") as work:
        publish(work)
        work.set_value(key, json.dumps({name: _times(alarm) for name, alarm in on.items()}) if on else None)


def _read(work: UnitOfWork, key: str) -> Alarms:
    stored: dict[str, list[str | None]] = json.loads(work.value(key) or "{}")
    return {
        name: Alarm(*(datetime.fromisoformat(at) if at else None for at in times)) for name, times in stored.items()
    }


def _times(alarm: Alarm) -> list[str | None]:
    return [at.isoformat() if at is not None else None for at in (alarm.since, alarm.calm_since)]


def _held(work: UnitOfWork) -> Iterator[tuple[str, str]]:
    for account in work.accounts():
        yield from ((account.id, symbol) for symbol in without_dust(work.portfolio(account.id).positions))


def _beside_stops(work: UnitOfWork, desk: Desk, prices: Mapping[str, Decimal], now: datetime) -> Iterator[_Near]:
    held, policy = set(_held(work)), desk.policy
    for guard in work.guards():
        price = prices.get(guard.symbol)
        if price is None or price <= 0 or (guard.account, guard.symbol) not in held:
            continue
        atr = _day_range(desk, guard.symbol, now)
        distance = near_distance(price, atr, policy.near_stop_fraction, policy.near_stop_atr)
        yield _Near(guard, price, atr, near_level(price, guard.stop, distance))


def _day_range(desk: Desk, symbol: str, now: datetime) -> Decimal | None:
    """The mean true range of the last days, USD; None where there are too few."""
    daily = desk.bars.read(symbol, BarSize.D1, now, ATR_DAYS + 1)
    return exact(float(true_range(daily)[1:].mean())) if len(daily) > ATR_DAYS else None


def _near_event(desk: Desk, near: _Near, change: Change, now: datetime) -> NearStop:
    guard = near.guard
    return NearStop(
        account=guard.account,
        symbol=guard.symbol,
        price=near.price,
        stop=guard.stop,
        day_range=near.atr,
        guard=guard.kind,
        at=now,
        over=change is Change.OVER,
        badges=desk.badges(guard.account),
    )


def _lateness(desk: Desk, instrument: Instrument, now: datetime) -> StaleSeries | None:
    """How many bars of the size that confirms should have come since the newest one; None where there never was one."""
    newest = desk.bars.newest_close(instrument.symbol, desk.confirm_size)
    if newest is None:
        return None
    due = expected_closes(desk.calendar, instrument.asset_class, desk.confirm_size, seconds_of(newest), seconds_of(now))
    return StaleSeries(instrument.symbol, desk.confirm_size.value, newest, len(due))
