"""The manual account behind the Broker port: its venue is the owner's hand, its truth what he has reported.

Nothing is sent anywhere, so every query is answered from the ledger; positions and cash are "as you reported".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.accounts import Account
from core.domain.instruments import instrument_for
from core.domain.orders import Order, OrderState
from core.domain.portfolio import Fill, standing
from core.domain.records import AuditRecord
from core.domain.splits import FRACTION
from core.domain.venue import (
    Accepted,
    Activity,
    AwaitingOwner,
    OrderRequest,
    Refused,
    Replacement,
    Resting,
    SubmitResult,
    VenueAccount,
    VenueOrder,
)
from core.ports import Clock, UnitOfWorkFactory

NOT_HANDED_OVER = frozenset({OrderState.SUBMITTING, OrderState.UNKNOWN})
"""States in which the ledger knows an order that the owner was never asked for."""


class ManualBroker:
    """The Broker port over the ledger. `reading` opens units of work for queries, which then wait for no writer;
    the clock, the system's, dates the records of what was asked.
    """

    shows_within = timedelta(0)
    can_replace = False

    def __init__(
        self, account: Account, ledger: UnitOfWorkFactory, clock: Clock, reading: UnitOfWorkFactory | None = None
    ) -> None:
        self.account = account
        self._ledger = ledger
        self._reading = reading or ledger
        self._clock = clock

    def resting(self, symbol: str, quantity: Decimal) -> Resting:  # noqa: ARG002 - the port's shape
        """Where the owner's own stops rest, only he knows."""
        return Resting.NOTHING

    def sale_step(self, symbol: str) -> Decimal:
        """Who holds a fraction of a share has a broker that sells it."""
        instrument = instrument_for(symbol)
        return instrument.quantity_step if instrument.is_crypto else FRACTION

    def submit(self, request: OrderRequest) -> SubmitResult:
        """Always the owner's turn; an order that he has already acted on is answered as it stands."""
        known = self.find(request.client_order_id)
        if known is None or known.state is OrderState.AWAITING_OWNER:
            return AwaitingOwner()
        return Accepted(known)

    def replace(self, client_order_id: str, change: Replacement) -> SubmitResult:  # noqa: ARG002 - the port's shape
        """Always refused: only the owner can move what he may have placed."""
        return Refused("nothing rests at a venue that we could reach: it is for you to move it at your broker")

    def cancel(self, client_order_id: str) -> None:
        """Records the wish: only the owner can withdraw what he may have placed; his card tells him to."""
        with self._ledger() as work:
            order = work.order(client_order_id)
            if order is None or order.account != self.account.id or not order.is_live:
                return
            work.audit(
                AuditRecord(
                    self._clock.now(),
                    "engine",
                    f"cancel {client_order_id}",
                    "left to the owner: nothing rests at a venue that we could reach",
                )
            )
            work.commit("wish")

    def find(self, client_order_id: str) -> VenueOrder | None:
        """None also for an order that was written but never handed to the owner."""
        with self._reading() as work:
            order = work.order(client_order_id)
        if order is None or order.account != self.account.id or order.state in NOT_HANDED_OVER:
            return None
        return _as_venue_order(order)

    def orders(self) -> Sequence[VenueOrder]:
        """The orders that wait for the owner or are partly executed."""
        with self._reading() as work:
            live = work.live_orders(self.account.id)
        return [_as_venue_order(order) for order in live if order.state not in NOT_HANDED_OVER]

    def fills_since(self, at: datetime) -> Sequence[Fill]:
        """The fills that the owner reported, ascending by when he says they happened."""
        with self._reading() as work:
            booked = standing(work.entries(self.account.id))
        reported = [entry for entry in booked if isinstance(entry, Fill) and entry.at >= at]
        return sorted(reported, key=lambda fill: fill.at)

    def activities_since(self, at: datetime) -> Sequence[Activity]:
        """What the owner reported beside fills, ascending by when he says it happened."""
        with self._reading() as work:
            booked = standing(work.entries(self.account.id))
        reported = [entry for entry in booked if not isinstance(entry, Fill) and entry.at >= at]
        return sorted(reported, key=lambda entry: entry.at)

    def state(self) -> VenueAccount:
        with self._reading() as work:
            portfolio = work.portfolio(self.account.id)
        return VenueAccount(
            portfolio.cash, {symbol: position.quantity for symbol, position in portfolio.positions.items()}
        )


def _as_venue_order(order: Order) -> VenueOrder:
    return VenueOrder(
        client_order_id=order.client_order_id,
        # The owner's broker has its own number, which we never learn.
        venue_order_id=order.venue_order_id or order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        state=order.state,
        type=order.type,
        purpose=order.purpose,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        parent_client_order_id=order.parent_id,
        reason=order.reason,
    )
