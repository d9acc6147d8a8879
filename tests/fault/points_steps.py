"""What the steps of a scene may be.

A step may be played twice, because the process died in it: whatever it does must be what an owner, a scheduler or the
world would do again. A tick is due at the same time, a tap is the same tap, the world does its part once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from core.domain.dust import without_dust
from core.domain.orders import OrderState, Purpose
from core.domain.records import QuestionChoice
from jobs.table import GUARD, TICK
from tests.fakes_chaos import Mishap
from tests.fault.points_house import House, Step
from tests.fault.points_world import LastingVenue

Do = Callable[[House], object]
DAY = 24 * 60
ENTRY, STOP, EXIT = {"purpose": Purpose.ENTRY}, {"purpose": Purpose.STOP}, {"purpose": Purpose.EXIT}


def job(name: str) -> Do:
    return lambda house: house.job(name)


def all_of(*deeds: Do) -> Do:
    def do(house: House) -> None:
        for deed in deeds:
            deed(house)

    return do


def filled(price: float, share: str = "1", **wanted: Any) -> Do:
    """The venue executes a share of the live order of these attributes, where one came."""

    def execute(venue: LastingVenue) -> None:
        for order in venue.those(**wanted):
            part = (order.quantity * Decimal(share)).quantize(Decimal("0.000001"))
            venue.fill(order.client_order_id, part, Decimal(str(price)))

    return lambda house: house.once(execute)


def ended(state: OrderState, **wanted: Any) -> Do:
    def end(venue: LastingVenue) -> None:
        for order in venue.those(**wanted):
            venue.end(order.client_order_id, state, "ended by the venue")

    return lambda house: house.once(end)


def meets(mishap: Mishap) -> Do:
    return lambda house: house.once(lambda venue: setattr(venue, "mishap", mishap))


def refuses(count: int = 1) -> Do:
    return lambda house: house.once(lambda venue: setattr(venue, "refusals", count))


def executed(house: House) -> None:
    house.tap(house.owner.execute, *house.card(), f"tap {house.step}")


def skipped(house: House) -> None:
    house.tap(house.owner.skip, *house.card(), f"tap {house.step}")


def answered(choice: QuestionChoice) -> Do:
    return lambda house: house.tap(house.owner.answer, *house.question(), choice, f"tap {house.step}")


def deed(name: str, *arguments: Any) -> Do:
    """A command of the owner's that carries a tap."""
    return lambda house: house.tap(getattr(house.owner, name), *arguments, f"tap {house.step}")


def order(name: str, *arguments: Any) -> Do:
    """A command of the owner's that needs none."""
    return lambda house: house.tap(getattr(house.owner, name), *arguments)


def delivered(house: House) -> None:
    house.deliver()


def paused(house: House) -> None:
    house.tap(house.owner.pause, house.scene.time_of(house.step) + timedelta(hours=2), "owner")


def holds(*, units: str = "", cash: str = "", account: str = "manual") -> Do:
    """The undisturbed end, in figures; dust apart."""

    def check(house: House) -> None:
        portfolio = house.read(lambda work: work.portfolio(account))
        held = " ".join(
            f"{symbol} {position.quantity}" for symbol, position in without_dust(portfolio.positions).items()
        )
        assert held == units, f"{held} instead of {units}"
        assert not cash or portfolio.cash == Decimal(cash), f"{portfolio.cash} instead of {cash}"

    return check


def has_orders(**states: int) -> Do:
    """How many orders of the venue's account ended in which state."""

    def check(house: House) -> None:
        orders = house.read(lambda work: work.orders("simulated", limit=1000))
        found = {state: sum(each.state.value == state for each in orders) for state in states}
        assert found == states, [(each.purpose, each.state, each.reason) for each in orders]

    return check


BOUGHT = (Step(job(TICK)), Step(filled(100.0, **ENTRY), 5, (100.0,)), Step(job(GUARD), 1))
"""An entry, its fill, its bracket at the venue."""
BUY_CARD = (Step(deed("declare_cash", Decimal(10_000), "owner")), Step(job(TICK)))
"""The manual account has money, and a card to spend it."""
