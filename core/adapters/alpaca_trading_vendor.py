"""alpaca-py's client for trading and what is asked of it. Imported with the first question, as the one for prices.

Numbers come as Alpaca wrote them. Orders are posted field by field and lists asked by their published names:
alpaca-py's request objects hold prices and quantities as floats, and it has no question for activities.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.adapters.alpaca_transport import AlpacaKeys, AlpacaTransport

with warnings.catch_warnings():
    # alpaca-py 0.44 stands on the older half of websockets, which says that it will go.
    warnings.filterwarnings("ignore", message=r"websockets\.legacy", category=DeprecationWarning)
    from alpaca.trading.client import TradingClient

logging.getLogger("alpaca").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class TradingVendor:
    """Questions and deeds of one account; names and ids are Alpaca's."""

    client: TradingClient

    def account(self) -> Any:
        return self.client.get_account()

    def positions(self) -> Any:
        return self.client.get_all_positions()

    def position(self, name: str) -> Any:
        return self.client.get_open_position(name.replace("/", ""))

    def asset(self, name: str) -> Any:
        # A slash would be taken for another part of the address.
        return self.client.get_asset(name.replace("/", "%2F"))

    def order(self, order_id: str) -> Any:
        """With its legs."""
        return self.client.get(f"/orders/{order_id}", {"nested": "true"})

    def order_by_client_id(self, client_order_id: str) -> Any:
        return self.client.get_order_by_client_id(client_order_id)

    def orders(self, wanted: Mapping[str, str]) -> Any:
        return self.client.get("/orders", dict(wanted))

    def activities(self, wanted: Mapping[str, str]) -> Any:
        return self.client.get("/account/activities", dict(wanted))

    def submit(self, fields: Mapping[str, Any]) -> Any:
        return self.client.post("/orders", dict(fields))

    def replace(self, order_id: str, fields: Mapping[str, str]) -> Any:
        return self.client.patch(f"/orders/{order_id}", dict(fields))

    def cancel(self, order_id: str) -> Any:
        return self.client.cancel_order_by_id(order_id)


def connect(keys: AlpacaKeys, transport: AlpacaTransport, address: str | None, *, is_paper: bool) -> TradingVendor:
    """A client whose requests travel by `transport`. `address` is where Alpaca is, if not at its own."""
    client = TradingClient(
        api_key=keys.key_id, secret_key=keys.secret, paper=is_paper, raw_data=True, url_override=address
    )
    transport.serve(client)
    return TradingVendor(client)
