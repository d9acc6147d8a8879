"""Orders as Alpaca's trading service knows and tells them: states, legs, and the form in which they travel."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

ZERO = Decimal(0)
Row = dict[str, Any]

WORKING = frozenset({"new", "partially_filled"})
"""At the exchange: these are matched."""
OPEN = frozenset({"new", "partially_filled", "accepted", "pending_new", "pending_cancel", "pending_replace"})
"""What Alpaca lists as open. A leg that is held is neither open nor ended."""
ENDED = frozenset({"filled", "canceled", "expired", "replaced", "rejected", "done_for_day"})
STOPS = frozenset({"stop", "stop_limit"})
LIMITS = frozenset({"limit", "stop_limit"})


def text(value: Decimal | None) -> str | None:
    """A number as Alpaca writes it: no exponent, no zeros behind."""
    if value is None:
        return None
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def stamp(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}123Z"


@dataclass(eq=False)
class PaperOrder:
    """`parent` and `legs` are ids. `symbol` as Alpaca names it in orders (BTC/USD). `is_triggered`: a stop was met."""

    id: str
    client_order_id: str
    symbol: str
    asset_id: str
    asset_class: str
    side: str
    quantity: Decimal
    type: str
    time_in_force: str
    order_class: str
    created_at: datetime
    status: str
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    extended_hours: bool = False
    expires_at: datetime | None = None
    filled: Decimal = ZERO
    value: Decimal = ZERO
    parent: str | None = None
    legs: list[str] = field(default_factory=list)
    replaces: str | None = None
    replaced_by: str | None = None
    is_triggered: bool = False
    waits_for_tick: int = -1
    at: dict[str, datetime] = field(default_factory=dict)

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def is_coin(self) -> bool:
        return self.asset_class == "crypto"

    @property
    def average(self) -> Decimal | None:
        return (self.value / self.filled).quantize(Decimal("0.000000001")) if self.filled else None

    def moved(self, status: str, at: datetime) -> None:
        self.status = status
        self.at["updated_at"] = at
        if status in ("filled", "canceled", "expired", "replaced"):
            self.at[f"{status}_at"] = at
        elif status == "rejected":
            self.at["failed_at"] = at

    def wire(self, legs: list[Row] | None = None, *, is_leg: bool = False) -> Row:
        """As in an answer; `legs` are what is nested in it."""
        times = {
            name: stamp(self.at.get(name))
            for name in ("filled_at", "expired_at", "canceled_at", "failed_at", "replaced_at")
        }
        row: Row = {
            "id": self.id,
            "client_order_id": self.client_order_id,
            "created_at": stamp(self.created_at),
            "updated_at": stamp(self.at.get("updated_at", self.created_at)),
            "submitted_at": stamp(self.created_at),
            **times,
            "replaced_by": self.replaced_by,
            "replaces": self.replaces,
            "asset_id": self.asset_id,
            "symbol": self.symbol,
            "asset_class": self.asset_class,
            "notional": None,
            "qty": text(self.quantity),
            "filled_qty": text(self.filled),
            "filled_avg_price": text(self.average),
            "order_class": self.order_class,
            "order_type": self.type,
            "type": self.type,
            "side": self.side,
            "time_in_force": self.time_in_force,
            "limit_price": text(self.limit_price),
            "stop_price": text(self.stop_price),
            "status": self.status,
            "extended_hours": self.extended_hours,
            "legs": legs or None,
            "trail_percent": None,
            "trail_price": None,
            "hwm": None,
        }
        if not is_leg and self.expires_at is not None:
            row["expires_at"] = stamp(self.expires_at)
        return row
