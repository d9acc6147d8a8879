"""What Alpaca's venue tells: lists of orders, positions; and how positions are closed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from tests.servers.alpaca_http import Answer, Refusal
from tests.servers.alpaca_trading_desk import OrderDesk
from tests.servers.alpaca_trading_orders import OPEN, PaperOrder, Row
from tests.servers.alpaca_trading_rules import DUPLICATE, NOT_FOUND, PaperAsset


class PaperVenue(OrderDesk):
    """All methods raise Refusal with Alpaca's words."""

    # positions

    def position(self, name: str) -> Row:
        asset = self._held(name)
        price = self.prices.get(asset.symbol, self.account.holdings[asset.symbol].average)
        return self.account.position(asset, price, self.available(asset))

    def _held(self, name: str) -> PaperAsset:
        asset = next((a for a in self.assets.values() if name in (a.symbol, a.symbol.replace("/", ""), a.id)), None)
        if asset is None or asset.symbol not in self.account.holdings:
            raise Refusal(404, "position does not exist", NOT_FOUND)
        return asset

    def positions(self) -> list[Row]:
        return [self.position(symbol) for symbol in self.account.holdings]

    def close_position(self, name: str, query: Mapping[str, str]) -> Row:
        asset = self._held(name)
        held = self.account.held(asset)
        quantity = abs(held)
        if "qty" in query:
            quantity = Decimal(query["qty"])
        elif "percentage" in query:
            quantity = (quantity * Decimal(query["percentage"]) / 100).quantize(Decimal("0.000000001"))
        return self.submit(
            {
                "symbol": asset.symbol,
                "side": "sell" if held > 0 else "buy",
                "qty": str(quantity),
                "type": "market",
                "time_in_force": "gtc" if asset.is_coin else "day",
                "client_order_id": self.account.name("client"),
            }
        )

    def close_all(self, *, cancel_orders: bool) -> Answer:
        if cancel_orders:
            self.cancel_all()
        told = []
        for symbol in list(self.account.holdings):
            shown = symbol.replace("/", "")
            try:
                told.append({"symbol": shown, "status": 200, "body": self.close_position(symbol, {})})
            except Refusal as refusal:
                told.append({"symbol": shown, "status": refusal.answer.status, "body": refusal.answer.body})
        return Answer(207, told)

    # lists

    def listed(self, query: Mapping[str, str], *, nested: bool) -> list[Row]:
        status, direction = query.get("status", "open"), query.get("direction", "desc")
        wanted = {name.replace("/", "") for name in query.get("symbols", "").split(",") if name}
        chosen = []
        for order in self.orders.values():
            if nested and order.parent and self._is_nested(order):
                continue
            fits = status == "all" or (status == "open") == self._shows_open(order, nested=nested)
            if fits and (not wanted or order.symbol.replace("/", "") in wanted) and self._is_within(order, query):
                chosen.append(order)
        chosen.sort(key=lambda order: order.created_at, reverse=direction != "asc")
        return [self.wire(order, nested=nested) for order in chosen[: min(500, int(query.get("limit", 50)))]]

    def _is_within(self, order: PaperOrder, query: Mapping[str, str]) -> bool:
        after, until = _moment(query.get("after")), _moment(query.get("until"))
        if query.get("after_order_id"):
            after = self.order(query["after_order_id"]).created_at
        if query.get("before_order_id"):
            until = self.order(query["before_order_id"]).created_at
        if query.get("side") not in (None, order.side):
            return False
        return (after is None or order.created_at > after) and (until is None or order.created_at < until)

    def _is_nested(self, leg: PaperOrder) -> bool:
        return leg.parent is not None and leg.id in self.orders[leg.parent].legs

    def _shows_open(self, order: PaperOrder, *, nested: bool) -> bool:
        if order.status in OPEN:
            return True
        legs = [self.orders[name] for name in order.legs] if nested else []
        return self.habits.open_shows_filled_parents and any(leg.status in OPEN for leg in legs)


def _moment(told: str | None) -> datetime | None:
    if told is None:
        return None
    try:
        at = datetime.fromisoformat(told.replace("Z", "+00:00").replace(" ", "+"))
    except ValueError:
        raise Refusal(422, f"invalid timestamp: {told}", DUPLICATE) from None
    return at
