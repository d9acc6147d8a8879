"""What happens in a venue's account beside orders and fills: dividends, interest, fees, splits. Booked once each."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal

from core.domain.bars import BarSize
from core.domain.events import CashBooked, UnitsAdjusted
from core.domain.instruments import instrument_for
from core.domain.orders import OrderState
from core.domain.portfolio import AdjustmentKind, CashMovement
from core.domain.records import InstructionState
from core.domain.splits import split_guard
from core.domain.venue import Activity, Split
from core.execution import levels, manual
from core.execution.desk import Desk
from core.execution.news import entry_of
from core.ports import UnitOfWork

RESCALING = "rescaling"
"""Splits whose stored bars are still to be divided, with the close that stood before: JSON by split id."""


def book(work: UnitOfWork, desk: Desk, activity: Activity, now: datetime) -> bool:
    """Books, adjusts what hangs on it, and tells the owner; False where it is booked already."""
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
    if units != held:
        work.publish(UnitsAdjusted(account, activity.symbol, kind, ratio, held, units, note, badges), market_time=now)
    return True


def _follow_split(work: UnitOfWork, desk: Desk, split: Split, now: datetime) -> None:
    """Levels are divided; cards with the old figures lapse; the stored bars are marked for division."""
    instrument = desk.instrument(split.symbol) or instrument_for(split.symbol)
    for guard in work.guards(split.account):
        if guard.symbol == split.symbol:
            work.set_guard(split_guard(guard, split.ratio, instrument))
    levels.split(work, split.account, split.symbol, split.ratio, instrument)
    for card in work.open_instructions():
        if (card.account, card.symbol) == (split.account, split.symbol):
            detail = "the shares were split: its figures are out of date"
            manual.lapse(work, desk, card, InstructionState.SUPERSEDED, OrderState.CANCELED, detail, now)
    waiting = json.loads(work.value(RESCALING) or "{}")
    if split.id in waiting:
        return
    closes = {size.value: _close_before(desk, split.symbol, size, split.at) for size in (BarSize.D1, BarSize.M5)}
    waiting[split.id] = {
        "symbol": split.symbol,
        "ratio": str(split.ratio),
        "at": split.at.isoformat(),
        "closes": closes,
    }
    work.set_value(RESCALING, json.dumps(waiting))


def rescale_bars(desk: Desk) -> int:
    """Divides the stored bars of split shares, each series once however often the process dies; returns how many.

    A series whose newest close before the split is not the one that was written down has been divided already, here
    or by its source.
    """
    with desk.reading() as work:
        stored = work.value(RESCALING)
    if stored is None:
        return 0
    done = 0
    for waiting in json.loads(stored).values():
        at, ratio = datetime.fromisoformat(waiting["at"]), Decimal(waiting["ratio"])
        for size_name, close in waiting["closes"].items():
            size = BarSize(size_name)
            if close is not None and _close_before(desk, waiting["symbol"], size, at) == close:
                with desk.calling("rescale"):
                    desk.bars.rescale(waiting["symbol"], size, at, ratio)
                done += 1
    with desk.committing("rescaled") as work:
        work.set_value(RESCALING, None)
    return done


def _close_before(desk: Desk, symbol: str, size: BarSize, at: datetime) -> float | None:
    bar = desk.bars.read(symbol, size, at, 1)
    return float(bar.close[-1]) if len(bar) else None
