"""A venue that fails: a share of all calls, spread evenly over six ways, drawn from a seed and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

import numpy as np

from core.domain.orders import OrderState
from core.domain.portfolio import Fill
from core.domain.values import ZERO
from core.domain.venue import (
    Accepted,
    Activity,
    OrderRequest,
    Replacement,
    Resting,
    SubmitResult,
    Unknown,
    VenueAccount,
    VenueOrder,
)
from core.errors import Ambiguous, Transient
from core.ports import Broker, Clock

T = TypeVar("T")


class Way(StrEnum):
    TIMEOUT_BEFORE = "timed out before it arrived"
    TIMEOUT_AFTER = "timed out after it was done"
    ERROR_500 = "500"
    ERROR_429 = "429"
    WRONG_DUPLICATE = "wrong duplicate"
    GARBAGE = "garbage body"


WAYS = tuple(Way)


class FaultyVenue:
    """The Broker port around a broker that never fails. `failing` is whether faults are injected at present."""

    shows_within = timedelta(minutes=1)
    can_replace = True

    def __init__(self, broker: Broker, clock: Clock, generator: np.random.Generator, share: float) -> None:
        self.account = broker.account
        self.broker = broker
        self.failing = True
        self.calls = 0
        self.injected: Counter[Way] = Counter()
        self._clock = clock
        self._generator = generator
        self._share = share

    def resting(self, symbol: str, quantity: Decimal) -> Resting:
        return self.broker.resting(symbol, quantity)

    def sale_step(self, symbol: str) -> Decimal:
        return self.broker.sale_step(symbol)

    def submit(self, request: OrderRequest) -> SubmitResult:
        way = self._draw(WAYS)
        if way is Way.TIMEOUT_BEFORE:
            return Unknown("timed out")
        if way is Way.WRONG_DUPLICATE:
            return self._another_order(request)
        if way is Way.TIMEOUT_AFTER:
            self.broker.submit(request)
            return Unknown("timed out")
        return self._perform(way, lambda: self.broker.submit(request))

    def replace(self, client_order_id: str, change: Replacement) -> SubmitResult:
        way = self._draw([way for way in WAYS if way is not Way.WRONG_DUPLICATE])
        if way is Way.TIMEOUT_BEFORE:
            return Unknown("timed out")
        if way is Way.TIMEOUT_AFTER:
            self.broker.replace(client_order_id, change)
            return Unknown("timed out")
        return self._perform(way, lambda: self.broker.replace(client_order_id, change))

    def cancel(self, client_order_id: str) -> None:
        way = self._draw([way for way in WAYS if way is not Way.WRONG_DUPLICATE])
        if way is Way.TIMEOUT_AFTER:
            self.broker.cancel(client_order_id)
        self._perform(way, lambda: self.broker.cancel(client_order_id))

    def find(self, client_order_id: str) -> VenueOrder | None:
        return self._query(lambda: self.broker.find(client_order_id))

    def orders(self) -> Sequence[VenueOrder]:
        return self._query(self.broker.orders)

    def fills_since(self, at: datetime) -> Sequence[Fill]:
        return self._query(lambda: self.broker.fills_since(at))

    def activities_since(self, at: datetime) -> Sequence[Activity]:
        return self._query(lambda: self.broker.activities_since(at))

    def state(self) -> VenueAccount:
        return self._query(self.broker.state)

    def _draw(self, ways: Sequence[Way]) -> Way | None:
        self.calls += 1
        if not self.failing or float(self._generator.random()) >= self._share:
            return None
        way = ways[int(self._generator.integers(len(ways)))]
        self.injected[way] += 1
        return way

    def _query(self, ask: Callable[[], T]) -> T:
        """A question that fails changes nothing at the venue, whichever way it fails."""
        way = self._draw([way for way in WAYS if way is not Way.WRONG_DUPLICATE])
        if way is Way.GARBAGE:
            raise Transient("the answer cannot be read")
        return self._perform(way, ask)

    def _perform(self, way: Way | None, deed: Callable[[], T]) -> T:
        if way is Way.ERROR_429:
            raise Transient("429 too many requests", self._clock.now() + timedelta(minutes=1))
        if way is Way.ERROR_500:
            raise Transient("500 internal server error")
        if way in (Way.TIMEOUT_BEFORE, Way.TIMEOUT_AFTER):
            raise Transient("timed out")
        if way is Way.GARBAGE:
            if self._generator.random() < 0.5:
                deed()
            raise Ambiguous("the answer cannot be read")
        return deed()

    def _another_order(self, request: OrderRequest) -> SubmitResult:
        """The venue says that it has the id already, and shows an order that is none of ours."""
        twin = VenueOrder(
            request.client_order_id,
            "someone-elses",
            "ZZZ",
            request.side,
            request.quantity + 1,
            ZERO,
            OrderState.ACCEPTED,
            request.type,
            request.purpose,
            None,
            None,
            None,
        )
        return Accepted(twin)
