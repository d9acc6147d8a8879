"""Orders that are sent to Alpaca's venue, changed and cancelled, and what it refuses for what the account holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from tests.servers.alpaca_http import Answer, Refusal
from tests.servers.alpaca_matching import Matching
from tests.servers.alpaca_trading_orders import OPEN, STOPS, ZERO, PaperOrder, Row, text
from tests.servers.alpaca_trading_rules import (
    COIN_MINIMUM,
    DUPLICATE,
    FORBIDDEN,
    LONGEST_ID,
    NOT_FOUND,
    PaperAsset,
    Wish,
    check_against,
    check_penny,
    check_stop,
    check_type,
    number,
    refuse,
    wish_of,
)

WASH = "potential wash trade detected. use complex orders"
REPLACEABLE = frozenset({"new", "partially_filled", "held"})
NOT_SENT = frozenset({"accepted", "pending_new"})


class OrderDesk(Matching):
    """All methods raise Refusal with Alpaca's words."""

    def asset(self, name: str) -> PaperAsset:
        """By symbol, coins also without the slash, or by id."""
        for asset in self.assets.values():
            if name in (asset.symbol, asset.symbol.replace("/", ""), asset.id):
                return asset
        raise Refusal(404, f"asset not found for {name}", NOT_FOUND)

    # orders

    def submit(self, body: Mapping[str, Any]) -> Row:
        """The order as it was taken; it may be filled right after."""
        self._check_account()
        wish = wish_of(body)
        if any(order.client_order_id == wish.client_order_id for order in self.orders.values()):
            refuse("client_order_id must be unique", DUPLICATE)
        try:
            asset = self.asset(wish.symbol)
        except Refusal:
            refuse(f'could not find asset "{wish.symbol}"')
        check_against(wish, asset, self.prices.get(asset.symbol))
        self._check_means(wish, asset)
        order = self._order_of(wish, asset)
        row = self.wire(order, nested=True)
        self.send_off(order)
        return row

    def _check_account(self) -> None:
        account, habits = self.account, self.habits
        if account.trading_blocked or account.account_blocked or account.status != "ACTIVE":
            refuse("account is not authorized to trade", FORBIDDEN, 403)
        if account.configuration["suspend_trade"]:
            refuse("new orders are rejected by user request", FORBIDDEN, 403)
        told = habits.refusals.pop(0) if habits.refusals else habits.standing_refusal
        if told is not None:
            raise Refusal(told[0], told[2], told[1])

    def _check_means(self, wish: Wish, asset: PaperAsset) -> None:
        price = wish.limit_price or wish.stop_price or self.prices.get(asset.symbol)
        cost = wish.quantity * price if price is not None else ZERO
        if asset.is_coin and cost < COIN_MINIMUM:
            refuse(f"cost basis must be >= minimal amount of order {COIN_MINIMUM}", FORBIDDEN, 403)
        self._check_wash(wish, asset)
        if wish.side == "sell":
            self._check_units(wish.quantity, asset)
        else:
            self._check_power(cost, asset)

    def _check_wash(self, wish: Wish, asset: PaperAsset) -> None:
        """Alpaca's table of possible wash trades: an order at the market or a stop with anything on the other side,
        limits that meet. Legs that are held do not count."""
        limit = wish.target if wish.order_class == "oco" and wish.limit_price is None else wish.limit_price
        for other in self.live(asset.symbol):
            if other.side == wish.side or other.status not in OPEN:
                continue
            reason = ""
            if other.limit_price is None:
                reason = "opposite side market/stop order exists"
            elif limit is None or (limit >= other.limit_price if wish.side == "buy" else limit <= other.limit_price):
                reason = "opposite side limit order exists"
            if reason:
                refuse(WASH, FORBIDDEN, 403, existing_order_id=other.id, reject_reason=reason)

    def _check_units(self, quantity: Decimal, asset: PaperAsset) -> None:
        held, available = self.account.held(asset), self.available(asset)
        asked = f"(requested: {text(quantity)}, available: {text(available)})"
        if asset.is_coin and quantity > available:
            coin = asset.symbol.split("/")[0]
            told = {"available": text(available), "balance": text(held), "symbol": "USD"}
            refuse(f"insufficient balance for {coin} {asked}", FORBIDDEN, 403, **told)
        if held > 0 and quantity > available:
            waiting = [order.id for order in self.promised(asset.symbol)]
            fields: dict[str, Any] = {
                "available": text(available),
                "existing_qty": text(held),
                "held_for_orders": text(held - available),
                "related_orders": waiting,
                "symbol": asset.symbol,
            }
            refuse(f"insufficient qty available for order {asked}", FORBIDDEN, 403, **fields)
        if held <= 0:
            self._check_short(quantity, asset)

    def _check_short(self, quantity: Decimal, asset: PaperAsset) -> None:
        account = self.account
        if account.multiplier < 2 or account.configuration["no_shorting"]:
            refuse("account is not allowed to short", FORBIDDEN, 403)
        if quantity != quantity.to_integral_value():
            refuse("fractional orders cannot be sold short")
        self._check_power(quantity * self.prices.get(asset.symbol, ZERO) * Decimal("1.03"), asset)

    def _check_power(self, cost: Decimal, asset: PaperAsset) -> None:
        power = self.account.buying_power(self.prices, self.pledged(), on_margin=not asset.is_coin)
        if cost <= power:
            return
        if asset.is_coin:
            words = f"insufficient balance for USD (requested: {text(cost)}, available: {text(power)})"
            refuse(words, FORBIDDEN, 403, available=text(power), balance=text(self.account.cash), symbol="USD")
        refuse("insufficient buying power", FORBIDDEN, 403, buying_power=text(power), cost_basis=text(cost))

    def _order_of(self, wish: Wish, asset: PaperAsset) -> PaperOrder:
        is_oco = wish.order_class == "oco"
        target = wish.target if wish.target is not None else wish.limit_price
        order = self._made(
            wish,
            asset,
            wish.side,
            type=wish.type,
            limit_price=target if is_oco else wish.limit_price,
            stop_price=wish.stop_price,
            client_order_id=wish.client_order_id or self.account.name("client"),
        )
        order.status = "pending_new" if self.is_trading(order) else "accepted"
        self.add(order)
        other = wish.side if is_oco else ("sell" if wish.side == "buy" else "buy")
        if wish.target is not None and not is_oco:
            self._add_leg(order, self._made(wish, asset, other, type="limit", limit_price=wish.target))
        if wish.stop is not None:
            kind = "stop" if wish.stop_limit is None else "stop_limit"
            leg = self._made(wish, asset, other, type=kind, limit_price=wish.stop_limit, stop_price=wish.stop)
            self._add_leg(order, leg)
        return order

    def _made(self, wish: Wish, asset: PaperAsset, side: str, **fields: Any) -> PaperOrder:
        shared: dict[str, Any] = {
            "id": self.account.name("order"),
            "client_order_id": self.account.name("client"),
            "symbol": asset.symbol,
            "asset_id": asset.id,
            "asset_class": asset.asset_class,
            "side": side,
            "quantity": wish.quantity,
            "time_in_force": wish.time_in_force,
            "order_class": wish.order_class,
            "extended_hours": wish.extended_hours,
            "created_at": self.created(),
            "status": "held",
        }
        return PaperOrder(**{**shared, **fields})

    def _add_leg(self, parent: PaperOrder, leg: PaperOrder) -> None:
        leg.parent = parent.id
        parent.legs.append(leg.id)
        self.add(leg)

    def order(self, name: str) -> PaperOrder:
        if name not in self.orders:
            raise Refusal(404, f"order not found for {name}", NOT_FOUND)
        return self.orders[name]

    def by_client_id(self, name: str) -> PaperOrder:
        for order in self.orders.values():
            if order.client_order_id == name:
                return order
        raise Refusal(404, f"order not found for {name}", NOT_FOUND)

    def wire(self, order: PaperOrder, *, nested: bool = False) -> Row:
        legs = [self.orders[name].wire(is_leg=True) for name in order.legs] if nested else []
        return order.wire(legs)

    def replace(self, name: str, body: Mapping[str, Any]) -> Row:
        """The order that takes the place of another, with the quantity of both."""
        old = self.order(name)
        if self.habits.patch_refusals:
            status, code, words = self.habits.patch_refusals.pop(0)
            raise Refusal(status, words, code)
        if old.status in NOT_SENT:
            refuse("unable to replace order, order isn't sent to exchange yet", DUPLICATE)
        if old.status not in REPLACEABLE:
            refuse("unable to replace order, order is not open", DUPLICATE)
        quantity = number(body, "qty") or old.quantity
        limit = number(body, "limit_price") or old.limit_price
        stop = number(body, "stop_price") or old.stop_price
        wanted = str(body.get("client_order_id") or self.account.name("client"))
        self._check_replacement(old, quantity, limit, stop, wanted)
        force = str(body.get("time_in_force") or old.time_in_force)
        if (quantity, limit, stop, force) == (old.quantity, old.limit_price, old.stop_price, old.time_in_force):
            refuse("order parameters are not changed")
        new = replace(
            old,
            id=self.account.name("order"),
            client_order_id=wanted,
            created_at=self.created(),
            quantity=quantity,
            limit_price=limit,
            stop_price=stop,
            time_in_force=force,
            replaces=old.id,
            status="accepted",
            legs=[],
            filled=ZERO,
            value=ZERO,
            at={},
        )
        self.begin_replacing(old, new)
        told = self.wire(new)
        if not self.habits.replaces_slowly:
            self.finish_replacing()
            told = self.wire(new) if not self.habits.rejects_replacements else told
            self._match(new.symbol)
        return told

    def _check_replacement(
        self, old: PaperOrder, quantity: Decimal, limit: Decimal | None, stop: Decimal | None, wanted: str
    ) -> None:
        if len(wanted) > LONGEST_ID:
            refuse(f"client_order_id must be no more than {LONGEST_ID} characters", DUPLICATE)
        if any(order.client_order_id == wanted for order in self.orders.values()):
            refuse("client_order_id must be unique", DUPLICATE)
        check_type(old.type, limit, stop)
        if not old.is_coin:
            check_penny("limit_price", limit)
            check_penny("stop_price", stop)
        if quantity <= old.filled:
            refuse("unable to replace order, qty must be > filled_qty", DUPLICATE)
        if old.type in STOPS and stop is not None and not old.is_triggered:
            check_stop(old.side, stop, self.prices.get(old.symbol))
        asset = self.assets[old.symbol]
        more = quantity - old.quantity
        if old.side == "sell" and old.status in OPEN and more > self.available(asset):
            self._check_units(more, asset)

    def cancel(self, name: str) -> None:
        order = self.order(name)
        if order.status == "pending_cancel":
            refuse("order pending cancel")
        if order.status == "pending_replace":
            refuse('order is in "pending_replace" state')
        if order.id not in {each.id for each in self.live()}:
            refuse(f'order is already in "{order.status}" state')
        if self.habits.cancels_slowly and order.status != "held":
            order.moved("pending_cancel", self.stamp_of(order))
            self.tell("pending_cancel", order)
            return
        self.end(order, "canceled")

    def cancel_all(self) -> Answer:
        open_now = [order for order in self.live() if order.status in OPEN]
        for order in open_now:
            if order.status in OPEN and order.status != "pending_cancel":
                self.cancel(order.id)
        return Answer(207, [{"id": order.id, "status": 200} for order in open_now])
