"""What each account is worth, written down each cycle together with where its figures stand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.codec import canonical, decode
from core.domain.portfolio import Portfolio
from core.domain.records import EquityPoint
from core.domain.values import ZERO
from core.execution.desk import Desk
from core.ports import UnitOfWork
from core.reporting import AccountRecord, advanced, begun

_INSTANT = timedelta(microseconds=1)


def trading_day_end(desk: Desk, now: datetime) -> datetime:
    """The end of the trading day that `now` belongs to; `now` itself when a day ends then."""
    return desk.calendar.day_end(now - _INSTANT)


def record_of(work: UnitOfWork, account: str) -> AccountRecord | None:
    text = work.value(_key(account))
    return decode(AccountRecord, json.loads(text)) if text else None


def valued(
    work: UnitOfWork, desk: Desk, portfolio: Portfolio, prices: Mapping[str, Decimal], now: datetime
) -> AccountRecord:
    """The record as it would stand after a point taken now; nothing is written."""
    return _next(record_of(work, portfolio.account), portfolio, prices, now, trading_day_end(desk, now))[1]


def record_equity(
    work: UnitOfWork, desk: Desk, portfolios: Iterable[Portfolio], prices: Mapping[str, Decimal], now: datetime
) -> None:
    """Appends a point for each account whose value, cash or trading day has changed, in the caller's transaction."""
    day_end = trading_day_end(desk, now)
    for portfolio in portfolios:
        former = record_of(work, portfolio.account)
        point, record = _next(former, portfolio, prices, now, day_end)
        if former is not None and _same(former, record):
            continue
        work.add_equity(point)
        work.set_value(_key(portfolio.account), canonical(record))


def _next(
    former: AccountRecord | None,
    portfolio: Portfolio,
    prices: Mapping[str, Decimal],
    now: datetime,
    day_end: datetime,
) -> tuple[EquityPoint, AccountRecord]:
    flow = portfolio.net_deposits - former.net_deposits if former is not None else ZERO
    point = EquityPoint(portfolio.account, now, portfolio.value(prices), portfolio.cash, flow)
    if former is None:
        return point, begun(point, portfolio.net_deposits, day_end)
    return point, advanced(former, point, day_end)


def _same(former: AccountRecord, record: AccountRecord) -> bool:
    return (former.equity, former.cash, former.net_deposits, former.day_end) == (
        record.equity,
        record.cash,
        record.net_deposits,
        record.day_end,
    )


def _key(account: str) -> str:
    return f"record:{account}"
