"""What keeps a symbol in the universe: whoever is held, ordered or asked about cannot be forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.domain.dust import without_dust
from core.domain.orders import Purpose
from core.ports import UnitOfWork


@dataclass(frozen=True, slots=True)
class Ties:
    """`held` are units by account; `orders` live ones that are no card of the owner's; `cards` his open instructions'
    numbers."""

    held: tuple[tuple[str, Decimal], ...] = ()
    orders: int = 0
    cards: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.held or self.orders or self.cards)


def ties_of(work: UnitOfWork, symbol: str) -> Ties:
    """What the ledger says about the symbol now."""
    positions = ((account.id, without_dust(work.portfolio(account.id).positions)) for account in work.accounts())
    held = tuple((account, known[symbol].quantity) for account, known in positions if symbol in known)
    cards = [each for each in work.open_instructions() if each.symbol == symbol]
    asked = {each.client_order_id for each in cards}
    live = [each for each in work.live_orders() if each.symbol == symbol and each.client_order_id not in asked]
    # A stop and a target that rest belong to what is held.
    orders = [each for each in live if each.purpose in (Purpose.ENTRY, Purpose.EXIT)]
    return Ties(held, len(orders), tuple(sorted(each.number for each in cards)))
