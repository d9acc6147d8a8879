"""One account's way to Alpaca's prices: what every question about them goes through."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from core.adapters.alpaca_transport import AlpacaKeys, AlpacaTransport, Call, Declined
from core.adapters.pacing import Restraint
from core.errors import AccessRefused, AutoTraderError, MalformedAnswer, Unreachable

if TYPE_CHECKING:
    from core.adapters.alpaca_vendor import Vendor

Feed = Literal["iex", "sip"]
Kind = Literal["quotes", "trades"]
RETRY_AFTER = 0.5
# What alpaca-py raises over an answer that it did not expect.
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Told:
    """What alpaca-py made of an answer, and when Alpaca gave it, by its own clock; None where it did not say."""

    body: Any
    at: datetime | None


class AlpacaService:
    """Asks through alpaca-py, which is loaded with the first question. `transport` and `restraint` are this service's;
    `address` is where Alpaca's data service is, if not at its own. `refusal` is why Alpaca did not let us in when last
    asked; empty when it did."""

    def __init__(
        self,
        keys: AlpacaKeys,
        transport: AlpacaTransport,
        restraint: Restraint,
        feed: Feed = "iex",
        address: str | None = None,
    ) -> None:
        self._keys = keys
        self._transport = transport
        self._restraint = restraint
        self._feed = feed
        self._address = address
        self.refusal = ""
        self._lock = threading.Lock()
        self._vendor: Vendor | None = None

    def ask(self, question: Callable[[Vendor], Any], seconds: float) -> Told:
        """The answer to a question that changes nothing, all its requests within `seconds`. What broke on the way is
        asked a second time, once, where there is time for it. Raises RateLimited, AccessRefused, Unreachable,
        MalformedAnswer and Declined."""
        with self._transport.within(seconds) as call:
            try:
                return self._ask_once(question, call)
            except (MalformedAnswer, Unreachable) as error:
                if error.retry_at is not None or not self._transport.rests(call, RETRY_AFTER):
                    raise
            return self._ask_once(question, call)

    def _ask_once(self, question: Callable[[Vendor], Any], call: Call) -> Told:
        with self._restraint.admitted(call.seconds):
            vendor = self._connect()
            trouble = ""
            try:
                answer = question(vendor)
            except Declined:
                self._let_in()
                raise
            except AccessRefused as refused:
                self.refusal = str(refused)
                raise
            except AutoTraderError:
                raise
            except UNREADABLE as error:
                trouble = type(error).__name__
            # Outside of the block, so that nothing of what alpaca-py raised hangs on ours.
            if trouble:
                raise MalformedAnswer(f"gave an answer that cannot be used ({trouble})")
            self._let_in()
        return Told(answer, call.told_at)

    def latest(self, kind: Kind, names: Sequence[str], seconds: float) -> Mapping[str, Any]:
        """The latest quote or trade by Alpaca's names, of stocks alone or of coins alone; those that it has none of are
        left out. Raises as `ask`."""
        answer = self.ask(lambda vendor: vendor.latest(kind, names), seconds).body
        if not isinstance(answer, Mapping):
            raise MalformedAnswer(f"gave {kind} in no known form")
        return answer

    def _let_in(self) -> None:
        self.refusal = ""
        self._restraint.succeeded()

    def _connect(self) -> Vendor:
        with self._lock:
            if self._vendor is None:
                from core.adapters.alpaca_vendor import connect

                self._vendor = connect(self._keys, self._transport, self._address, self._feed)
            return self._vendor
