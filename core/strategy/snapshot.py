"""An immutable picture of everything one decision may look at."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from core.domain.accounts import Account, Mode
from core.domain.decisions import Brake
from core.domain.instruments import Instrument
from core.domain.orders import Order, OrderNamespace
from core.domain.portfolio import Guard, Portfolio, Position
from core.domain.skill import Standings
from core.domain.values import ZERO
from core.series import BarSeries

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class MarketView:
    """One instrument as it looks at `now`: only bars closed at or before it.

    `confirm` holds closed 5-minute bars, or the daily bars where there are none (DESIGN 8, model bars).
    `excluded` names why the instrument takes no entries this cycle, empty if it may. `price` is the last known trade.
    `judged_until` is the close of the newest confirm bar that an earlier tick has judged: an entry needs a newer one,
    so that a tick without a new bar can change nothing.
    """

    instrument: Instrument
    daily: BarSeries
    confirm: BarSeries
    price: Decimal | None
    price_at: datetime | None
    is_open: bool
    next_open: datetime
    excluded: str = ""
    judged_until: datetime | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AccountView:
    """`connected`: what is held there can be sold at all. `first_day`: it is the first trading day of real money there.
    `is_fallen`: its broker has failed us or is not connected, so that what is to be sold there is for the owner's hand,
    in its own app (core.execution.fallback). `trouble` follows its name and says why nothing is bought there, empty
    where it may be. `buying_power`, USD, is what may be spent there at most, None: all its cash.
    `steps` says of what is held in which steps its venue sells it, where that is known; `claimed` how many units of it
    sales of the owner's own hold at the venue."""

    account: Account
    portfolio: Portfolio
    live_orders: tuple[Order, ...]
    guards: Mapping[str, Guard]
    reachable: bool = True
    connected: bool = True
    first_day: bool = False
    is_fallen: bool = False
    trouble: str = ""
    buying_power: Decimal | None = None
    steps: Mapping[str, Decimal] = field(default_factory=dict)
    claimed: Mapping[str, Decimal] = field(default_factory=dict)
    _of_symbol: Mapping[str, tuple[Order, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        of_symbol: dict[str, tuple[Order, ...]] = {}
        for order in self.live_orders:
            of_symbol[order.symbol] = (*of_symbol.get(order.symbol, ()), order)
        object.__setattr__(self, "_of_symbol", of_symbol)

    def orders_in(self, symbol: str) -> tuple[Order, ...]:
        """The live orders of one symbol, in their order."""
        return self._of_symbol.get(symbol, ())

    def free(self, position: Position) -> Decimal:
        """The units that can be sold from here. What the owner sells in the broker's own app, he sells all of."""
        return position.quantity - (ZERO if self.is_fallen else self.claimed.get(position.symbol, ZERO))

    def sale_step(self, instrument: Instrument) -> Decimal:
        return self.steps.get(instrument.symbol, instrument.quantity_step)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """`origin` is the scheduled tick time, part of every derived order id. `entry_account` None: no entries at all.
    `by_hand` are symbols that the broker does not trade: their entries are for the manual account. `standings` say
    whose live forecasts are doubted."""

    now: datetime
    origin: str
    mode: Mode
    markets: tuple[MarketView, ...]
    accounts: tuple[AccountView, ...]
    entry_account: str | None
    brakes: tuple[Brake, ...]
    namespace: OrderNamespace
    by_hand: frozenset[str] = frozenset()
    standings: Standings = field(default_factory=Standings)
    _known: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    def once(self, question: Hashable, work_out: Callable[[], T]) -> T:
        """What `work_out` finds in this snapshot, which never changes: worked out the first time only.

        For what is the same for every instrument: a decision that adds up a thousand positions for each of a thousand
        instruments takes a thousand times as long.
        """
        if question not in self._known:
            self._known[question] = work_out()
        answer: T = self._known[question]
        return answer
