"""An installation whose broker is a live account: the simulated venue under another name, with a number of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from core.adapters.simulated_broker import SimulatedBroker
from core.adapters.simulated_profiles import DOLLARS
from core.domain.accounts import Account, AccountKind, Mode, World
from core.domain.venue import OrderRequest, Replacement, SubmitResult, VenueAccount
from core.errors import Unreachable
from core.execution.owner import OwnerDesk
from core.execution.real_money import Connected, RealMoney, note_broker
from tests.builders import Bench

NUMBER = "123456789"
LIVE = Account(AccountKind.ALPACA_LIVE.value, AccountKind.ALPACA_LIVE, World.REAL)


class LiveVenue(SimulatedBroker):
    """Remembers what was asked to be changed there; tells its number, or nothing while it is away."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.number = NUMBER
        self.is_away = False
        self.touched: list[str] = []
        self.brought: Mapping[str, Decimal] = {}

    def submit(self, request: OrderRequest) -> SubmitResult:
        self.touched.append(request.client_order_id)
        return super().submit(request)

    def replace(self, client_order_id: str, change: Replacement) -> SubmitResult:
        self.touched.append(client_order_id)
        return super().replace(client_order_id, change)

    def cancel(self, client_order_id: str) -> None:
        self.touched.append(client_order_id)
        super().cancel(client_order_id)

    def state(self) -> VenueAccount:
        if self.is_away:
            raise Unreachable("does not answer")
        known = super().state()
        held = {**known.positions, **self.brought}
        return replace(known, positions=held, number=self.number, equity=known.cash + sum(held.values()) * 100)


@dataclass(eq=False)
class LiveBench(Bench):
    """`allowed` is the number that the settings name. `paper` names a paper account instead: no gate stands before it;
    `keyless` leaves the venue out, as a start without keys does; `wished` is the mode of the settings."""

    allowed: str = NUMBER
    paper: bool = False
    keyless: bool = False
    wished: Mode | None = None

    def open(self) -> None:
        self.has_broker = False
        super().open()
        if self.keyless:
            note_broker(self.desk, None)
            return
        kind = AccountKind.ALPACA_PAPER if self.paper else AccountKind.ALPACA_LIVE
        account = Account(kind.value, kind, World.REAL)
        if hasattr(self, "live"):
            self.live.close()
        self.live = LiveVenue(
            account,
            clock=self.clock,
            bars_after=self._bars_after,
            calendar=self.calendar,
            opening_cash=Decimal(self.cash),
            path=self.folder / f"{kind.value}.sqlite",
            profile=DOLLARS,
        )
        gate = None if self.paper else RealMoney(self.live, self.allowed)
        brokers = Connected({**self.desk.brokers, account.id: self.live}, gate)
        self.desk = replace(
            self.desk,
            brokers=brokers,
            trading_account=account.id,
            real_money=gate,
            default_mode=self.wished or (Mode.AUTO if self.paper else Mode.MANUAL),
        )
        self.owner = OwnerDesk(self.desk)
        note_broker(self.desk, gate)

    def look(self) -> None:
        """What each start and each minute does."""
        if self.desk.real_money is not None:
            self.desk.real_money.look(self.desk)
