"""Fees of coin trades between the moment that a venue takes them and the moment that it tells of them.

What is held is less than was bought as soon as it is bought, and nobody has said yet by how much. So that what is sold
is what is held, the lack is booked as a fee by the venue's own figure of the position, as far as it can be one; when
the venue tells of its fee, that is booked in full and the assumed part given back. Pure but for `taken` and `keep`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from core.domain.instruments import instrument_for
from core.domain.portfolio import AdjustmentKind, Portfolio, PositionAdjustment
from core.domain.values import ZERO, plain
from core.domain.venue import Activity, VenueAccount
from core.ports import UnitOfWork

DOLLARS = "USD"
TAKEN = "coin_fees"
"""`coin_fees:<account>`: by symbol the units booked as a fee that the venue has not told of yet, a JSON object."""


def taken(work: UnitOfWork, account: str) -> Mapping[str, Decimal]:
    stored: dict[str, str] = json.loads(work.value(f"{TAKEN}:{account}") or "{}")
    return {symbol: Decimal(units) for symbol, units in stored.items()}


def keep(work: UnitOfWork, account: str, before: Mapping[str, Decimal], fees: Iterable[PositionAdjustment]) -> None:
    """Remembers what is assumed once `fees` are booked."""
    after = dict(before)
    for fee in fees:
        after[fee.symbol] = after.get(fee.symbol, ZERO) - fee.quantity
    stored = {symbol: plain(units) for symbol, units in sorted(after.items()) if units}
    work.set_value(f"{TAKEN}:{account}", json.dumps(stored) if stored else None)


def forget(work: UnitOfWork, account: str) -> None:
    """Nothing is assumed any more: the books of the account begin anew."""
    work.set_value(f"{TAKEN}:{account}", None)


def is_coin_fee(news: object) -> bool:
    """Whether an entry is a fee that was taken in a coin."""
    return isinstance(news, PositionAdjustment) and news.kind is AdjustmentKind.FEE


def assumed(
    before: Mapping[str, Decimal],
    portfolio: Portfolio,
    venue: VenueAccount,
    activities: Iterable[Activity],
    unsettled: Collection[str],
    now: datetime,
) -> tuple[PositionAdjustment, ...]:
    """What is to be booked beside the news, so that units agree as far as fees explain it. `before` are the units
    assumed so far, which `portfolio` lacks already, as it has all of `activities`."""
    told = dict[str, Decimal]()
    for news in activities:
        if isinstance(news, PositionAdjustment) and is_coin_fee(news):
            told[news.symbol] = told.get(news.symbol, ZERO) - news.quantity
    fees = []
    for symbol in sorted((before.keys() | venue.fees_due.keys()) - {DOLLARS}):
        if not instrument_for(symbol).is_crypto:
            continue
        had = before.get(symbol, ZERO)
        given_back = min(had, max(told.get(symbol, ZERO), ZERO))
        lacking = portfolio.quantity(symbol) + given_back - venue.positions.get(symbol, ZERO)
        if symbol in unsettled or not _can_be_a_fee(lacking, had - given_back, venue.fees_due.get(symbol, ZERO)):
            lacking = ZERO
        if given_back != lacking:
            fees.append(_adjustment(portfolio.account, symbol, given_back - lacking, had, now))
    return tuple(fees)


def explains(ours: Decimal, theirs: Decimal, venue: VenueAccount) -> bool:
    """Whether the venue may have taken in fees of sales what cash it has less, USD."""
    return ZERO < ours - theirs <= venue.fees_due.get(DOLLARS, ZERO)


def _can_be_a_fee(lacking: Decimal, standing: Decimal, due: Decimal) -> bool:
    """`standing` is what is assumed already; less than nothing is never assumed, and no more than is due."""
    return -standing <= lacking <= (due - standing if lacking > 0 else ZERO)


def _adjustment(account: str, symbol: str, quantity: Decimal, had: Decimal, now: datetime) -> PositionAdjustment:
    if quantity < 0:
        note = "fee taken in the coin, by what the venue holds; it has not told of it yet"
    else:
        note = "the venue has told of its fee: what was booked before it did is given back"
    name = f"coin-fee {symbol} {now.isoformat()} {plain(had)} {plain(had - quantity)}"
    return PositionAdjustment(name, account, symbol, AdjustmentKind.FEE, quantity, ZERO, now, note)
