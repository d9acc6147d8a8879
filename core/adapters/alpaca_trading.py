"""One account's way to Alpaca's trading service: what every question about it and every order goes through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from core.adapters.alpaca_door import AlpacaDoor, Told
from core.adapters.alpaca_transport import AlpacaKeys, AlpacaTransport, Declined
from core.adapters.alpaca_wire import Row, row_of, rows_of, text, utc_text
from core.adapters.pacing import RealClock, Restraint
from core.errors import AccessRefused, MalformedAnswer, Transient, Unreachable, WrongAddress

if TYPE_CHECKING:
    from core.adapters.alpaca_trading_vendor import TradingVendor

SECONDS = 15.0
"""How long one question or order may take, its second try included."""
ORDERS, ACTIVITIES = 500, 100
"""How many of them Alpaca gives at once."""
MOST_PAGES = 200
UNKNOWN = 404


class AlpacaTrading(AlpacaDoor["TradingVendor"]):
    """`address` is where Alpaca's trading service is, if not at its own; `is_paper` chooses between its two own.

    `fit_elsewhere` asks the other one whether it accepts the keys, None where it does not say: asked until it says,
    once they are refused here.
    """

    def __init__(
        self,
        keys: AlpacaKeys,
        transport: AlpacaTransport,
        restraint: Restraint,
        clock: RealClock,
        *,
        is_paper: bool,
        address: str | None = None,
        fit_elsewhere: Callable[[], bool | None] | None = None,
    ) -> None:
        def connected() -> TradingVendor:
            from core.adapters.alpaca_trading_vendor import connect

            return connect(keys, transport, address, is_paper=is_paper)

        super().__init__(transport, restraint, connected)
        self._kind, self._other_kind = ("paper", "live") if is_paper else ("live", "paper")
        self._fit_elsewhere = fit_elsewhere
        self._belong_elsewhere: bool | None = None
        self._clock = clock
        self.ahead: timedelta | None = None
        """How far Alpaca's clock was ahead of ours at its last answer, to the second; None before the first."""

    def ask(self, question: Callable[[TradingVendor], Any], seconds: float) -> Told:
        """As any service's; raises WrongAddress where the keys are those of the other kind of account."""
        try:
            return super().ask(question, seconds)
        except AccessRefused as refused:
            if not self._are_of_the_other_kind():
                raise
            retry_at = refused.retry_at
        words = (
            f"does not accept the keys here: they are those of a {self._other_kind} account, not of a {self._kind} one"
        )
        raise WrongAddress(words, retry_at)

    def fits(self) -> bool | None:
        """Whether the keys are accepted here; None where that cannot be told now."""
        try:
            self.row(lambda vendor: vendor.account(), "its account")
        except AccessRefused:
            return False
        except Transient:
            return None
        return True

    def _are_of_the_other_kind(self) -> bool:
        if self._belong_elsewhere is None and self._fit_elsewhere is not None:
            self._belong_elsewhere = self._fit_elsewhere()
        return self._belong_elsewhere is True

    def row(self, question: Callable[[TradingVendor], Any], what: str) -> Row:
        """Raises Transient."""
        return row_of(self._body(question), what)

    def rows(self, question: Callable[[TradingVendor], Any], what: str) -> list[Row]:
        """Raises Transient."""
        return rows_of(self._body(question), what)

    def row_or_none(self, question: Callable[[TradingVendor], Any], what: str) -> Row | None:
        """None where Alpaca says that it has no such thing. Raises Transient."""
        try:
            told = self._noting(self.ask(question, SECONDS))
        except Declined as no:
            if no.status != UNKNOWN:
                raise _no_answer(no) from None
        else:
            return row_of(told.body, what)
        return None

    def change(self, deed: Callable[[TradingVendor], Any]) -> Any:
        """Sent once. Raises Declined, Ambiguous and Transient."""
        return self._noting(self.tell(deed, SECONDS)).body

    def orders(self, wanted: Mapping[str, str]) -> list[Row]:
        """All pages, the oldest first. Raises Transient."""
        rows, asked = dict[str, Row](), {**wanted, "limit": str(ORDERS), "direction": "asc"}
        for _ in range(MOST_PAGES):
            page = self.rows(partial(_orders, asked), "orders")
            fresh = {text(row, "id"): row for row in page if text(row, "id") not in rows}
            rows |= fresh
            if len(page) < ORDERS:
                return list(rows.values())
            if not fresh:
                break
            asked = {**asked, "after_order_id": text(page[-1], "id")}
            asked.pop("after", None)
        raise MalformedAnswer("lists orders without end")

    def activities(self, wanted: Mapping[str, str], after: datetime) -> list[Row]:
        """All pages, the oldest first, each activity once. Raises Transient."""
        rows = dict[str, Row]()
        asked = {**wanted, "after": utc_text(after), "direction": "asc", "page_size": str(ACTIVITIES)}
        for _ in range(MOST_PAGES):
            page = self.rows(partial(_activities, asked), "activities")
            fresh = {text(row, "id"): row for row in page if text(row, "id") not in rows}
            rows |= fresh
            if len(page) < ACTIVITIES:
                return list(rows.values())
            if not fresh:
                break
            asked = {**asked, "page_token": text(page[-1], "id")}
        raise MalformedAnswer("lists activities without end")

    def _body(self, question: Callable[[TradingVendor], Any]) -> Any:
        try:
            return self._noting(self.ask(question, SECONDS)).body
        except Declined as no:
            raise _no_answer(no) from None

    def _noting(self, told: Told) -> Told:
        if told.at is not None:
            self.ahead = told.at - self._clock.now()
        return told


def _no_answer(no: Declined) -> Unreachable:
    return Unreachable(f"gives no answer: {no}")


def _orders(wanted: Mapping[str, str], vendor: TradingVendor) -> Any:
    return vendor.orders(wanted)


def _activities(wanted: Mapping[str, str], vendor: TradingVendor) -> Any:
    return vendor.activities(wanted)
