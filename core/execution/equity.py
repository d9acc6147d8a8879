"""What each account is worth, and all of them together: written down each cycle with where the figures stand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.codec import canonical, decode
from core.domain.portfolio import Portfolio
from core.domain.records import EquityPoint
from core.domain.values import ZERO
from core.execution.desk import Desk
from core.ports import UnitOfWork
from core.reporting import AccountRecord, advanced, begun

TOGETHER = "*"
"""The name of the record of all accounts together: it has no points of its own."""
_INSTANT = timedelta(microseconds=1)
MOST_KNOWN = 64
_KNOWN: dict[str, AccountRecord] = {}
"""The records read or written last, by their text."""


def trading_day_end(desk: Desk, now: datetime) -> datetime:
    """The end of the trading day that `now` belongs to; `now` itself when a day ends then."""
    return desk.calendar.day_end(now - _INSTANT)


def record_of(work: UnitOfWork, account: str) -> AccountRecord | None:
    text = work.value(_key(account))
    return _read(text) if text else None


def _read(text: str) -> AccountRecord:
    """Asked several times a tick for what is written once; equal text is an equal record, and nobody changes one."""
    known = _KNOWN.get(text)
    return known if known is not None else _remembered(text, decode(AccountRecord, json.loads(text)))


def _remembered(text: str, record: AccountRecord) -> AccountRecord:
    if len(_KNOWN) >= MOST_KNOWN:
        _KNOWN.clear()
    _KNOWN[text] = record
    return record


def keep_record(work: UnitOfWork, account: str, record: AccountRecord) -> None:
    text = canonical(record)
    _remembered(text, record)
    work.set_value(_key(account), text)


def valued(
    work: UnitOfWork, desk: Desk, portfolio: Portfolio, prices: Mapping[str, Decimal], now: datetime
) -> AccountRecord:
    """The record as it would stand after a point taken now; nothing is written."""
    return _next(record_of(work, portfolio.account), portfolio, prices, now, trading_day_end(desk, now))[1]


def records_now(
    work: UnitOfWork, desk: Desk, prices: Mapping[str, Decimal], now: datetime
) -> Mapping[str, AccountRecord]:
    """Every account's record as it would stand now, those that never had a point left out; with that of all accounts
    together where more than one of them is worth something. Nothing is written."""
    day_end = trading_day_end(desk, now)
    portfolios = [work.portfolio(account.id) for account in work.accounts()]
    found = {
        each.account: _next(former, each, prices, now, day_end)[1]
        for each in portfolios
        if (former := record_of(work, each.account)) is not None
    }
    before = record_of(work, TOGETHER)
    if before is not None and sum(record.equity > 0 for record in found.values()) > 1:
        found[TOGETHER] = _advanced(before, _together(portfolios, prices, before, now), day_end)
    return found


def record_equity(
    work: UnitOfWork, desk: Desk, portfolios: Iterable[Portfolio], prices: Mapping[str, Decimal], now: datetime
) -> None:
    """Appends a point for each account whose value, cash or trading day has changed, in the caller's transaction."""
    day_end, known = trading_day_end(desk, now), tuple(portfolios)
    for portfolio in known:
        former = record_of(work, portfolio.account)
        point, record = _next(former, portfolio, prices, now, day_end)
        if former is not None and _same(former, record):
            continue
        work.add_equity(point)
        keep_record(work, portfolio.account, record)
    former = record_of(work, TOGETHER)
    point = _together(known, prices, former, now)
    together = _advanced(former, point, day_end)
    if former is None or not _same(former, together):
        keep_record(work, TOGETHER, together)


def _next(
    former: AccountRecord | None,
    portfolio: Portfolio,
    prices: Mapping[str, Decimal],
    now: datetime,
    day_end: datetime,
) -> tuple[EquityPoint, AccountRecord]:
    flow = portfolio.net_deposits - former.net_deposits if former is not None else ZERO
    point = EquityPoint(portfolio.account, now, portfolio.value(prices), portfolio.cash, flow)
    return point, _advanced(former, point, day_end, portfolio.net_deposits)


def _together(
    portfolios: Sequence[Portfolio], prices: Mapping[str, Decimal], former: AccountRecord | None, now: datetime
) -> EquityPoint:
    deposits = sum((each.net_deposits for each in portfolios), ZERO)
    equity = sum((each.value(prices) for each in portfolios), ZERO)
    cash = sum((each.cash for each in portfolios), ZERO)
    return EquityPoint(TOGETHER, now, equity, cash, deposits - (former.net_deposits if former is not None else ZERO))


def _advanced(
    former: AccountRecord | None, point: EquityPoint, day_end: datetime, deposits: Decimal | None = None
) -> AccountRecord:
    if former is None:
        return begun(point, point.external_flow if deposits is None else deposits, day_end)
    return advanced(former, point, day_end)


def _same(former: AccountRecord, record: AccountRecord) -> bool:
    return _figures(former) == _figures(record)


def _figures(record: AccountRecord) -> tuple[object, ...]:
    counted = (record.loss_index, record.peak_index)
    return (record.equity, record.cash, record.net_deposits, record.day_end, *counted)


def _key(account: str) -> str:
    return f"record:{account}"
