"""Orders that rest at Alpaca are moved: another order takes their place there, and nothing rests nowhere in between.

Alpaca answers with the new order before the exchange has it. Until it has, the former one rests on, and where it is
filled first, or the exchange will not have the new one, it was never replaced. So nothing is said here before the
former order is seen replaced, or seen to stay.

Sources: Alpaca's page on orders and the description of its trading service.
"""

from __future__ import annotations

from collections.abc import Callable

from core.adapters.alpaca_book import MOST_VERSIONS, AlpacaBook
from core.adapters.alpaca_orders import Member
from core.adapters.alpaca_refusals import is_unmovable, refused
from core.adapters.alpaca_rules import fitted, refusal
from core.adapters.alpaca_trading import AlpacaTrading
from core.adapters.alpaca_transport import Declined
from core.domain.orders import FINAL, OrderState, Side
from core.domain.values import plain
from core.domain.venue import (
    Accepted,
    OrderRequest,
    Refusal,
    Refused,
    Replacement,
    SubmitResult,
    Unknown,
    VenueAsset,
    VenueOrder,
)
from core.errors import Ambiguous, Transient

SETTLING = (0.2, 0.4, 0.8)
"""Seconds between the looks whether something has come through: Alpaca answers before it has."""
REPLACING = "pending_replace"
NOT_YET = frozenset({"accepted", "pending_new", "pending_cancel"})
MOST_MOVES = MOST_VERSIONS - 5
"""An order that was replaced so often is not again: what it came of would be too long a way to look back. The owner may
replace it some times more by hand."""


class AlpacaMoves:
    """`asset_of` is what Alpaca says of an instrument; it may raise Transient."""

    def __init__(self, trading: AlpacaTrading, book: AlpacaBook, asset_of: Callable[[str], VenueAsset | None]) -> None:
        self._trading = trading
        self._book = book
        self._asset_of = asset_of

    def replace(self, name: str, change: Replacement) -> SubmitResult:
        """As the Broker port says. Raises Transient where nothing was sent."""
        found = self._book.find(name)
        if found is None:
            return Refused(f"Alpaca has no order {name}", Refusal.FIXED)
        wanted, asset = self._wanted(found.order, change)
        answer = _settled(found, wanted)
        if answer is not None:
            return answer
        if found.status == REPLACING:
            return self._outcome(name, wanted)
        fixed = self._why_fixed(found)
        if fixed:
            return Refused(fixed, Refusal.FIXED)
        wrong = refusal(wanted, asset)
        if wrong:
            return Refused(wrong)
        try:
            self._trading.change(lambda vendor: vendor.replace(found.order.venue_order_id, _fields(wanted)))
        except Declined as no:
            return self._declined(no, name, wanted)
        except Ambiguous:
            # It may have been done all the same.
            pass
        return self._outcome(name, wanted)

    def at_rest(self, name: str) -> tuple[Member, ...]:
        """The order with its legs, or with those it is a leg of, after a moment in which Alpaca may finish replacing
        one of them: till then it cancels none. Raises Transient."""
        for seconds in SETTLING:
            found = self._book.around(name)
            if all(each.status != REPLACING for each in found):
                return found
            self._trading.rest(seconds)
        return self._book.around(name)

    def _wanted(self, order: VenueOrder, change: Replacement) -> tuple[OrderRequest, VenueAsset | None]:
        """The order as it is to be, its prices in Alpaca's own ticks; and its instrument, where Alpaca tells of it."""
        try:
            asset = self._asset_of(order.symbol)
        except Transient:
            asset = None
        request = OrderRequest(
            client_order_id=change.client_order_id,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            type=order.type,
            purpose=order.purpose,
            limit_price=change.limit_price,
            stop_price=change.stop_price,
        )
        return fitted(request, asset), asset

    @staticmethod
    def _why_fixed(found: Member) -> str:
        """Why Alpaca would not replace the order as it is; empty where it may."""
        order = found.order
        if order.side is Side.BUY:
            return "only sales are moved here"
        if order.state is not OrderState.ACCEPTED:
            return "what is being filled is not moved"
        if found.status in NOT_YET:
            return f"Alpaca replaces no order that is {found.status.replace('_', ' ')}"
        if len(found.ids) > MOST_MOVES:
            return f"it was moved {MOST_MOVES} times"
        return ""

    def _outcome(self, name: str, wanted: OrderRequest) -> SubmitResult:
        """What became of the order, as far as a moment tells."""
        for seconds in (0.0, *SETTLING):
            if seconds:
                self._trading.rest(seconds)
            try:
                found = self._book.find(name)
                answer: SubmitResult | None = _settled(found, wanted) if found is not None else None
                if answer is None and found is not None and found.status != REPLACING:
                    answer = self._turned_down(wanted)
            except Transient as error:
                return Unknown(f"Alpaca {error}")
            if answer is not None:
                return answer
        return Unknown("Alpaca has not said yet whether it has moved the order")

    def _turned_down(self, wanted: OrderRequest) -> Refused | None:
        if self._book.rejected_under(wanted.client_order_id):
            return Refused("the exchange that Alpaca sent the new order to rejected it")
        return None

    def _declined(self, no: Declined, name: str, wanted: OrderRequest) -> SubmitResult:
        """A no may mean that it is done already, under this very id, or that the order has ended meanwhile."""
        try:
            found = self._book.find(name)
        except Transient as error:
            return Unknown(f"Alpaca says {no.words}, and {error}")
        answer = _settled(found, wanted) if found is not None else None
        if answer is not None:
            return answer
        if "unique" in no.words.lower() or (found is not None and found.status == REPLACING):
            return self._outcome(name, wanted)
        if is_unmovable(no):
            return Refused(f"Alpaca does not replace it (Alpaca: {no.words})", Refusal.FIXED)
        return refused(no, wanted.symbol)


def _settled(found: Member, wanted: OrderRequest) -> Accepted | None:
    """The order where it is at its new prices, or at its end."""
    order = found.order
    is_there = (order.stop_price, order.limit_price) == (wanted.stop_price, wanted.limit_price)
    return Accepted(order) if is_there or order.state in FINAL else None


def _fields(wanted: OrderRequest) -> dict[str, str]:
    """In the words of Alpaca's trading service; what is not named stays as it is."""
    prices = {"stop_price": wanted.stop_price, "limit_price": wanted.limit_price}
    named = {name: plain(price) for name, price in prices.items() if price is not None}
    return {"client_order_id": wanted.client_order_id, **named}
