"""What follows from a venue's no to one order, beside that the owner is told of it.

    not enough buying power     the order is refused; nothing is bought there for half an hour, and what the venue lets
                                us spend bounds the next entries (core.execution.account_truth)
    day-trade, intraday margin  nothing is bought in the account until the trading day ends; sales are tried on
    account blocked             the same; the account's own word for it follows with the next look
    halted                      the symbol takes no entries until bars show that it trades again
    not traded at the venue     its entries come as cards for the owner's hand until the trading day ends
    market closed               the order is refused; the next one waits for the open

A sale that is refused changes none of this: it is tried again every minute.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from core.domain.decisions import Brake, BrakeKind
from core.domain.events import BrakeReleased
from core.domain.orders import Order, Purpose
from core.domain.venue import Refusal, Refused
from core.execution.desk import Desk
from core.execution.equity import trading_day_end
from core.ports import UnitOfWork

SHORT_OF_MONEY = timedelta(minutes=30)
HALTED = "halted: "
"""How the reason of a block begins that the venue's halt has set."""
BY_HAND = "by_hand"
"""`by_hand:<account>`: JSON of symbols that its venue does not trade, each with until when that is taken for true."""


def consequence(work: UnitOfWork, desk: Desk, order: Order, no: Refused, now: datetime) -> str:
    """Holds back what is not to be tried again and says so in words that follow the reason; empty where nothing is."""
    if order.purpose is not Purpose.ENTRY:
        return ""
    day_end = trading_day_end(desk, now)
    match no.kind:
        case Refusal.BUYING_POWER:
            return _hold_account(work, order, no.reason, now, now + SHORT_OF_MONEY)
        case Refusal.RESTRICTED | Refusal.BLOCKED:
            return _hold_account(work, order, no.reason, now, day_end)
        case Refusal.HALTED:
            scope = f"{order.account}/{order.symbol}"
            work.set_brake(Brake(BrakeKind.SYMBOL_BLOCKED, scope, f"{HALTED}{no.reason}", now))
            return f". {order.symbol} takes no entries until it trades again"
        case Refusal.UNTRADABLE:
            known = {**by_hand(work, order.account, now), order.symbol: day_end}
            _keep(work, order.account, known)
            return f". Until {day_end:%Y-%m-%d %H:%M} UTC its entries come to your own hand"
        case _:
            return ""


def by_hand(work: UnitOfWork, account: str, now: datetime) -> Mapping[str, datetime]:
    """Symbols that the account's venue does not trade, and until when that is taken for true."""
    stored: dict[str, str] = json.loads(work.value(f"{BY_HAND}:{account}") or "{}")
    until = {symbol: datetime.fromisoformat(at) for symbol, at in stored.items()}
    return {symbol: at for symbol, at in until.items() if now < at}


def lift(desk: Desk, account: str, now: datetime) -> int:
    """Lets entries be where a halt is over: a bar that opened after it has been stored. Returns how many."""
    with desk.reading() as work:
        halted = [brake for brake in work.brakes() if _is_halt(brake, account)]
    over = [brake for brake in halted if _trades_again(desk, brake, now)]
    if over:
        with desk.committing("brakes") as work:
            for brake in over:
                work.release_brake(brake.kind, brake.scope)
                work.publish(
                    BrakeReleased(brake.kind, brake.scope, "it trades again", desk.badges(account)), market_time=now
                )
    return len(over)


def _hold_account(work: UnitOfWork, order: Order, reason: str, now: datetime, until: datetime) -> str:
    work.set_brake(Brake(BrakeKind.BROKER, order.account, reason, now, until))
    return f". Nothing is bought there until {until:%Y-%m-%d %H:%M} UTC (/locks)"


def _is_halt(brake: Brake, account: str) -> bool:
    is_block = brake.kind is BrakeKind.SYMBOL_BLOCKED and brake.scope.startswith(f"{account}/")
    return is_block and brake.reason.startswith(HALTED)


def _trades_again(desk: Desk, brake: Brake, now: datetime) -> bool:
    symbol = brake.scope.partition("/")[2]
    bars = desk.bars.read(symbol, desk.confirm_size, now, 1)
    return len(bars) > 0 and bars.bar(0).opened_at >= brake.since and bars.bar(0).volume > 0


def _keep(work: UnitOfWork, account: str, known: Mapping[str, datetime]) -> None:
    stored = {symbol: at.isoformat() for symbol, at in sorted(known.items())}
    work.set_value(f"{BY_HAND}:{account}", json.dumps(stored) if stored else None)
