"""The way to one of Alpaca's services: what every question and every deed goes through."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from core.adapters.alpaca_transport import AlpacaTransport, Call, Declined
from core.adapters.pacing import Restraint
from core.errors import AccessRefused, Ambiguous, AutoTraderError, MalformedAnswer, Unreachable

V = TypeVar("V")
RETRY_AFTER = 0.5
# What alpaca-py raises over an answer that it did not expect.
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Told:
    """What alpaca-py made of an answer, and when Alpaca gave it, by its own clock; None where it did not say."""

    body: Any
    at: datetime | None


class AlpacaDoor(Generic[V]):
    """Asks through alpaca-py, whose clients `connect` makes with the first question. `transport` and `restraint` are
    this service's. `refusal` is why Alpaca did not let us in when last asked; empty when it did."""

    def __init__(self, transport: AlpacaTransport, restraint: Restraint, connect: Callable[[], V]) -> None:
        self._transport = transport
        self._restraint = restraint
        self._connect = connect
        self.refusal = ""
        self._lock = threading.Lock()
        self._vendor: V | None = None

    def ask(self, question: Callable[[V], Any], seconds: float) -> Told:
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

    def tell(self, deed: Callable[[V], Any], seconds: float) -> Told:
        """The answer to a request that changes something, sent once. Raises as `ask`, and Ambiguous where it may have
        been done all the same."""
        with self._transport.within(seconds) as call:
            trouble = ""
            try:
                return self._ask_once(deed, call)
            except MalformedAnswer as error:
                trouble = str(error)
            raise Ambiguous(trouble)

    def rest(self, seconds: float) -> None:
        """Waits as long, in real time."""
        self._transport.sleep(seconds)

    def _ask_once(self, question: Callable[[V], Any], call: Call) -> Told:
        with self._restraint.admitted(call.seconds):
            vendor = self._vendors()
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

    def _let_in(self) -> None:
        self.refusal = ""
        self._restraint.succeeded()

    def _vendors(self) -> V:
        with self._lock:
            if self._vendor is None:
                self._vendor = self._connect()
            return self._vendor
