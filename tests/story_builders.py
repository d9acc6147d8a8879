"""The events of a trade, with ordinary defaults, for tests of how they are told."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from core.domain.accounts import Badge
from core.domain.events import InstructionIssued, OrderFilled, SignalRaised
from core.domain.orders import Purpose, Side
from core.domain.portfolio import GuardKind
from tests.fakes_owner import an_issue
from tests.ledger_builders import START, an_instruction

BADGES = (Badge.PAPER,)


def a_signal_event(symbol: str = "SPY", account: str = "simulated", at: datetime = START) -> SignalRaised:
    return SignalRaised(account, symbol, at, Decimal(500), 0.7, "rise", "m1", (), Decimal(4), BADGES)


def a_bought(symbol: str = "SPY", account: str = "simulated", **changes: Any) -> OrderFilled:
    given: dict[str, Any] = {
        "side": Side.BUY,
        "purpose": Purpose.ENTRY,
        "stop": Decimal(475),
        "target": Decimal(575),
        "guard": GuardKind.VENUE,
        "profit": None,
        "profit_fraction": None,
        **changes,
    }
    return OrderFilled(
        account=account,
        symbol=symbol,
        quantity=Decimal(4),
        price=Decimal(500),
        fee=Decimal(1),
        at=START,
        cash=Decimal(8000),
        badges=BADGES,
        **given,
    )


def a_sold(symbol: str = "SPY", account: str = "simulated", purpose: Purpose = Purpose.TARGET) -> OrderFilled:
    profit, fraction = Decimal(299), Decimal("0.1495")
    return a_bought(symbol, account, side=Side.SELL, purpose=purpose, profit=profit, profit_fraction=fraction)


def a_card_event(number: int = 1, **changes: Any) -> InstructionIssued:
    return an_issue(an_instruction(number, **changes))
