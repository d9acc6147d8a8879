"""Accounts and orders in the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, case, insert, select, update
from sqlalchemy.exc import IntegrityError

from core.domain.accounts import Account
from core.domain.orders import Bracket, Order, Purpose
from core.ports import DuplicateOrder
from core.storage import tables
from core.storage.session import Session
from core.storage.statements import field_names, row_of, value_of

_O = tables.orders
_ACCOUNTS = select(tables.accounts).order_by(tables.accounts.c.id)
_ADD_ACCOUNT = insert(tables.accounts)
_ORDER = select(_O).where(_O.c.client_order_id == bindparam("of_id"))
_LIVE = select(_O).where(_O.c.is_live).order_by(_O.c.number)
_CLASH = select(_O.c.client_order_id).where(
    (_O.c.client_order_id == bindparam("of_id"))
    | (
        bindparam("is_entry")
        & _O.c.is_live
        & (_O.c.purpose == Purpose.ENTRY)
        & (_O.c.account == bindparam("of_account"))
        & (_O.c.symbol == bindparam("of_symbol"))
    )
)
_ADD = insert(_O)
_KEPT = {"number", "client_order_id", "holds_entry"}
_SAVE = (
    update(_O)
    .where(_O.c.client_order_id == bindparam("of_id"))
    .values(
        {column.name: bindparam(f"new_{column.name}", type_=column.type) for column in _O.c if column.name not in _KEPT}
        | {"holds_entry": case((bindparam("new_is_live"), _O.c.holds_entry), else_=False)}
    )
)


class Orders(Session):
    def accounts(self) -> Sequence[Account]:
        return list(self._recalled(tables.accounts, _ACCOUNTS, self._read_accounts))

    def _read_accounts(self) -> list[Account]:
        return [value_of(Account, row) for row in self._rows(_ACCOUNTS)]

    def add_account(self, account: Account) -> None:
        """Adding an account again changes nothing. Raises ValueError when it exists and differs."""
        known = next((other for other in self.accounts() if other.id == account.id), None)
        if known is None:
            self._write(_ADD_ACCOUNT, row_of(account))
        elif known != account:
            raise ValueError(f"account {account.id} exists as {known}")

    def add_order(self, order: Order) -> None:
        """Raises DuplicateOrder for an id that exists, or a second live entry of the account and symbol."""
        is_entry = order.is_live and order.purpose is Purpose.ENTRY
        clash = self._row(
            _CLASH,
            {
                "of_id": order.client_order_id,
                "is_entry": is_entry,
                "of_account": order.account,
                "of_symbol": order.symbol,
            },
        )
        if clash is not None:
            raise DuplicateOrder(f"{order.client_order_id} meets {clash['client_order_id']}")
        try:
            self._write(_ADD, _order_row(order) | {"holds_entry": is_entry})
        except IntegrityError as error:
            if "orders.client_order_id" in str(error.orig) or "orders.symbol" in str(error.orig):
                raise DuplicateOrder(order.client_order_id) from error
            raise

    def save_order(self, order: Order) -> None:
        """Raises KeyError for an order that was never added."""
        new = {f"new_{name}": value for name, value in _order_row(order).items()}
        if self._write(_SAVE, {"of_id": order.client_order_id, **new}).rowcount != 1:
            raise KeyError(order.client_order_id)

    def order(self, client_order_id: str) -> Order | None:
        row = self._row(_ORDER, {"of_id": client_order_id})
        return _order_of(row) if row else None

    def live_orders(self, account: str | None = None) -> Sequence[Order]:
        """In the order of writing."""
        live = self._recalled(_O, _LIVE, self._read_live_orders)
        return [order for order in live if account in (None, order.account)]

    def _read_live_orders(self) -> list[Order]:
        return [_order_of(row) for row in self._rows(_LIVE)]

    def orders(self, account: str | None = None, since: datetime | None = None, limit: int = 100) -> Sequence[Order]:
        """The newest first; `since` by the time of creation, inclusive."""
        statement = select(_O).order_by(_O.c.number.desc()).limit(limit)
        if account is not None:
            statement = statement.where(_O.c.account == account)
        if since is not None:
            statement = statement.where(_O.c.created_at >= since)
        return [_order_of(row) for row in self._rows(statement)]


def _order_row(order: Order) -> dict[str, Any]:
    row = row_of(order)
    bracket: Bracket | None = row.pop("bracket")
    return row | {
        "bracket_stop": bracket.stop if bracket else None,
        "bracket_target": bracket.target if bracket else None,
        "is_live": order.is_live,
    }


def _order_of(row: Mapping[str, Any]) -> Order:
    plain = {name: row[name] for name in field_names(Order) if name != "bracket"}
    bracket = None if row["bracket_stop"] is None else Bracket(row["bracket_stop"], row["bracket_target"])
    return Order(**plain | {"bracket": bracket, "tags": tuple(row["tags"])})
