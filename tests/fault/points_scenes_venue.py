"""Scenes at a venue: what it answers, fills, drops, and what happens there without us."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from core.domain.decisions import BrakeKind
from core.domain.orders import OrderNamespace, OrderState, Purpose, Side
from core.domain.portfolio import CashKind, CashMovement
from core.domain.records import QuestionChoice
from core.strategy.policy import Policy
from jobs.table import GUARD, TICK
from tests.fakes_chaos import Mishap
from tests.fault.points_house import COIN, SHARE, House, Scene, Step
from tests.fault.points_steps import (
    BOUGHT,
    ENTRY,
    EXIT,
    STOP,
    all_of,
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
    refuses,
)
from tests.fault.points_world import LastingVenue

AT_THE_STOP = (Step(filled(95.0, **STOP), 4, (95.0, 95.0, 94.0, 94.5)), Step(job(TICK)))

TRADE = Scene(
    "an entry is filled, its stop is reached",
    (*BOUGHT, Step(job(TICK), 4, (101.0,)), *AT_THE_STOP, Step(delivered)),
    expect=holds(account="simulated"),
)
ANSWERS = tuple(
    Scene(
        f"an entry meets: {mishap}",
        (
            Step(meets(mishap)),
            Step(job(TICK)),
            Step(job(GUARD), 1),
            Step(job(GUARD), 1),
            Step(job(TICK), 3, (100.1,)),
            Step(job(GUARD), 1),
            Step(delivered),
        ),
    )
    for mishap in Mishap
    if mishap is not Mishap.NONE
)
REFUSED = Scene(
    "an entry is refused", (Step(refuses()), Step(job(TICK)), Step(delivered)), expect=has_orders(rejected=1)
)
PARTLY = Scene(
    "an entry is filled in parts and withdrawn when it is stale",
    (
        Step(job(TICK)),
        Step(filled(100.0, "0.4", **ENTRY), 5, (100.0,)),
        Step(job(GUARD), 1),
        Step(filled(100.0, "0.3", **ENTRY), 4, (100.0,)),
        Step(job(TICK)),
        Step(job(GUARD), 21),
        Step(job(GUARD), 1),
        Step(delivered),
    ),
    policy=Policy(entry_life=timedelta(minutes=20)),
)
STALE = Scene(
    "an entry that nobody fills is withdrawn",
    (Step(job(TICK)), Step(job(GUARD), 21), Step(job(GUARD), 1), Step(delivered)),
    policy=Policy(entry_life=timedelta(minutes=20)),
    expect=has_orders(canceled=1),
)
SOLD_OUT = Scene(
    "everything is to be sold",
    (
        *BOUGHT,
        Step(all_of(order("flatten", "owner"), order("exit_all")), 1),
        # An exit that may or may not have left is sent again only when the venue would have shown it by then.
        Step(job(GUARD), 2),
        Step(filled(99.0, **EXIT), 1, (99.0,)),
        Step(job(GUARD), 1),
        Step(order("unlock", BrakeKind.FLATTEN, "*", "owner")),
        Step(delivered),
    ),
    expect=holds(account="simulated"),
)
PAIR = Scene(
    "a stop that the venue has dropped is placed anew",
    (
        *BOUGHT,
        Step(ended(OrderState.CANCELED, **STOP), 1),
        Step(job(GUARD)),
        Step(job(GUARD), 1),
        Step(filled(95.0, **STOP), 2, (95.0, 95.0, 94.0, 94.5)),
        Step(job(TICK)),
        Step(delivered),
    ),
    expect=holds(account="simulated"),
)
NO_PAIR = Scene(
    "a stop cannot be placed, so that the position is sold",
    (
        *BOUGHT,
        Step(all_of(ended(OrderState.CANCELED, **STOP)), 1),
        Step(refuses()),
        Step(job(GUARD)),
        Step(job(GUARD), 1),
        Step(filled(99.0, **EXIT), 2, (99.0,)),
        Step(job(TICK)),
        Step(delivered),
    ),
    varies="a stop whose refusal nobody heard is sent again, and once more anew: the venue may take it by then",
    expect=holds(account="simulated"),
)
EXIT_ANSWERS = tuple(
    Scene(
        f"an exit meets: {mishap}",
        (
            *BOUGHT,
            Step(order("flatten", "owner"), 1),
            Step(meets(mishap)),
            Step(job(GUARD)),
            Step(job(GUARD), 1),
            Step(job(GUARD), 1),
            Step(filled(99.0, **EXIT), 1, (99.0,)),
            Step(job(GUARD), 1),
            Step(delivered),
        ),
        expect=holds(account="simulated"),
    )
    for mishap in (Mishap.SILENT_LOST, Mishap.SILENT_DONE, Mishap.GARBAGE_DONE)
)


def _late_fill(venue: LastingVenue) -> None:
    """The stop was cancelled, and had been filled all the same."""
    units = venue.positions.pop(COIN, Decimal(0))
    for stop in [each for each in venue.book.values() if each.purpose is Purpose.STOP and units]:
        venue.cash += units * 95
        venue.book_fill(stop, units, Decimal(95))


GONE_MEANWHILE = Scene(
    "an exit never arrived, and the stop cancelled for it had been filled",
    (
        *BOUGHT,
        Step(order("flatten", "owner"), 1),
        Step(meets(Mishap.SILENT_LOST)),
        Step(job(GUARD)),
        Step(lambda house: house.once(_late_fill), 1),
        Step(job(GUARD)),
        Step(job(GUARD), 1),
        Step(delivered),
    ),
    varies="the next start may send the exit again before the late fill is told of",
    expect=holds(account="simulated"),
)
TRAILING = Scene(
    "a stop follows the price",
    (
        *BOUGHT,
        # A stop that may or may not have left is sent again and seen, with its target leg, before it is raised again.
        Step(job(GUARD), 3),
        Step(job(TICK), 1, (106.0,)),
        Step(job(GUARD), 1),
        Step(job(GUARD), 1),
        Step(filled(102.8, **STOP), 3, (103.0, 103.0, 102.0, 102.5)),
        Step(job(TICK)),
        Step(delivered),
    ),
    policy=Policy(trailing_fraction=Decimal("0.03")),
    always_stopped=True,
    expect=holds(account="simulated"),
)
WITHDRAWN = Scene(
    "a stop follows the price at a venue that moves nothing",
    (
        Step(lambda house: house.once(lambda venue: setattr(venue, "can_replace", False))),
        *BOUGHT,
        Step(job(GUARD), 3),
        Step(job(TICK), 1, (106.0,)),
        Step(job(GUARD), 1),
        Step(job(GUARD), 1),
        Step(filled(102.8, **STOP), 3, (103.0, 103.0, 102.0, 102.5)),
        Step(job(TICK)),
        Step(delivered),
    ),
    policy=Policy(trailing_fraction=Decimal("0.03")),
    expect=holds(account="simulated"),
)
MOVES = tuple(
    Scene(
        f"a stop and a target that the owner moves meet: {mishap}",
        (
            *BOUGHT,
            Step(meets(mishap), 1),
            Step(deed("move_levels", COIN, Decimal(97), Decimal(120), "owner")),
            Step(job(GUARD), 1),
            Step(job(GUARD), 3),
            Step(job(GUARD), 1),
            Step(filled(97.0, **STOP), 2, (97.0, 97.0, 96.0, 96.5)),
            Step(job(TICK)),
            Step(delivered),
        ),
        always_stopped=True,
        expect=holds(account="simulated"),
    )
    for mishap in (Mishap.SILENT_LOST, Mishap.SILENT_DONE, Mishap.LATE)
)
NOT_MOVED = Scene(
    "a stop that the owner moves is refused once, and its order rests on",
    (
        *BOUGHT,
        Step(refuses(), 1),
        Step(deed("move_levels", COIN, Decimal(97), None, "owner")),
        Step(job(GUARD), 1),
        Step(filled(97.0, **STOP), 2, (97.0, 97.0, 96.0, 96.5)),
        Step(job(TICK)),
        Step(delivered),
    ),
    always_stopped=True,
    varies="the next process asks again, and the venue may have moved the stop by then: then nobody is told of a no",
    expect=holds(account="simulated"),
)
OUTAGE = Scene(
    "the venue is out of reach for a while",
    (
        *BOUGHT,
        Step(lambda house: house.once(lambda venue: setattr(venue, "is_down", True)), 1),
        Step(job(GUARD)),
        Step(job(TICK), 3, (100.5,)),
        Step(lambda house: house.once(lambda venue: setattr(venue, "is_down", False)), 1),
        Step(job(GUARD)),
        Step(job(GUARD), 1),
        Step(job(GUARD), 1),
        Step(delivered),
    ),
)
FALLBACK = Scene(
    "the venue is out of reach so long that the owner's hand takes its place",
    (
        *BOUGHT,
        Step(lambda house: house.once(lambda venue: setattr(venue, "is_down", True)), 1),
        Step(job(GUARD)),
        Step(job(GUARD), 1),
        Step(job(GUARD), 11),
        Step(order("flatten", "owner"), 1),
        Step(job(GUARD)),
        Step(executed),
        Step(lambda house: house.once(lambda venue: setattr(venue, "is_down", False)), 1),
        Step(job(GUARD)),
        Step(job(GUARD), 1),
        Step(job(GUARD), 1),
        Step(filled(100.0, **EXIT)),
        Step(job(GUARD), 1),
        Step(delivered),
    ),
    expect=holds(account="simulated"),
)
ANOTHER = OrderNamespace("another installation", 1)


def _foreign(venue: LastingVenue) -> None:
    name = ANOTHER.client_order_id("simulated", "there", "ETH-USD", Side.BUY, Purpose.ENTRY, 1)
    venue.foreign(name, "ETH-USD", Decimal(2))


FOREIGN = Scene(
    "another installation's orders are taken over",
    (
        *BOUGHT,
        Step(lambda house: house.once(_foreign), 1),
        Step(job(GUARD)),
        Step(answered(QuestionChoice.TAKE_OVER)),
        Step(job(GUARD), 1),
        Step(job(GUARD), 1),
        Step(delivered),
    ),
)
LEFT_ALONE = Scene(
    "another installation's orders are left alone",
    (
        *BOUGHT,
        Step(lambda house: house.once(_foreign), 1),
        Step(job(GUARD)),
        Step(answered(QuestionChoice.LEAVE)),
        Step(job(GUARD), 1),
        Step(delivered),
    ),
)


def _one_more(venue: LastingVenue) -> None:
    venue.positions[COIN] = venue.positions.get(COIN, Decimal(0)) + 1


ADOPTED = Scene(
    "a difference is adopted",
    (
        *BOUGHT,
        Step(lambda house: house.once(_one_more), 1),
        Step(job(GUARD)),
        Step(answered(QuestionChoice.ADOPT)),
        Step(job(GUARD), 1),
        Step(job(GUARD), 1),
        Step(job(GUARD), 1),
        Step(delivered),
    ),
)
IGNORED = Scene(
    "a difference is ignored",
    (
        *BOUGHT,
        Step(lambda house: house.once(_one_more), 1),
        Step(job(GUARD)),
        Step(answered(QuestionChoice.IGNORE)),
        Step(job(GUARD), 1),
        Step(delivered),
    ),
    at_odds=True,
)


def _dividend(venue: LastingVenue) -> None:
    now = venue.clock.now()
    venue.cash += Decimal("12.50")
    venue.activities.append(
        CashMovement("dividend-1", venue.account.id, CashKind.DIVIDEND, Decimal("12.50"), now, "SPY")
    )


def _bars_are_divided_once(house: House) -> None:
    bars = house.desk.bars.read(SHARE, house.desk.confirm_size, house.clock.now(), 20)
    assert all(45 < close < 55 for close in bars.close), bars.close


ACTIVITIES = Scene(
    "a dividend is paid and the shares are split",
    (
        *BOUGHT[:1],
        Step(filled(100.0, **ENTRY), 5, (100.0,), SHARE),
        Step(job(GUARD), 1),
        Step(lambda house: house.once(_dividend), 1),
        Step(job(GUARD)),
        Step(lambda house: house.once(lambda venue: venue.split(SHARE, Decimal(2))), 1),
        Step(job(GUARD)),
        Step(job(GUARD), 1),
        Step(delivered),
    ),
    symbols=(SHARE,),
    expect=_bars_are_divided_once,
)
LOSSES = Scene(
    "a loss sets a brake, which the owner releases",
    (
        *BOUGHT,
        *AT_THE_STOP,
        Step(job(TICK), 65, (94.0,)),
        Step(lambda house: [house.tap(house.owner.unlock, each.kind, each.scope, "owner") for each in _brakes(house)]),
        Step(job(TICK), 5, (94.0,)),
        Step(delivered),
    ),
    policy=Policy(daily_loss_fraction=Decimal("0.005")),
)


def _brakes(house: House) -> list[Any]:
    return list(house.owner.locks())
