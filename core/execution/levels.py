"""A stop or target that the owner moves by hand (C4).

The new levels are committed at once and watched from then on. Where an order rests at a venue at the former ones, it is
moved there (core.execution.moving).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from core.domain.events import GuardMoved
from core.domain.instruments import instrument_for
from core.domain.portfolio import Guard
from core.domain.records import AuditRecord
from core.domain.values import ceil_to, floor_to, plain
from core.domain.views import AnswerKind, OwnerAnswer
from core.execution.bookings import refused
from core.execution.desk import Desk
from core.execution.market import last_prices
from core.execution.matching import same_symbol
from core.execution.wanted import levels_of, rests_out_of_reach, want, watched
from core.ports import UnitOfWork


@dataclass(frozen=True, slots=True)
class Move:
    """What the owner wants, USD; None leaves a level where it is."""

    stop: Decimal | None = None
    target: Decimal | None = None


def move(desk: Desk, spoken: str, wanted: Move, by: str, tap: str, now: datetime) -> OwnerAnswer:
    """Writes the new levels of every guarded position in the symbol; DONE where orders at a venue have to follow."""
    if wanted.stop is None and wanted.target is None:
        return refused("Name the new stop or the new target. Nothing was changed.")
    with desk.ledger() as work:
        guards = [guard for guard in work.guards() if same_symbol(spoken, guard.symbol)]
        if not guards:
            return refused(f"No guarded position in {spoken.strip().upper() or 'that'}. Nothing was changed.")
        symbol = guards[0].symbol
        absent = next((guard.account for guard in guards if guard.account not in desk.brokers), None)
        if absent is not None:
            return refused(f"{absent} is not connected: move the stop of {symbol} there. Nothing was changed.")
        deaf = next((guard.account for guard in guards if rests_out_of_reach(work, desk, guard)), None)
        if deaf is not None:
            return refused(f"{deaf} takes no orders now: move {symbol}'s stop in its own app. Nothing was changed.")
        if work.seen_tap(tap, desk.system_clock.now()):
            return OwnerAnswer(AnswerKind.UNCHANGED, f"The levels of {symbol} were moved so already.")
        if desk.instrument(symbol) is None:
            return refused(f"{symbol} is not among my symbols: move its stop at the broker. Nothing was changed.")
        price = last_prices(desk, {symbol}, now).get(symbol)
        pairs = [(guard, _moved(guard, wanted)) for guard in guards]
        wrong = next((words for _, guard in pairs if (words := _objection(guard, price))), None)
        if wrong is not None:
            return refused(f"{wrong} Nothing was changed.")
        changed = [pair for pair in pairs if levels_of(pair[0]) != levels_of(pair[1])]
        if not changed:
            return OwnerAnswer(AnswerKind.UNCHANGED, f"{symbol} has just these levels already.")
        for former, guard in changed:
            _write(work, desk, former, guard, by, now)
        told = "\n".join(_words(*pair) for pair in changed)
        deed = f"levels of {spoken}: stop {wanted.stop}, target {wanted.target}"
        work.audit(AuditRecord(desk.system_clock.now(), by, deed, told[:200]))
        work.commit("owner")
    return OwnerAnswer(AnswerKind.DONE, told)


def _moved(guard: Guard, wanted: Move) -> Guard:
    tick = instrument_for(guard.symbol).price_tick
    stop = guard.stop if wanted.stop is None else ceil_to(wanted.stop, tick)
    target = guard.target if wanted.target is None else floor_to(wanted.target, tick)
    # A stop that the owner placed at his own broker rests at the former level: he is asked to move it.
    placed_at = guard.placed_at if stop == guard.stop else None
    return replace(guard, stop=stop, target=target, placed_at=placed_at)


def _objection(guard: Guard, price: Decimal | None) -> str | None:
    """Why the levels cannot be, in words: beyond the price they would sell at once, which is another command."""
    stop, target = plain(guard.stop), plain(guard.target)
    if not (guard.stop.is_finite() and guard.target.is_finite()) or guard.stop <= 0:
        return "A stop must be above zero."
    if guard.stop >= guard.target:
        return f"The stop {stop} USD is not below the target {target} USD."
    if price is None:
        return None
    if guard.stop >= price:
        return f"{guard.symbol} is at {plain(price)} USD: a stop at {stop} would sell at once. To sell it, use /close."
    if guard.target <= price:
        return (
            f"{guard.symbol} is at {plain(price)} USD: a target at {target} would sell at once. To sell it, use /close."
        )
    return None


def _write(work: UnitOfWork, desk: Desk, former: Guard, guard: Guard, by: str, now: datetime) -> None:
    want(work, desk, guard)
    work.set_guard(watched(guard))
    event = GuardMoved(
        guard.account,
        guard.symbol,
        former.stop,
        guard.stop,
        f"moved by {by}",
        desk.badges(guard.account),
        former.target,
        guard.target,
    )
    work.publish(event, market_time=now)


def _words(former: Guard, guard: Guard) -> str:
    parts = [
        f"{name} {plain(before)} -> {plain(after)} USD"
        for name, before, after in (("stop", former.stop, guard.stop), ("target", former.target, guard.target))
        if before != after
    ]
    return f"{guard.symbol} in {guard.account}: {', '.join(parts)}."
