"""What happens in a venue's account beside orders and fills: dividends, interest, fees, splits. Booked once each."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from core.domain.bars import BarSize
from core.domain.events import CashBooked, UnitsAdjusted
from core.domain.orders import OrderState
from core.domain.portfolio import AdjustmentKind, CashMovement, PositionAdjustment
from core.domain.records import InstructionState
from core.domain.splits import split_guard
from core.domain.values import ZERO
from core.domain.venue import Activity, Split
from core.execution import manual, wanted
from core.execution.coin_fees import is_coin_fee
from core.execution.desk import Desk
from core.execution.news import entry_of
from core.ports import UnitOfWork
from core.series import time_of

RESCALING = "rescaling"
"""Splits whose stored bars are still to be divided: JSON by split id, with the newest such bar of each size."""
LOOKED_THROUGH = 2_000
"""How many bars before a split are searched for those that their source has told anew already."""
CLEAR = 0.3
"""From which ratio on, as a logarithm, a jump in prices is told from an ordinary night."""


def book(work: UnitOfWork, desk: Desk, activity: Activity, now: datetime, *, tell: bool = True) -> bool:
    """Books, adjusts what hangs on it, and tells the owner if it should; False where it is booked already."""
    account = activity.account
    before = work.portfolio(account)
    if not work.book(entry_of(activity), recorded_at=desk.system_clock.now()):
        return False
    badges = desk.badges(account)
    if isinstance(activity, CashMovement):
        cash = work.portfolio(account).cash
        told = CashBooked(account, activity.kind.value, activity.amount, cash, activity.note, badges)
        work.publish(told, market_time=now)
        return True
    ratio = None
    if isinstance(activity, Split):
        ratio = activity.ratio
        _follow_split(work, desk, activity, now)
    kind = AdjustmentKind.SPLIT.value if isinstance(activity, Split) else activity.kind.value
    held, units = before.quantity(activity.symbol), work.portfolio(account).quantity(activity.symbol)
    note = "" if isinstance(activity, Split) else activity.note
    if units != held and tell:
        work.publish(UnitsAdjusted(account, activity.symbol, kind, ratio, held, units, note, badges), market_time=now)
    return True


def book_fees(
    work: UnitOfWork,
    desk: Desk,
    account: str,
    told: Iterable[Activity],
    assumed: Iterable[PositionAdjustment],
) -> list[UnitsAdjusted]:
    """Books the `assumed` fees of coins. Returns what is to be said of them and of those `told`, which are booked
    already: what they come to in each coin, and nothing where a fee that was assumed is told of now."""
    fees = [*assumed]
    for fee in fees:
        work.book(fee, recorded_at=desk.system_clock.now())
    fees = [*(each for each in told if isinstance(each, PositionAdjustment) and is_coin_fee(each)), *fees]
    events = []
    for symbol in sorted({fee.symbol for fee in fees}):
        change = sum((fee.quantity for fee in fees if fee.symbol == symbol), ZERO)
        if change:
            units, note = work.portfolio(account).quantity(symbol), next(f.note for f in fees if f.symbol == symbol)
            kind = AdjustmentKind.FEE.value
            badges = desk.badges(account)
            events.append(UnitsAdjusted(account, symbol, kind, None, units - change, units, note, badges))
    return events


def _follow_split(work: UnitOfWork, desk: Desk, split: Split, now: datetime) -> None:
    """Levels are divided; cards with the old figures lapse; the stored bars are marked for division."""
    instrument = desk.any_instrument(split.symbol)
    for guard in work.guards(split.account):
        if guard.symbol == split.symbol:
            work.set_guard(split_guard(guard, split.ratio, instrument))
    wanted.split(work, split.account, split.symbol, split.ratio, instrument)
    _want_anew(work, desk, split)
    for card in work.open_instructions():
        if (card.account, card.symbol) == (split.account, split.symbol):
            detail = "the shares were split: its figures are out of date"
            manual.lapse(work, desk, card, InstructionState.SUPERSEDED, OrderState.CANCELED, detail, now)
    waiting = json.loads(work.value(RESCALING) or "{}")
    if split.id in waiting:
        return
    sizes = (BarSize.D1, BarSize.M5)
    waiting[split.id] = {
        "symbol": split.symbol,
        "ratio": str(split.ratio),
        "at": split.at.isoformat(),
        "old": {size.value: _newest_old_bar(desk, split, size, now) for size in sizes},
    }
    work.set_value(RESCALING, json.dumps(waiting))


def _want_anew(work: UnitOfWork, desk: Desk, split: Split) -> None:
    """A venue may carry a split over to what rests there, or leave that as it is (Alpaca's orders with legs): then a
    stop rests where the price falls to by the split alone. So the new levels are wanted until an order rests at them.
    """
    for guard in work.guards(split.account):
        if guard.symbol == split.symbol and wanted.place_of(guard) not in wanted.wanted(work):
            wanted.want(work, desk, guard)


def rescale_bars(desk: Desk) -> int:
    """Divides the stored bars of split shares, each series once however often the process dies; returns how many.

    A series whose bar has no longer the close that was written down has been divided already, here or by its source.
    """
    with desk.reading() as work:
        stored = work.value(RESCALING)
    if stored is None:
        return 0
    done = 0
    for waiting in json.loads(stored).values():
        for size_name, bar in waiting["old"].items():
            size = BarSize(size_name)
            until = datetime.fromisoformat(bar["at"]) if bar else None
            if until is not None and _close_at(desk, waiting["symbol"], size, until) == bar["close"]:
                with desk.calling("rescale"):
                    desk.bars.rescale(waiting["symbol"], size, until, Decimal(waiting["ratio"]))
                done += 1
    with desk.committing("rescaled") as work:
        work.set_value(RESCALING, None)
    return done


def _newest_old_bar(desk: Desk, split: Split, size: BarSize, now: datetime) -> dict[str, object] | None:
    """When the newest stored bar that still counts old shares closed, and at what price; None where there is none.

    A source tells the past anew after a split. What was fetched since may reach back before it, so the last bars may
    count new shares already, the ones before them not: the jump in prices tells where.
    """
    before = desk.bars.read(split.symbol, size, split.at, LOOKED_THROUGH)
    if not len(before):
        return None
    after = desk.bars.read(split.symbol, size, now, LOOKED_THROUGH).after(split.at)
    opens = [*before.open[1:].tolist(), *after.open[:1].tolist()]
    ratio, found = math.log(split.ratio), len(before) - 1
    if abs(ratio) >= CLEAR:
        steps = [math.log(close / opened) for close, opened in zip(before.close.tolist(), opens, strict=False)]
        jumps = [row for row, step in enumerate(steps) if abs(step - ratio) < abs(ratio) / 2]
        if not jumps and len(after):
            return None
        found = jumps[-1] if jumps else found
    return {"at": time_of(before.closed_at[found]).isoformat(), "close": float(before.close[found])}


def _close_at(desk: Desk, symbol: str, size: BarSize, at: datetime) -> float | None:
    bar = desk.bars.read(symbol, size, at, 1)
    return float(bar.close[-1]) if len(bar) else None
