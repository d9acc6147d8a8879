"""One account's way to Alpaca's prices: what every question about them goes through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from core.adapters.alpaca_door import AlpacaDoor
from core.adapters.alpaca_transport import AlpacaKeys, AlpacaTransport
from core.adapters.pacing import Restraint
from core.errors import MalformedAnswer

if TYPE_CHECKING:
    from core.adapters.alpaca_vendor import Vendor

Feed = Literal["iex", "sip"]
Kind = Literal["quotes", "trades"]


class AlpacaService(AlpacaDoor["Vendor"]):
    """`transport` and `restraint` are this service's; `address` is where Alpaca's data service is, if not at its
    own."""

    def __init__(
        self,
        keys: AlpacaKeys,
        transport: AlpacaTransport,
        restraint: Restraint,
        feed: Feed = "iex",
        address: str | None = None,
    ) -> None:
        def connected() -> Vendor:
            from core.adapters.alpaca_vendor import connect

            return connect(keys, transport, address, feed)

        super().__init__(transport, restraint, connected)

    def latest(self, kind: Kind, names: Sequence[str], seconds: float) -> Mapping[str, Any]:
        """The latest quote or trade by Alpaca's names, of stocks alone or of coins alone; those that it has none of are
        left out. Raises as `ask`."""
        answer = self.ask(lambda vendor: vendor.latest(kind, names), seconds).body
        if not isinstance(answer, Mapping):
            raise MalformedAnswer(f"gave {kind} in no known form")
        return answer
