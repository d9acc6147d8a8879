"""Scenes of the owner's hand: cards, approvals, bookings, commands."""

from __future__ import annotations

from decimal import Decimal

from core.domain.accounts import Mode
from core.domain.decisions import BrakeKind
from core.domain.orders import OrderState, Side
from core.domain.portfolio import CashKind
from core.domain.records import QuestionChoice
from core.domain.views import Correction, OwnTrade, ReportedFill
from jobs.table import GUARD, TICK
from tests.fakes_chaos import Mishap
from tests.fault.points_house import COIN, Scene, Step
from tests.fault.points_steps import (
    BUY_CARD,
    ENTRY,
    STOP,
    answered,
    deed,
    delivered,
    ended,
    executed,
    filled,
    has_orders,
    holds,
    job,
    meets,
    order,
    paused,
    refuses,
    skipped,
)

BY_HAND = Scene(
    "a card is executed, its stop placed, its exit reminded of and executed",
    (
        *BUY_CARD,
        Step(delivered),
        Step(executed, 1),
        Step(answered(QuestionChoice.PLACED)),
        Step(job(TICK), 4, (94.0,)),
        Step(job(GUARD), 1),
        Step(job("expiry"), 1),
        Step(job("expiry"), 11),
        Step(executed),
        Step(delivered),
    ),
    venue="",
    expect=holds(),
)
IN_PARTS = Scene(
    "a card is executed in parts, in the owner's words, and the rest is skipped",
    (
        *BUY_CARD,
        Step(deed("report_fill", ReportedFill(COIN, Decimal(3), Decimal("100.1"), Decimal(1), None)), 1),
        Step(answered(QuestionChoice.CANNOT)),
        Step(skipped, 1),
        Step(delivered),
    ),
    venue="",
    expect=holds(units="BTC-USD 3", cash="9698.70"),
)
LAPSED = Scene(
    "a card is not answered and expires",
    (*BUY_CARD, Step(delivered), Step(job("expiry"), 70), Step(delivered)),
    venue="",
)
BOOKS = Scene(
    "the owner keeps his books",
    (
        Step(deed("declare_cash", Decimal(10_000), "owner")),
        Step(deed("book_cash", CashKind.DIVIDEND, Decimal("12.50"), "", "owner"), 1),
        Step(deed("book_trade", OwnTrade(COIN, Side.BUY, Decimal(10), Decimal(100), Decimal(1), None), "owner"), 1),
        Step(deed("correct", Correction(None, None, Decimal(101), None), "owner"), 1),
        Step(deed("book_split", COIN, Decimal(2), "owner"), 1),
        Step(deed("undo", "owner"), 1),
        Step(deed("undo", "owner"), 1),
        Step(deed("book_trade", OwnTrade(COIN, Side.SELL, Decimal(4), Decimal(102), Decimal(1), None), "owner"), 1),
        Step(deed("book_cash", CashKind.WITHDRAWAL, Decimal(500), "", "owner"), 1),
        Step(delivered),
    ),
    venue="",
    expect=holds(units="BTC-USD 6", cash="8918.50"),
)
CONTROLS = Scene(
    "the owner pauses, resumes, changes the mode and unlocks",
    (
        Step(paused),
        Step(job(TICK), 5, (100.0,)),
        Step(order("unlock", BrakeKind.PAUSED, "*", "owner")),
        Step(paused, 1),
        Step(order("resume", "owner")),
        Step(order("set_mode", Mode.OBSERVE, "owner")),
        Step(job(TICK), 4, (100.1,)),
        Step(order("set_mode", Mode.AUTO, "owner")),
        Step(delivered),
    ),
    expect=has_orders(),
)
CONFIRMED = Scene(
    "an order is approved and filled, its stop lost and its exit refused",
    (
        Step(order("set_mode", Mode.CONFIRM, "owner")),
        Step(job(TICK)),
        Step(delivered),
        Step(executed, 1),
        Step(filled(100.0, **ENTRY), 4, (100.0,)),
        Step(job(TICK)),
        Step(ended(OrderState.CANCELED, **STOP), 1),
        Step(refuses(3)),
        Step(job(GUARD), 4, (94.0,)),
        Step(delivered),
    ),
    expect=has_orders(filled=1),
    varies="an exit that is refused is tried anew every minute, and what a kill leaves in doubt takes minutes",
)
NOT_CONFIRMED = Scene(
    "an approval is held back by a brake, another skipped",
    (
        Step(order("set_mode", Mode.CONFIRM, "owner")),
        Step(job(TICK)),
        Step(paused),
        Step(executed),
        Step(order("resume", "owner")),
        Step(job(TICK), 5, (100.1,)),
        Step(skipped),
        Step(delivered),
    ),
)
APPROVAL_IN_DOUBT = Scene(
    "an approved order gets no answer",
    (
        Step(order("set_mode", Mode.CONFIRM, "owner")),
        Step(job(TICK)),
        Step(meets(Mishap.SILENT_DONE)),
        Step(executed),
        Step(job(GUARD), 1),
        Step(delivered),
    ),
)
