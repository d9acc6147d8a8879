"""A broker, and the news of what happens there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from core.domain.accounts import Account
from core.domain.portfolio import Fill
from core.domain.venue import Activity, OrderRequest, Replacement, Resting, SubmitResult, VenueAccount, VenueOrder


class Broker(Protocol):
    """A venue. Every method may raise Transient (nothing known this time); only `submit` and `replace` have a verdict
    type.

    `shows_within` is by when, in market time, an order that was sent shows at the latest: until then `find` may know
    nothing of it yet. `can_replace`: what rests there can be moved without a moment in which nothing rests.
    """

    account: Account
    shows_within: timedelta
    can_replace: bool

    def resting(self, symbol: str, quantity: Decimal) -> Resting:
        """What may rest at the venue for so many units; asks nobody. An entry carries its bracket where it is PAIR."""
        ...

    def sale_step(self, symbol: str) -> Decimal:
        """In which steps what is held can be sold at the market; asks nobody. Finer than the instrument's where
        fractions of a share trade."""
        ...

    def submit(self, request: OrderRequest) -> SubmitResult:
        """Submitting an id that the venue already has answers Accepted with the order that exists."""
        ...

    def replace(self, client_order_id: str, change: Replacement) -> SubmitResult:
        """Moves the prices of an order that rests, a leg or one by itself; it keeps its name, side and quantity.

        Accepted has the order as it is by now: at the new prices, or at its end, if that came first. Refused leaves it
        as it was, and Unknown as one of the two, which shows in `find`. Asking again for what is so already changes
        nothing.
        """
        ...

    def cancel(self, client_order_id: str) -> None:
        """Asks for the cancellation of an order and of its resting legs; the result shows in `find`."""
        ...

    def find(self, client_order_id: str) -> VenueOrder | None:
        """With authority once `shows_within` has passed: None then means that the venue never had it."""
        ...

    def orders(self) -> Sequence[VenueOrder]:
        """All live orders, legs included."""
        ...

    def fills_since(self, at: datetime) -> Sequence[Fill]:
        """Fills at or after `at`, ascending; ids are stable, so that booking them again changes nothing."""
        ...

    def activities_since(self, at: datetime) -> Sequence[Activity]:
        """Dividends, interest, fees, splits and the like at or after `at`, ascending, with stable ids."""
        ...

    def state(self) -> VenueAccount: ...


class TradeNews(Protocol):
    """Word from a venue that something happened to an account's orders: a sign to look now instead of at the next
    minute. It may come twice, late, out of order or never, so nothing is booked from it; what a look finds counts."""

    def watch(self, look: Callable[[], None]) -> None:
        """Begins to listen, and returns at once. From now on `look` is called in some thread, where it must not wait,
        whenever something happened, and whenever something may have been missed."""
        ...

    def looked(self, found: int) -> None:
        """Notes that the account was just looked at and that `found` fills were new: of those there was word, or will
        be in a moment, unless the news has fallen silent."""
        ...

    def sent(self) -> None:
        """Notes that an order was sent just now, which may be filled at once: a look is asked for as by any news, and
        the news that follows may be late or missing."""
        ...

    def trouble(self) -> str:
        """Why no news comes, for the owner; empty while all is well, and while it is too early to say."""
        ...

    def close(self) -> None: ...
