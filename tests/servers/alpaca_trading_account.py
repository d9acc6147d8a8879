"""An account at Alpaca: cash, holdings and the list of everything that happened in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from tests.servers.alpaca_trading_orders import ZERO, PaperOrder, Row, stamp, text
from tests.servers.alpaca_trading_rules import PaperAsset

NEW_YORK = ZoneInfo("America/New_York")
COIN_FEE = Decimal("0.0025")
COIN_STEP = Decimal("0.000000001")
CENT = Decimal("0.01")


@dataclass
class Holding:
    """Units are below zero where they were sold short; `cost` is what was paid for those held now."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    last_day: Decimal = ZERO

    @property
    def average(self) -> Decimal:
        return self.cost / self.quantity if self.quantity else ZERO

    def trade(self, quantity: Decimal, price: Decimal) -> None:
        """`quantity` is signed."""
        if self.quantity * quantity >= 0:
            self.cost += quantity * price
        elif abs(quantity) <= abs(self.quantity):
            self.cost += quantity * self.average
        else:
            self.cost = (self.quantity + quantity) * price
        self.quantity += quantity


@dataclass
class PaperAccount:
    """`names` counts what gets an id. A new account begins with a journal entry of its cash."""

    number: str
    cash: Decimal
    created_at: datetime
    multiplier: int = 2
    status: str = "ACTIVE"
    crypto_status: str = "ACTIVE"
    trading_blocked: bool = False
    account_blocked: bool = False
    transfers_blocked: bool = False
    coin_fee: Decimal = COIN_FEE
    holdings: dict[str, Holding] = field(default_factory=dict)
    activities: list[tuple[datetime, Row]] = field(default_factory=list)
    configuration: Row = field(default_factory=dict)
    last_equity: Decimal = ZERO
    names: int = 0

    def __post_init__(self) -> None:
        self.id = self.name("account")
        self.last_equity = self.cash
        self.configuration = {
            "disable_overnight_trading": False,
            "fractional_trading": True,
            "max_margin_multiplier": str(self.multiplier),
            "max_options_trading_level": 0,
            "no_shorting": False,
            "ptp_no_exception_entry": False,
            "suspend_trade": False,
            "trade_confirm_email": "all",
        }
        amount, self.cash = self.cash, ZERO
        self.move("JNLC", amount, self.created_at)

    def name(self, kind: str) -> str:
        """A new id, the same in each run."""
        self.names += 1
        return str(uuid5(NAMESPACE_URL, f"{self.number}/{kind}/{self.names}"))

    def held(self, asset: PaperAsset) -> Decimal:
        holding = self.holdings.get(asset.symbol)
        return holding.quantity if holding else ZERO

    # what happens

    def fill(self, order: PaperOrder, asset: PaperAsset, quantity: Decimal, price: Decimal, at: datetime) -> None:
        """Books one execution of an order, which knows of it already; the fee of a coin comes off what one gets."""
        holding = self.holdings.setdefault(asset.symbol, Holding(last_day=price))
        signed = quantity if order.side == "buy" else -quantity
        holding.trade(signed, price)
        self.cash -= signed * price
        self.activity(
            "FILL",
            at,
            order_id=order.id,
            symbol=order.symbol,
            side=order.side,
            qty=text(quantity),
            price=text(price),
            cum_qty=text(order.filled),
            leaves_qty=text(order.remaining),
            order_status="filled" if not order.remaining else "partially_filled",
            type="fill" if not order.remaining else "partial_fill",
            transaction_time=stamp(at),
        )
        if asset.is_coin:
            self._coin_fee(order, holding, quantity, price, at)
        self.drop_empty()

    def _coin_fee(self, order: PaperOrder, holding: Holding, quantity: Decimal, price: Decimal, at: datetime) -> None:
        symbol = order.symbol.replace("/", "")
        if order.side == "buy":
            fee = (quantity * self.coin_fee).quantize(COIN_STEP)
            holding.quantity -= fee
            words, moved = "Coin Pair Transaction Fee (Non USD)", {"symbol": symbol, "qty": text(-fee)}
            self.non_trade("CFEE", ZERO, at, description=words, price=text(price), **moved)
        else:
            fee = (quantity * price * self.coin_fee).quantize(CENT)
            self.cash -= fee
            self.non_trade("CFEE", -fee, at, description="Coin Pair Transaction Fee (USD)")

    def move(self, kind: str, amount: Decimal, at: datetime, **fields: Any) -> Row:
        """Cash that came or went: JNLC, CSD, CSW, DIV, INT, FEE ..."""
        self.cash += amount
        return self.non_trade(kind, amount, at, **fields)

    def split(self, asset: PaperAsset, ratio: Decimal, price: Decimal, at: datetime) -> None:
        """`ratio` new units for one old; an odd part of a unit is paid out at `price`, which is the new one."""
        holding = self.holdings.get(asset.symbol)
        if holding is None:
            return
        old, group = holding.quantity, self.name("group")
        new = old * ratio
        whole = new if old != old.to_integral_value() else new.to_integral_value(ROUND_DOWN)
        kind = "FSPLIT" if ratio > 1 else "RSPLIT"
        shared: dict[str, Any] = {"symbol": asset.symbol, "group_id": group, "activity_sub_type": kind}
        self.non_trade("SPLIT", ZERO, at, qty=text(-old), price=text(price * ratio), **shared)
        self.non_trade("SPLIT", ZERO, at, qty=text(whole), price=text(price), **shared)
        holding.quantity = whole
        holding.last_day /= ratio
        if new != whole:
            self.move("JNLC", ((new - whole) * price).quantize(CENT), at, description="Cash in lieu of fractions")

    def activity(self, kind: str, at: datetime, **fields: Any) -> Row:
        local = at.astimezone(NEW_YORK)
        prefix = f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}"
        row = {"id": f"{prefix}::{self.name('activity')}", "activity_type": kind, **fields}
        self.activities.append((at, row))
        return row

    def non_trade(self, kind: str, amount: Decimal, at: datetime, **fields: Any) -> Row:
        return self.activity(
            kind,
            at,
            date=f"{at.astimezone(NEW_YORK):%Y-%m-%d}",
            created_at=stamp(at),
            net_amount=text(amount),
            currency="USD",
            status="executed",
            **{"description": "", **fields},
        )

    def drop_empty(self) -> None:
        self.holdings = {symbol: held for symbol, held in self.holdings.items() if held.quantity}

    # how it stands

    def market_value(self, prices: Mapping[str, Decimal], *, long: bool = True) -> Decimal:
        values = (held.quantity * prices.get(symbol, held.average) for symbol, held in self.holdings.items())
        return sum((value for value in values if (value > 0) == long), ZERO)

    def equity(self, prices: Mapping[str, Decimal]) -> Decimal:
        return self.cash + self.market_value(prices) + self.market_value(prices, long=False)

    def buying_power(self, prices: Mapping[str, Decimal], pledged: Decimal, *, on_margin: bool = True) -> Decimal:
        """What an order may cost; `pledged` is what purchases that wait will cost. Coins are never on margin."""
        power = self.cash
        if on_margin and self.multiplier > 1:
            stocks = {symbol: held for symbol, held in self.holdings.items() if "/" not in symbol}
            value = sum((abs(held.quantity) * prices.get(name, ZERO) for name, held in stocks.items()), ZERO)
            coins = sum((h.quantity * prices.get(n, ZERO) for n, h in self.holdings.items() if "/" in n), ZERO)
            power = (self.equity(prices) - coins - value / 2) * self.multiplier
        return max(ZERO, power - pledged).quantize(CENT)

    def close_day(self, prices: Mapping[str, Decimal]) -> None:
        self.last_equity = self.equity(prices)
        for symbol, held in self.holdings.items():
            held.last_day = prices.get(symbol, held.last_day)

    def wire(self, prices: Mapping[str, Decimal], pledged: Decimal) -> Row:
        equity, power = self.equity(prices), self.buying_power(prices, pledged)
        long, short = self.market_value(prices), self.market_value(prices, long=False)
        cash_power = self.buying_power(prices, pledged, on_margin=False)
        money = {
            "cash": self.cash,
            "equity": equity,
            "portfolio_value": equity,
            "last_equity": self.last_equity,
            "buying_power": power,
            "regt_buying_power": power,
            "non_marginable_buying_power": cash_power,
            "options_buying_power": cash_power,
            "long_market_value": long,
            "short_market_value": short,
            "initial_margin": (long - short) / 2,
            "maintenance_margin": (long - short) * Decimal("0.3"),
            "last_maintenance_margin": ZERO,
            "sma": equity,
            "accrued_fees": ZERO,
            "intraday_adjustments": ZERO,
            "pending_reg_taf_fees": ZERO,
        }
        return {
            "id": self.id,
            "account_number": self.number,
            "status": self.status,
            "crypto_status": self.crypto_status,
            "currency": "USD",
            **{name: text(amount.quantize(Decimal("0.000001"))) for name, amount in money.items()},
            "trading_blocked": self.trading_blocked,
            "transfers_blocked": self.transfers_blocked,
            "account_blocked": self.account_blocked,
            "trade_suspended_by_user": self.configuration["suspend_trade"],
            "shorting_enabled": self.multiplier > 1 and not self.configuration["no_shorting"],
            "multiplier": str(self.multiplier),
            "created_at": stamp(self.created_at),
            "balance_asof": f"{self.created_at:%Y-%m-%d}",
            "options_approved_level": 0,
            "options_trading_level": 0,
        }

    def position(self, asset: PaperAsset, price: Decimal, available: Decimal) -> Row:
        held = self.holdings[asset.symbol]
        value, profit = held.quantity * price, held.quantity * price - held.cost
        today = held.quantity * (price - held.last_day)
        base = abs(held.quantity * held.last_day)
        shares = {
            "unrealized_plpc": profit / abs(held.cost) if held.cost else ZERO,
            "unrealized_intraday_plpc": today / base if base else ZERO,
            "change_today": price / held.last_day - 1 if held.last_day else ZERO,
        }
        return {
            "asset_id": asset.id,
            "symbol": asset.symbol.replace("/", ""),
            "exchange": asset.exchange,
            "asset_class": asset.asset_class,
            "asset_marginable": asset.marginable,
            "qty": text(held.quantity),
            "qty_available": text(available),
            "avg_entry_price": text(held.average.quantize(COIN_STEP)),
            "side": "long" if held.quantity > 0 else "short",
            "market_value": text(value),
            "cost_basis": text(held.cost.quantize(COIN_STEP)),
            "unrealized_pl": text(profit.quantize(COIN_STEP)),
            "unrealized_intraday_pl": text(today.quantize(COIN_STEP)),
            "current_price": text(price),
            "lastday_price": text(held.last_day),
            **{name: text(share.quantize(COIN_STEP)) for name, share in shares.items()},
        }

    def listed(self, kinds: Sequence[str], *, newest_first: bool) -> Iterator[tuple[datetime, Row]]:
        rows = [(at, row) for at, row in self.activities if not kinds or row["activity_type"] in kinds]
        yield from reversed(rows) if newest_first else rows
