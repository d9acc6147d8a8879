"""A venue whose every deed is chosen by a test: what fills, what is lost, what is answered late, twice or not at all.

It keeps its own books, apart from everything of ours, and outlives the engine's restarts: the truth that the ledger is
held against.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from core.clock import VirtualClock
from core.domain.accounts import Account, AccountKind, World
from core.domain.instruments import Instrument, instrument_for
from core.domain.orders import LIVE, OrderState, OrderType, Purpose, Side
from core.domain.portfolio import CashKind, CashMovement, Fill
from core.domain.splits import split_units
from core.domain.values import ZERO, ceil_to, floor_to
from core.domain.venue import (
    Accepted,
    Activity,
    OrderRequest,
    Refusal,
    Refused,
    Replacement,
    Resting,
    Split,
    SubmitResult,
    Unknown,
    VenueAccount,
    VenueOrder,
)
from core.errors import Ambiguous, Transient

CASH = Decimal(100_000)
COIN_GRAIN = Decimal("0.000000001")
STOP_LEG, TARGET_LEG = "-s", "-t"


class Mishap(StrEnum):
    """What befalls the next submission, or replacement. DONE and LOST tell whether it arrived all the same."""

    NONE = "none"
    SILENT_LOST = "no answer, never arrived"
    SILENT_DONE = "no answer, arrived"
    FAILED = "500, never arrived"
    LIMITED = "429, never arrived"
    WRONG_TWIN = "another order is shown under the id, never arrived"
    GARBAGE_LOST = "unreadable, never arrived"
    GARBAGE_DONE = "unreadable, arrived"
    LATE = "no answer, arrives later"


@dataclass(frozen=True)
class Move:
    """A replacement of an order by the id under which the venue had it when this was sent."""

    venue_order_id: str
    name: str
    change: Replacement


@dataclass(eq=False)
class ChaosVenue:
    """The Broker port. `price` tells what a unit of a symbol costs; nothing fills unless a test says so. What is LATE
    arrives after `delay`. `coin_fee` is the part of a purchase that the venue takes in coin."""

    clock: VirtualClock
    price: Callable[[str], Decimal]
    mishap: Mishap = Mishap.NONE
    is_down: bool = False
    cancel_is_lost: bool = False
    cancel_is_silent: bool = False
    doubles_fills: bool = False
    reverses_fills: bool = False
    withholds_newest: bool = False
    delay: timedelta = timedelta(minutes=3)
    account: Account = field(default_factory=lambda: Account("simulated", AccountKind.SIMULATED, World.REAL))
    rests: Resting = Resting.PAIR
    share_step: Decimal = Decimal(1)
    shows_within: timedelta = timedelta(minutes=1)
    can_replace: bool = True
    cash: Decimal = CASH
    coin_fee: Decimal = ZERO
    positions: dict[str, Decimal] = field(default_factory=dict)
    requests: list[OrderRequest] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    book: dict[str, VenueOrder] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    activities: list[Activity] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._brackets: dict[str, tuple[Decimal, Decimal]] = {}
        self._under_way: list[tuple[datetime, OrderRequest | Move]] = []
        self._gained: Counter[str] = Counter()

    # the Broker port

    def resting(self, symbol: str, quantity: Decimal) -> Resting:
        is_whole = not quantity % instrument_for(symbol).quantity_step
        return self.rests if is_whole else Resting.NOTHING

    def sale_step(self, symbol: str) -> Decimal:
        return min(instrument_for(symbol).quantity_step, self.share_step)

    def submit(self, request: OrderRequest) -> SubmitResult:
        twin = self._order(replace(request, quantity=request.quantity + 1, symbol="ZZZ"))
        return self._meets_mishap(request, twin)

    def replace(self, client_order_id: str, change: Replacement) -> SubmitResult:
        order = self.book.get(client_order_id)
        if order is None:
            return Refused("no such order", Refusal.FIXED)
        prices = {"stop_price": change.stop_price, "limit_price": change.limit_price}
        twin = replace(order, client_order_id="zzz", symbol="ZZZ", venue_order_id="v-zzz", **prices)
        return self._meets_mishap(Move(order.venue_order_id, client_order_id, change), twin)

    def _meets_mishap(self, request: OrderRequest | Move, twin: VenueOrder) -> SubmitResult:
        self._receive()
        mishap, self.mishap = self.mishap, Mishap.NONE
        if self.is_down or mishap is Mishap.FAILED:
            raise Transient("500 internal server error")
        if mishap is Mishap.LIMITED:
            raise Transient("429 too many requests", self.clock.now())
        if mishap is Mishap.LATE:
            self._under_way.append((self.clock.now() + self.delay, request))
            return Unknown("timed out")
        if mishap is Mishap.SILENT_LOST:
            return Unknown("timed out")
        if mishap is Mishap.GARBAGE_LOST:
            raise Ambiguous("the answer cannot be read")
        if mishap is Mishap.WRONG_TWIN:
            return Accepted(twin)
        answer = self._arrive(request)
        if mishap is Mishap.SILENT_DONE:
            return Unknown("timed out")
        if mishap is Mishap.GARBAGE_DONE:
            raise Ambiguous("the answer cannot be read")
        return answer

    def cancel(self, client_order_id: str) -> None:
        if self.is_down or self.cancel_is_lost:
            self.cancel_is_lost = False
            raise Transient("the venue did not answer")
        self._receive()
        self.end(client_order_id, OrderState.CANCELED)
        if self.cancel_is_silent:
            self.cancel_is_silent = False
            raise Transient("cancelled, but nobody heard")

    def find(self, client_order_id: str) -> VenueOrder | None:
        self._ask()
        return self.book.get(client_order_id)

    def orders(self) -> Sequence[VenueOrder]:
        self._ask()
        return self.live()

    def fills_since(self, at: datetime) -> Sequence[Fill]:
        self._ask()
        shown = [fill for fill in self.fills if fill.at >= at]
        if self.withholds_newest:
            shown, self.withholds_newest = shown[:-1], False
        if self.doubles_fills:
            shown = [fill for fill in shown for _ in range(2)]
        return shown[::-1] if self.reverses_fills else shown

    def activities_since(self, at: datetime) -> Sequence[Activity]:
        self._ask()
        return [activity for activity in self.activities if activity.at >= at]

    def state(self) -> VenueAccount:
        self._ask()
        return VenueAccount(self.cash, dict(self.positions))

    # what a test makes happen

    def live(self) -> list[VenueOrder]:
        return [order for order in self.book.values() if order.state in LIVE]

    def calm(self) -> None:
        """From now on everything answers truthfully."""
        self.mishap, self.is_down, self.cancel_is_lost, self.cancel_is_silent = Mishap.NONE, False, False, False
        self.doubles_fills, self.reverses_fills, self.withholds_newest = False, False, False

    def fill(self, name: str, quantity: Decimal, price: Decimal) -> None:
        """Executes at most `quantity` of a live order; its rival shrinks or ends, its bracket comes to life."""
        order = self.book[name]
        quantity = min(quantity, order.quantity - order.filled_quantity)
        if order.side is Side.SELL:
            quantity = min(quantity, self.positions.get(order.symbol, ZERO))
        if quantity <= 0 or order.state not in LIVE:
            return
        bought = order.side is Side.BUY
        fee = ceil_to(quantity * self.coin_fee, COIN_GRAIN) if bought else ZERO
        gained = quantity - fee if bought else -quantity
        self.cash -= quantity * price if bought else -quantity * price
        self._gained[name] += gained  # type: ignore[assignment]
        self.positions[order.symbol] = self.positions.get(order.symbol, ZERO) + gained
        if not self.positions[order.symbol]:
            del self.positions[order.symbol]
        self._book_fill(order, quantity, price, fee)
        filled = order.filled_quantity + quantity
        is_whole = filled >= order.quantity
        state = OrderState.FILLED if is_whole else OrderState.PARTIALLY_FILLED
        self.book[name] = replace(order, filled_quantity=filled, state=state)
        self._shrink_rival(name, quantity, is_whole)
        if is_whole and name in self._brackets:
            self._give_birth(name)

    def end(self, name: str, state: OrderState, reason: str = "") -> None:
        """Cancels, rejects or expires a live order; of a pair both go, and a part filled keeps its protection."""
        order = self.book.get(name)
        if order is None or order.state not in LIVE:
            return
        self.book[name] = replace(order, state=state, reason=reason)
        rival = self._rival_of(name)
        if rival is not None and rival.state in LIVE:
            self.book[rival.client_order_id] = replace(rival, state=OrderState.CANCELED)
        if order.filled_quantity and name in self._brackets:
            self._give_birth(name)

    def order_by_hand(self, request: OrderRequest) -> SubmitResult:
        """From the venue's own app, which never fails."""
        return self._place(request)

    def forget_bracket(self, name: str) -> None:
        """The legs that the order was to have are gone for good."""
        self._brackets.pop(name, None)

    def free_units(self, symbol: str) -> Decimal:
        """Units that no live sale has claimed; a stop and its target claim them once."""
        claimed, counted = ZERO, set[str]()
        for order in self.live():
            if order.symbol == symbol and order.side is Side.SELL and order.client_order_id not in counted:
                claimed += order.quantity - order.filled_quantity
                rival = self._rival_of(order.client_order_id)
                if rival is not None:
                    counted.add(rival.client_order_id)
        return self.positions.get(symbol, ZERO) - claimed

    def pay_dividend(self, symbol: str, amount: Decimal) -> None:
        self._pay("dividend", CashKind.DIVIDEND, amount * self.positions.get(symbol, ZERO))

    def split(self, symbol: str, ratio: Decimal, price: Decimal) -> None:
        """Units, what is left of live orders, and prices are scaled; an odd remainder is paid at `price`."""
        instrument, held = instrument_for(symbol), self.positions.get(symbol, ZERO)
        kept, odd = split_units(held, ratio, instrument)
        self.activities.append(
            Split(f"split-{self._number()}", self.account.id, symbol, ratio, kept - held, self.clock.now())
        )
        if odd:
            self._pay("in-lieu", CashKind.IN_LIEU, odd * price)
        self.positions[symbol] = kept
        if not kept:
            del self.positions[symbol]
        for order in self.live():
            if order.symbol == symbol:
                self._scale(order, ratio, instrument)

    # inside

    def _number(self) -> int:
        return len(self.activities) + 1

    def _pay(self, name: str, kind: CashKind, amount: Decimal) -> None:
        self.cash += amount
        self.activities.append(
            CashMovement(f"{name}-{self._number()}", self.account.id, kind, amount, self.clock.now())
        )

    def _scale(self, order: VenueOrder, ratio: Decimal, instrument: Instrument) -> None:
        left = floor_to((order.quantity - order.filled_quantity) * ratio, instrument.quantity_step)
        if not left:
            self.end(order.client_order_id, OrderState.CANCELED, "the split left nothing of it")
            return
        self.book[order.client_order_id] = replace(
            order,
            quantity=order.filled_quantity + left,
            limit_price=order.limit_price and floor_to(order.limit_price / ratio, instrument.price_tick),
            stop_price=order.stop_price and ceil_to(order.stop_price / ratio, instrument.price_tick),
        )

    def _ask(self) -> None:
        if self.is_down:
            raise Transient("the venue did not answer")
        self._receive()

    def _receive(self) -> None:
        """What was sent `delay` ago arrives now."""
        now = self.clock.now()
        arrived = [request for due, request in self._under_way if due <= now]
        self._under_way = [(due, request) for due, request in self._under_way if due > now]
        for request in arrived:
            self._arrive(request)

    def _arrive(self, request: OrderRequest | Move) -> SubmitResult:
        return self._move(request) if isinstance(request, Move) else self._place(request)

    def _move(self, move: Move) -> SubmitResult:
        """A replacement is of the order as the venue has it, so that one which comes late finds nothing to replace."""
        order, change = self.book[move.name], move.change
        prices = (change.stop_price, change.limit_price)
        if order.state not in LIVE or prices == (order.stop_price, order.limit_price):
            return Accepted(order)
        if order.state is not OrderState.ACCEPTED or order.venue_order_id != move.venue_order_id:
            return Refused("order is not open", Refusal.FIXED)
        self.moves.append(move)
        self.book[move.name] = replace(
            order, venue_order_id=f"v-{change.client_order_id}", stop_price=prices[0], limit_price=prices[1]
        )
        return Accepted(self.book[move.name])

    def _place(self, request: OrderRequest) -> SubmitResult:
        name = request.client_order_id
        if name in self.book:
            return Accepted(self.book[name])
        if request.side is Side.SELL and request.quantity > self.free_units(request.symbol):
            return Refused("insufficient quantity")
        if self.rests is not Resting.PAIR and (request.bracket_stop or request.bracket_target):
            return Refused("no brackets for this asset")
        if request.type is OrderType.STOP and self._may_not_stop(request):
            return Refused("no such stops for this asset")
        if request.side is Side.BUY and request.quantity * self.price(request.symbol) > self.cash:
            return Refused("insufficient buying power")
        self.requests.append(request)
        self.book[name] = self._order(request)
        if request.bracket_stop is not None and request.bracket_target is not None:
            self._brackets[name] = (request.bracket_stop, request.bracket_target)
        elif request.side is Side.SELL and request.bracket_target is not None:
            target = replace(request, client_order_id=name + TARGET_LEG, type=OrderType.LIMIT, purpose=Purpose.TARGET)
            self._add_leg(name, replace(target, limit_price=request.bracket_target, stop_price=None))
        return Accepted(self.book[name])

    def _may_not_stop(self, request: OrderRequest) -> bool:
        return self.rests is Resting.NOTHING or (self.rests is Resting.STOP and request.limit_price is None)

    def _order(self, request: OrderRequest) -> VenueOrder:
        return VenueOrder(
            request.client_order_id,
            f"v-{request.client_order_id}",
            request.symbol,
            request.side,
            request.quantity,
            ZERO,
            OrderState.ACCEPTED,
            request.type,
            request.purpose,
            request.limit_price,
            request.stop_price,
            None,
        )

    def _add_leg(self, parent: str, request: OrderRequest) -> None:
        leg = replace(self._order(request), parent_client_order_id=parent)
        self.book[leg.client_order_id] = leg

    def _give_birth(self, parent: str) -> None:
        stop, target = self._brackets.pop(parent)
        entry = self.book[parent]
        quantity = floor_to(Decimal(self._gained[parent]), instrument_for(entry.symbol).quantity_step)
        if not quantity:
            return
        sale = OrderRequest(
            parent + STOP_LEG, entry.symbol, Side.SELL, quantity, OrderType.STOP, Purpose.STOP, stop_price=stop
        )
        self._add_leg(parent, sale)
        limit = replace(sale, client_order_id=parent + TARGET_LEG, type=OrderType.LIMIT, purpose=Purpose.TARGET)
        self._add_leg(parent, replace(limit, stop_price=None, limit_price=target))

    def _rival_of(self, name: str) -> VenueOrder | None:
        if name.endswith(STOP_LEG):
            return self.book.get(name.removesuffix(STOP_LEG) + TARGET_LEG)
        if name.endswith(TARGET_LEG):
            parent = name.removesuffix(TARGET_LEG)
            return self.book.get(parent + STOP_LEG) or self._stop_itself(parent)
        order = self.book[name]
        return self.book.get(name + TARGET_LEG) if order.type is OrderType.STOP else None

    def _stop_itself(self, name: str) -> VenueOrder | None:
        order = self.book.get(name)
        return order if order is not None and order.type is OrderType.STOP else None

    def _shrink_rival(self, name: str, quantity: Decimal, is_whole: bool) -> None:
        rival = self._rival_of(name)
        if rival is None or rival.state not in LIVE:
            return
        left = rival.quantity - quantity
        if is_whole or left <= rival.filled_quantity:
            self.book[rival.client_order_id] = replace(rival, state=OrderState.CANCELED)
        else:
            self.book[rival.client_order_id] = replace(rival, quantity=left)

    def _book_fill(self, order: VenueOrder, quantity: Decimal, price: Decimal, fee: Decimal) -> None:
        number = 1 + sum(fill.client_order_id == order.client_order_id for fill in self.fills)
        self.fills.append(
            Fill(
                f"{order.client_order_id}/{number}",
                self.account.id,
                order.client_order_id,
                order.symbol,
                order.side,
                quantity,
                price,
                fee,
                order.symbol.removesuffix("-USD") if fee else "USD",
                self.clock.now(),
                order.purpose,
            )
        )
