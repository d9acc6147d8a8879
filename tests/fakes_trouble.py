"""A door before a venue that a test shuts and opens: what a broker as a whole can do to us."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.domain.portfolio import Fill
from core.domain.venue import Activity, OrderRequest, Refused, Replacement, SubmitResult, VenueAccount, VenueOrder
from core.errors import Transient
from core.ports import Broker


class ShutDoor:
    """The Broker port over another one; while `error` is set every call fails with it, while `no` is every order is
    refused with it. `told` is what the venue says of the account beside what is behind the door, `happened` are more
    of its activities. `calls` counts all calls, `sent` are the requests that were made, whether or not they arrived,
    and `watch` is shown each before.
    """

    def __init__(self, broker: Broker) -> None:
        self.behind = broker
        self.account = broker.account
        self.shows_within = broker.shows_within
        self.resting = broker.resting
        self.sale_step = broker.sale_step
        self.can_replace = broker.can_replace
        self.error: Transient | None = None
        self.told: dict[str, Any] = {}
        self.no: Refused | None = None
        self.happened: list[Activity] = []
        self.watch: Callable[[OrderRequest], None] = lambda _: None
        self.calls: Counter[str] = Counter()
        self.sent: list[OrderRequest] = []

    def submit(self, request: OrderRequest) -> SubmitResult:
        self.watch(request)
        self.sent.append(request)
        self._pass("submit")
        if self.no is not None:
            return self.no
        return self.behind.submit(request)

    def replace(self, client_order_id: str, change: Replacement) -> SubmitResult:
        self._pass("replace")
        if self.no is not None:
            return self.no
        return self.behind.replace(client_order_id, change)

    def cancel(self, client_order_id: str) -> None:
        self._pass("cancel")
        self.behind.cancel(client_order_id)

    def find(self, client_order_id: str) -> VenueOrder | None:
        self._pass("find")
        return self.behind.find(client_order_id)

    def orders(self) -> Sequence[VenueOrder]:
        self._pass("orders")
        return self.behind.orders()

    def fills_since(self, at: datetime) -> Sequence[Fill]:
        self._pass("fills")
        return self.behind.fills_since(at)

    def activities_since(self, at: datetime) -> Sequence[Activity]:
        self._pass("activities")
        return [*self.behind.activities_since(at), *(each for each in self.happened if each.at >= at)]

    def state(self) -> VenueAccount:
        self._pass("state")
        return replace(self.behind.state(), **self.told)

    def _pass(self, call: str) -> None:
        self.calls[call] += 1
        if self.error is not None:
            raise self.error
