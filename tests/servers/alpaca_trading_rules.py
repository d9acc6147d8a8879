"""What Alpaca's trading service refuses whatever the account holds: the form of an order, prices, times in force,
classes. Words and codes from Alpaca's documentation, from its users' reports and from its own published broker code.

Market and limit orders for the auctions, trailing stops, notional orders and options are not played here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from tests.servers.alpaca_http import Refusal
from tests.servers.alpaca_trading_orders import LIMITS, STOPS

UNPROCESSABLE, DUPLICATE, FORBIDDEN, PATTERN, NOT_FOUND = 42210000, 40010001, 40310000, 40310100, 40410000
LONGEST_ID = 128
PENNY = Decimal("0.01")
COIN_MINIMUM = Decimal(10)
CRYPTO_CLASSES = {"bracket": "otoco", "oto": "oto", "oco": "oco"}


@dataclass(frozen=True)
class PaperAsset:
    id: str
    symbol: str
    asset_class: str
    exchange: str
    name: str
    status: str = "active"
    tradable: bool = True
    marginable: bool = True
    shortable: bool = True
    fractionable: bool = True

    @property
    def is_coin(self) -> bool:
        return self.asset_class == "crypto"

    def wire(self) -> dict[str, Any]:
        row: dict[str, Any] = {
            "id": self.id,
            "class": self.asset_class,
            "exchange": self.exchange,
            "symbol": self.symbol,
            "name": self.name,
            "status": self.status,
            "tradable": self.tradable,
            "marginable": self.marginable,
            "maintenance_margin_requirement": 100 if self.is_coin else 30,
            "margin_requirement_long": "100" if self.is_coin else "30",
            "margin_requirement_short": "100" if self.is_coin else "30",
            "shortable": self.shortable,
            "easy_to_borrow": self.shortable,
            "fractionable": self.fractionable,
            "attributes": [],
        }
        if self.is_coin:
            steps = {"min_order_size": "0.000015565", "min_trade_increment": "0.000000001"}
            row |= {**steps, "price_increment": "0.000000001"}
        else:
            row["borrow_status"] = "easy_to_borrow"
        return row


@dataclass(frozen=True)
class Wish:
    """An order as it was asked for, read and found well formed."""

    symbol: str
    side: str
    quantity: Decimal
    type: str
    time_in_force: str
    order_class: str
    client_order_id: str
    extended_hours: bool
    limit_price: Decimal | None
    stop_price: Decimal | None
    target: Decimal | None
    stop: Decimal | None
    stop_limit: Decimal | None


def refuse(message: str, code: int = UNPROCESSABLE, status: int = 422, **fields: Any) -> NoReturn:
    raise Refusal(status, message, code, **fields)


def number(body: Mapping[str, Any], name: str, shown: str | None = None) -> Decimal | None:
    given = body.get(name)
    if given is None or given == "":
        return None
    try:
        value = Decimal(str(given))
    except InvalidOperation:
        refuse(f"invalid {shown or name}: {given}", DUPLICATE)
    if not value.is_finite() or value <= 0:
        refuse(f"{(shown or name).replace('_', ' ')} must be > 0", DUPLICATE)
    return value


def wish_of(body: Mapping[str, Any]) -> Wish:
    """Raises Refusal where something is missing or in no known form."""
    if body.get("notional") is not None or body.get("trail_price") or body.get("trail_percent"):
        refuse("notional and trailing orders are not played by this server")
    quantity = number(body, "qty")
    if quantity is None:
        refuse("qty or notional is required", DUPLICATE)
    if max(0, -_exponent(quantity)) > 9:
        refuse("qty is limited to 9 decimal places", DUPLICATE)
    target, stop = body.get("take_profit") or {}, body.get("stop_loss") or {}
    wish = Wish(
        symbol=str(body.get("symbol") or ""),
        side=str(body.get("side") or ""),
        quantity=quantity,
        type=str(body.get("type") or ""),
        time_in_force=str(body.get("time_in_force") or ""),
        order_class="" if body.get("order_class") in (None, "", "simple") else str(body["order_class"]),
        client_order_id=str(body.get("client_order_id") or ""),
        extended_hours=bool(body.get("extended_hours")),
        limit_price=number(body, "limit_price"),
        stop_price=number(body, "stop_price"),
        target=number(target, "limit_price", "take_profit.limit_price"),
        stop=number(stop, "stop_price", "stop_loss.stop_price"),
        stop_limit=number(stop, "limit_price", "stop_loss.limit_price"),
    )
    _check_words(wish)
    return wish


def _check_words(wish: Wish) -> None:
    if wish.side not in ("buy", "sell"):
        refuse("invalid side", DUPLICATE)
    if wish.type not in ("market", "limit", "stop", "stop_limit"):
        refuse("invalid order type", DUPLICATE)
    if wish.time_in_force not in ("day", "gtc", "ioc", "fok"):
        refuse("invalid time_in_force", DUPLICATE)
    if wish.order_class not in ("", "bracket", "oco", "oto"):
        refuse("invalid order_class", DUPLICATE)
    if len(wish.client_order_id) > LONGEST_ID:
        refuse(f"client_order_id must be no more than {LONGEST_ID} characters", DUPLICATE)
    if wish.order_class != "oco":
        check_type(wish.type, wish.limit_price, wish.stop_price)


def check_type(kind: str, limit: Decimal | None, stop: Decimal | None) -> None:
    for name, price, kinds in (("limit_price", limit, LIMITS), ("stop_price", stop, STOPS)):
        if kind in kinds and price is None:
            refuse(f"{kind} orders require {name.replace('_', ' ')}", DUPLICATE)
        if kind not in kinds and price is not None:
            refuse(f"{kind} orders must not have {name}", DUPLICATE)


def check_against(wish: Wish, asset: PaperAsset, price: Decimal | None) -> None:
    """`price` is where the market stands; None where nobody knows."""
    if asset.status != "active":
        refuse(f"asset {asset.symbol} is not active")
    if not asset.tradable:
        refuse(f"asset {asset.symbol} is not tradable")
    if asset.is_coin:
        _check_coin(wish)
        return
    check_penny("limit_price", wish.limit_price)
    check_penny("stop_price", wish.stop_price)
    check_penny("take_profit.limit_price", wish.target)
    check_penny("stop_loss.stop_price", wish.stop)
    check_penny("stop_loss.limit_price", wish.stop_limit)
    _check_fraction(wish, asset)
    if wish.extended_hours and (wish.type != "limit" or wish.time_in_force not in ("day", "gtc")):
        refuse("extended hours order must be DAY limit orders")
    if wish.time_in_force in ("ioc", "fok") and wish.type in STOPS:
        refuse(f"invalid time_in_force for {wish.type} order")
    if wish.order_class:
        _check_class(wish, price)
    elif wish.type in STOPS and wish.stop_price is not None:
        check_stop(wish.side, wish.stop_price, price)


def _check_coin(wish: Wish) -> None:
    if wish.order_class:
        refuse(f"crypto orders not allowed for advanced order_class: {CRYPTO_CLASSES[wish.order_class]}")
    if wish.type == "stop":
        refuse("invalid order type for crypto order")
    if wish.time_in_force not in ("gtc", "ioc") or (wish.type == "stop_limit" and wish.time_in_force == "ioc"):
        refuse("invalid crypto time_in_force")


def _check_fraction(wish: Wish, asset: PaperAsset) -> None:
    if wish.quantity == wish.quantity.to_integral_value():
        return
    if not asset.fractionable:
        refuse(f'asset "{asset.symbol}" is not fractionable')
    if wish.time_in_force != "day":
        refuse("fractional orders must be DAY orders")
    if wish.order_class:
        refuse("fractional orders must be simple orders")


def check_penny(name: str, price: Decimal | None) -> None:
    if price is not None and max(0, -_exponent(price)) > (2 if price >= 1 else 4):
        refuse(f"invalid {name} {price}. sub-penny increment does not fulfill minimum pricing criteria")


def check_stop(side: str, stop: Decimal, price: Decimal | None) -> None:
    """A stop that the market has passed already."""
    if price is None:
        return
    if side == "sell" and stop > price / Decimal("1.001"):
        refuse("stop price must not be greater than base price / 1.001")
    if side == "buy" and stop < price * Decimal("1.001"):
        refuse("stop price must not be less than base price * 1.001")


def _check_class(wish: Wish, price: Decimal | None) -> None:
    kind = wish.order_class
    if wish.time_in_force not in ("day", "gtc"):
        refuse(f"{kind} orders must be DAY or GTC orders")
    if wish.extended_hours:
        refuse(f"{kind} orders must not be extended hours orders")
    if kind == "oco" and wish.type != "limit":
        refuse("oco orders must be limit orders")
    if kind == "oto" and (wish.target is None) == (wish.stop is None):
        refuse("oto orders require either take_profit.limit_price or stop_loss.stop_price")
    if kind in ("bracket", "oco"):
        if wish.target is None and (kind == "bracket" or wish.limit_price is None):
            refuse(f"{kind} orders require take_profit.limit_price")
        if wish.stop is None:
            refuse(f"{kind} orders require stop_loss.stop_price")
    _check_levels(wish, price)


def _check_levels(wish: Wish, price: Decimal | None) -> None:
    target = wish.target if wish.target is not None else (wish.limit_price if wish.order_class == "oco" else None)
    is_long = wish.side == ("sell" if wish.order_class == "oco" else "buy")
    bases = [price] if price is not None else []
    if wish.order_class == "oco":
        bases += [target] if target is not None else []
    elif wish.type == "limit" and wish.limit_price is not None:
        bases.append(wish.limit_price)
    for base in bases:
        if wish.stop is not None and (wish.stop > base - PENNY if is_long else wish.stop < base + PENNY):
            bound = "<= base_price - 0.01" if is_long else ">= base_price + 0.01"
            refuse(f"stop_loss.stop_price must be {bound}", base_price=str(base))
    if wish.order_class != "oco":
        _check_target(target, wish.limit_price if wish.type == "limit" else price, is_long=is_long)


def _check_target(target: Decimal | None, base: Decimal | None, *, is_long: bool) -> None:
    if target is None or base is None:
        return
    if target < base + PENNY if is_long else target > base - PENNY:
        bound = ">= base_price + 0.01" if is_long else "<= base_price - 0.01"
        refuse(f"take_profit.limit_price must be {bound}", base_price=str(base))


def _exponent(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0
