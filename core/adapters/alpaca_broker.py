"""Alpaca as a venue: the Broker port on alpaca-py's trading client.

An order is sent once, under our id. Where the answer is lost, or Alpaca says that it has the id already, the order that
exists is looked up; where even that fails, nobody knows, and the engine goes on asking. What Alpaca would refuse, or
take for something else, never leaves the process (core.adapters.alpaca_rules).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from core.adapters.alpaca_activities import activities_of, fill_of, is_a_day
from core.adapters.alpaca_book import AlpacaBook
from core.adapters.alpaca_coin_fees import CoinFees
from core.adapters.alpaca_moves import SETTLING, AlpacaMoves
from core.adapters.alpaca_names import name_of
from core.adapters.alpaca_orders import Member, fields_of
from core.adapters.alpaca_refusals import may_be_a_used_id, refused
from core.adapters.alpaca_rules import fitted, refusal, unknown
from core.adapters.alpaca_state import asset_of, held_of, state_of
from core.adapters.alpaca_trading import AlpacaTrading
from core.adapters.alpaca_transport import Declined
from core.adapters.alpaca_wire import row_of, text
from core.adapters.pacing import RealClock
from core.domain.accounts import Account
from core.domain.corporate import CorporateAction
from core.domain.instruments import instrument_for
from core.domain.orders import FINAL, Purpose, Side
from core.domain.portfolio import Fill
from core.domain.splits import FRACTION
from core.domain.values import ONE, ZERO, plain
from core.domain.venue import (
    Accepted,
    Activity,
    OrderRequest,
    Refusal,
    Refused,
    Replacement,
    Resting,
    SubmitResult,
    Unknown,
    VenueAccount,
    VenueAsset,
    VenueOrder,
)
from core.errors import Ambiguous, DataFault, MalformedAnswer, Transient, Unreachable

ActionsBetween = Callable[[str, datetime, datetime], Sequence[CorporateAction]]
KNOWN_FOR = timedelta(days=1)
AROUND_A_SPLIT = timedelta(days=5)
"""Alpaca books a split some days before or after it takes effect."""
MARGIN = timedelta(seconds=1)
"""Alpaca leaves out what happened at the very moment that is asked from."""


def no_actions(_symbol: str, _after: datetime, _until: datetime) -> Sequence[CorporateAction]:
    """Where nobody can be asked."""
    return ()


class AlpacaBroker:
    """The Broker port for a paper or a live account; `trading` leads to that account's service, and `actions` to what
    companies do to their shares. Blocking; for several threads.

    `shows_within` covers a request that was under way when its time ran out.
    """

    shows_within = timedelta(seconds=30)
    can_replace = True

    def __init__(
        self, account: Account, trading: AlpacaTrading, clock: RealClock, actions: ActionsBetween = no_actions
    ) -> None:
        self.account = account
        self._trading = trading
        self._clock = clock
        self._actions = actions
        self._ratios: dict[tuple[str, date], Decimal] = {}
        self._book = AlpacaBook(trading)
        self._moves = AlpacaMoves(trading, self._book, self.asset)
        self._fees = CoinFees()
        self._lock = threading.Lock()
        self._assets: dict[str, tuple[datetime, VenueAsset]] = {}

    @property
    def refusal(self) -> str:
        """Why Alpaca does not let us in, which only its owner can change; empty where it does or was not asked."""
        return self._trading.refusal

    @property
    def ahead(self) -> timedelta | None:
        """How far Alpaca's clock was ahead of ours at its last answer, to the second; None before the first."""
        return self._trading.ahead

    def resting(self, symbol: str, quantity: Decimal) -> Resting:
        if instrument_for(symbol).is_crypto:
            return Resting.STOP
        return Resting.NOTHING if quantity % ONE else Resting.PAIR

    def sale_step(self, symbol: str) -> Decimal:
        """Before Alpaca was asked about a share it is taken for one of the many that trade in fractions."""
        with self._lock:
            known = self._assets.get(symbol)
        instrument = instrument_for(symbol)
        if instrument.is_crypto:
            return max(instrument.quantity_step, (known[1].quantity_step if known else None) or ZERO)
        return ONE if known is not None and not known[1].fractionable else FRACTION

    def submit(self, request: OrderRequest) -> SubmitResult:
        """Raises Transient where nothing was sent, or where Alpaca turned it away at its door."""
        asset, is_known = self._asset_for(request)
        wanted = fitted(request, asset)
        wrong = refusal(wanted, asset)
        if wrong:
            return Refused(wrong, Refusal.UNTRADABLE if asset is not None and not asset.tradable else Refusal.OTHER)
        if not is_known:
            return Refused(unknown(request.symbol), Refusal.UNTRADABLE)
        too_many = self._sold_short(wanted)
        if too_many:
            return Refused(too_many)
        fields = fields_of(wanted)
        try:
            answer = self._trading.change(lambda vendor: vendor.submit(fields))
            order = self._named(request, self._book.read(row_of(answer, "an order")))
        except Declined as no:
            return self._declined(no, request)
        except (Ambiguous, MalformedAnswer) as error:
            found = self._looked_up(request)
            return Accepted(found) if found is not None else Unknown(f"Alpaca {error}")
        return Accepted(order)

    def replace(self, client_order_id: str, change: Replacement) -> SubmitResult:
        """Raises Transient where nothing was sent, or where Alpaca turned it away at its door."""
        return self._moves.replace(client_order_id, change)

    def cancel(self, client_order_id: str) -> None:
        """Ends a live order, and with one leg of a bracket or a pair the other. A filled entry keeps its legs: they
        are cancelled by their own ids."""
        found = {each.order.client_order_id: each.order for each in self._moves.at_rest(client_order_id)}
        order = found.get(client_order_id)
        if order is None or order.state in FINAL:
            return
        # Of two legs the target is at the exchange, and its end is the other's, too.
        targets = [each for each in found.values() if each.purpose is Purpose.TARGET and each.state not in FINAL]
        chosen = targets[0] if targets and order.purpose is Purpose.STOP else order
        try:
            self._trading.change(lambda vendor: vendor.cancel(chosen.venue_order_id))
        except Declined:
            # It has ended, or is just ending: the next look tells which.
            return
        except Ambiguous as error:
            # Nothing is lost by asking for it again.
            raise Unreachable(str(error)) from None
        self._settle(client_order_id)

    def find(self, client_order_id: str) -> VenueOrder | None:
        found = self._book.find(client_order_id)
        return found.order if found is not None else None

    def orders(self) -> Sequence[VenueOrder]:
        return self._book.live()

    def fills_since(self, at: datetime) -> Sequence[Fill]:
        """By Alpaca's account activities; those of orders that are not ours included."""
        rows = self._trading.activities({"activity_types": "FILL"}, at - MARGIN)
        self._book.prepare((text(row, "order_id") for row in rows), at - KNOWN_FOR)
        fills = [fill_of(row, self.account.id, self._book.owner_of(text(row, "order_id"))) for row in rows]
        self._fees.saw_fills(fills)
        return sorted((fill for fill in fills if fill.at >= at), key=lambda fill: (fill.at, fill.id))

    def activities_since(self, at: datetime) -> Sequence[Activity]:
        """What Alpaca has told since then. What it dates back to a midnight counts when it was told."""
        rows = self._trading.activities({"category": "non_trade_activity"}, at - MARGIN)
        found = activities_of(rows, self.account.id, lambda: self.state().positions, self._ratio)
        self._fees.saw_activities(found)
        return [each for each in found if each.at >= at or is_a_day(each.at)]

    def state(self) -> VenueAccount:
        account = self._trading.row(lambda vendor: vendor.account(), "its account")
        positions = self._trading.rows(lambda vendor: vendor.positions(), "positions")
        return replace(state_of(account, positions, self._fees.due()), ahead=self.ahead)

    def asset(self, symbol: str) -> VenueAsset | None:
        """What Alpaca says of an instrument, asked once a day; None for one that it does not have. Raises Transient."""
        name, now = name_of(symbol), self._clock.now()
        if name is None:
            return None
        with self._lock:
            known = self._assets.get(symbol)
        if known is not None and now - known[0] < KNOWN_FOR:
            return known[1]
        row = self._trading.row_or_none(lambda vendor: vendor.asset(name), "an instrument")
        if row is None:
            return None
        asset = asset_of(row, symbol)
        with self._lock:
            self._assets[symbol] = now, asset
        return asset

    def _ratio(self, symbol: str, at: datetime) -> Decimal | None:
        """Of a split around then; None where it cannot be told now. Remembered, as a split is told of for days."""
        known = self._ratios.get((symbol, at.date()))
        if known is not None:
            return known
        try:
            found = self._actions(symbol, at - AROUND_A_SPLIT, at + AROUND_A_SPLIT)
        except (Transient, DataFault):
            return None
        ratio = math.prod((each.ratio for each in found), start=ONE)
        if ratio == ONE:
            return None
        self._ratios[symbol, at.date()] = ratio
        return ratio

    def _asset_for(self, request: OrderRequest) -> tuple[VenueAsset | None, bool]:
        """What is known of the order's instrument, and whether there is one. A sale waits for no such knowledge."""
        try:
            asset = self.asset(request.symbol)
        except Transient:
            if request.side is Side.BUY:
                raise
            return None, True
        return asset, asset is not None

    def _sold_short(self, request: OrderRequest) -> str:
        """Alpaca takes a sale of more than is held for a short sale, and nothing is sold short here. Where it does not
        say what is held, our own books have to do."""
        name = name_of(request.symbol)
        if request.side is Side.BUY or name is None:
            return ""
        try:
            row = self._trading.row_or_none(lambda vendor: vendor.position(name), "a position")
        except Transient:
            return ""
        held = held_of(row) if row is not None else ZERO
        if request.quantity <= held:
            return ""
        wanted = f"selling {plain(request.quantity)} {request.symbol} needs as many"
        return f"{wanted}, but only {plain(max(held, ZERO))} are free: selling more would open a short position"

    def _declined(self, no: Declined, request: OrderRequest) -> SubmitResult:
        """A no may mean that Alpaca has the order: its only word for a used id is that of any missing field."""
        if may_be_a_used_id(no):
            try:
                found = self.find(request.client_order_id)
            except Transient as error:
                return Unknown(f"Alpaca says {no.words}, and {error}")
            if found is not None:
                return Accepted(found)
        return refused(no, request.symbol)

    def _looked_up(self, request: OrderRequest) -> VenueOrder | None:
        """The order whose answer was lost; None where that cannot be told now."""
        try:
            return self.find(request.client_order_id)
        except Transient:
            return None

    @staticmethod
    def _named(request: OrderRequest, members: Sequence[Member]) -> VenueOrder:
        for member in members:
            if member.order.client_order_id == request.client_order_id:
                return member.order
        raise MalformedAnswer("answered with another order")

    def _settle(self, client_order_id: str) -> None:
        """Waits a moment for a cancellation to come through, so that what follows need not wait a minute for it."""
        for seconds in SETTLING:
            try:
                order = self.find(client_order_id)
            except Transient:
                return
            if order is None or order.state in FINAL:
                return
            self._trading.rest(seconds)
