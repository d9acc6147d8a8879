"""The append-only kinds of entry and the portfolios that follow from them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from typing import Any, Final

from sqlalchemy import Table, bindparam, insert, select

from core.domain.codec import decode
from core.domain.portfolio import CashMovement, Entry, Fill, Portfolio, PositionAdjustment, Reversal, portfolio_of
from core.storage import tables
from core.storage.chain import ADJUSTMENT, CASH, FILL, REVERSAL, Chain, kind_of
from core.storage.statements import row_of, value_of

TABLES: Final[Mapping[str, Table]] = {
    FILL: tables.fills,
    CASH: tables.cash_movements,
    ADJUSTMENT: tables.position_adjustments,
    REVERSAL: tables.reversals,
}
TYPES: Final[Mapping[str, type[Entry]]] = {
    FILL: Fill,
    CASH: CashMovement,
    ADJUSTMENT: PositionAdjustment,
    REVERSAL: Reversal,
}

_BOOKED = {
    kind: select(table.c.seq).where(table.c.account == bindparam("of_account"), table.c.id == bindparam("of_id"))
    for kind, table in TABLES.items()
}
_BOOK = {kind: insert(table) for kind, table in TABLES.items()}
_ALL = {kind: select(table).order_by(table.c.seq) for kind, table in TABLES.items()}
_OF_ACCOUNT = {
    kind: select(table).where(table.c.account == bindparam("of_account")).order_by(table.c.seq)
    for kind, table in TABLES.items()
}
_SINCE = (
    select(tables.chain.c.kind, tables.chain.c.payload)
    .where(tables.chain.c.seq > bindparam("after"), tables.chain.c.kind.in_(TYPES))
    .order_by(tables.chain.c.seq)
)


@dataclass(frozen=True, slots=True)
class DerivedPortfolios:
    """Every account's portfolio after link `seq` of the chain."""

    seq: int
    of_account: Mapping[str, Portfolio]


class PortfolioCache:
    """The newest committed portfolios, shared by all units of work of a database. Replaced whole, never changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest = DerivedPortfolios(0, {})

    def newest(self) -> DerivedPortfolios:
        return self._newest

    def offer(self, derived: DerivedPortfolios) -> None:
        """Takes portfolios that follow from committed entries only, unless newer ones are known."""
        with self._lock:
            if derived.seq > self._newest.seq:
                self._newest = derived


class Entries(Chain):
    """Booking, and reading what is booked."""

    _cache: PortfolioCache
    _derived: dict[str, Portfolio] | None = None

    def book(self, entry: Entry, *, recorded_at: datetime) -> bool:
        """Appends; False (and no change) when an entry of that kind, account and id is already booked.

        Raises ValueError for an entry that could not be booked right (see `check_entry`).
        """
        check_entry(entry)
        kind = kind_of(entry)
        if self._row(_BOOKED[kind], {"of_account": entry.account, "of_id": entry.id}) is not None:
            return False
        seq = self._append(kind, entry, recorded_at)
        self._write(_BOOK[kind], {"seq": seq, "recorded_at": recorded_at, **row_of(entry)})
        if self._derived is not None:
            self._advance(self._derived, entry)
        return True

    def portfolio(self, account: str) -> Portfolio:
        return self._portfolios().get(account) or Portfolio(account)

    def entries(self, account: str | None = None) -> Iterable[Entry]:
        """In the order of booking."""
        statements = _ALL if account is None else _OF_ACCOUNT
        parameters = None if account is None else {"of_account": account}
        booked = [
            [(row["seq"], value_of(TYPES[kind], row)) for row in self._rows(statement, parameters)]
            for kind, statement in statements.items()
        ]
        return [entry for _, entry in merge(*booked, key=lambda numbered: numbered[0])]

    def _portfolios(self) -> dict[str, Portfolio]:
        if self._derived is None:
            known = self._cache.newest()
            if known.seq > self._head().seq:
                # This transaction looks at the ledger as it was before the newest commit.
                known = DerivedPortfolios(0, {})
            self._derived = dict(known.of_account)
            if known.seq < self._head().seq:
                self._catch_up(self._derived, [_entry_of(row) for row in self._rows(_SINCE, {"after": known.seq})])
                if not self._wrote:
                    self._cache.offer(self._known_portfolios())
        return self._derived

    def _known_portfolios(self) -> DerivedPortfolios:
        """What this transaction knows of portfolios; after its commit, and only then, others may have it."""
        if self._derived is None:
            return DerivedPortfolios(0, {})
        return DerivedPortfolios(self._head().seq, dict(self._derived))

    def _catch_up(self, portfolios: dict[str, Portfolio], entries: list[Entry]) -> None:
        anew = {entry.account for entry in entries if isinstance(entry, Reversal)}
        for entry in entries:
            if entry.account not in anew:
                self._advance(portfolios, entry)
        for account in anew:
            portfolios[account] = portfolio_of(account, self.entries(account))

    def _advance(self, portfolios: dict[str, Portfolio], entry: Entry) -> None:
        """What a reversal takes back may lie anywhere in the past: its account is derived anew."""
        account = entry.account
        if isinstance(entry, Reversal):
            portfolios[account] = portfolio_of(account, self.entries(account))
        else:
            portfolios[account] = (portfolios.get(account) or Portfolio(account)).after(entry)

    def _forget(self) -> None:
        super()._forget()
        self._derived = None


def check_entry(entry: Entry) -> None:
    """Refuses, with ValueError, amounts that no venue reports and a fee in a currency that has no place to go."""
    if not isinstance(entry, Fill):
        return
    if not (entry.quantity.is_finite() and entry.quantity > 0):
        raise ValueError(f"fill {entry.id}: quantity {entry.quantity} is not above zero")
    if not (entry.price.is_finite() and entry.price >= 0):
        raise ValueError(f"fill {entry.id}: price {entry.price} is below zero")
    if entry.fee_currency != "USD" and entry.symbol.partition("-")[0] != entry.fee_currency.partition("-")[0]:
        raise ValueError(f"fill {entry.id}: a fee in {entry.fee_currency} is neither USD nor {entry.symbol}'s coin")


def _entry_of(row: Mapping[str, Any]) -> Entry:
    return decode(TYPES[row["kind"]], json.loads(row["payload"])["body"])
