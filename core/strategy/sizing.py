"""How much of an instrument may be bought: one function for each limit, and the smallest of them is the size. Pure.

A limit answers with a verdict that states its numbers. It says no where what it leaves is less than the smallest order
that a venue takes. Caps count in the account that buys and over all accounts of its world together (DESIGN 8).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from core.domain.decisions import Verdict
from core.domain.instruments import Instrument
from core.domain.orders import Bracket
from core.domain.values import ONE, ZERO, ceil_to, exact, floor_to, plain
from core.series import BarSeries
from core.strategy.plain_rule import DEVIATION_RETURNS, Part, share_of, yearly_deviation
from core.strategy.policy import Policy
from core.strategy.snapshot import MarketView
from core.strategy.stakes import Stakes, worst_case


@dataclass(frozen=True, slots=True, eq=False)
class Purchase:
    """One question to the limits: how much of `market` may be bought at `price` (USD)?

    `own` are the stakes of the account that buys, `others` those of the other accounts of its world; entries of the
    same tick are in them. `part` is what the plain rule, where that is followed, gives the instrument of the account's
    volatility.
    """

    market: MarketView
    price: Decimal
    own: Stakes
    others: tuple[Stakes, ...]
    policy: Policy
    first_day: bool = False
    part: Part | None = None

    @property
    def symbol(self) -> str:
        return self.market.instrument.symbol


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `quantity` units, a multiple of the instrument's step; None where the rule sets no limit."""

    verdict: Verdict
    quantity: Decimal | None


@dataclass(frozen=True, slots=True, eq=False)
class Sizing:
    """`quantity` in units, a multiple of the instrument's step, zero when any verdict says no.

    `price` is what it was sized at, `reserve` what the purchase may cost at worst, both in USD; `bracket` its stop-loss
    and take-profit.
    """

    price: Decimal
    quantity: Decimal
    reserve: Decimal
    bracket: Bracket
    verdicts: tuple[Verdict, ...]


Rule = Callable[[Purchase], Limit]


def asset_cap(purchase: Purchase) -> Limit:
    """In one asset at most `max_asset_fraction` of equity, waiting entries included."""
    fraction = purchase.policy.max_asset_fraction
    return _capped("cap", purchase, fraction, lambda stakes: stakes.of_symbol.get(purchase.symbol, ZERO), "")


def exposure_cap(purchase: Purchase) -> Limit:
    """In all assets together at most `max_exposure_fraction` of equity."""
    fraction = purchase.policy.max_exposure_fraction
    return _capped("exposure", purchase, fraction, lambda stakes: stakes.invested, " in all assets together")


def coin_cap(purchase: Purchase) -> Limit:
    """In all coins together at most `max_crypto_fraction` of equity; no limit for anything else."""
    if not purchase.market.instrument.is_crypto:
        return Limit(Verdict("crypto", True, f"{purchase.symbol} is no coin"), None)
    fraction = purchase.policy.max_crypto_fraction
    return _capped("crypto", purchase, fraction, lambda stakes: stakes.in_coins, " in coins")


def first_day_cap(purchase: Purchase) -> Limit:
    """On the trading day on which the owner allowed real money, at most `first_day_fraction` of the account's equity in
    all assets together."""
    fraction = purchase.policy.first_day_fraction
    room = fraction * purchase.own.equity - purchase.own.invested
    words = f"{_percent(fraction)} of equity on the first day of real money"
    return _limit("first day", purchase, room, _banded(purchase), words)


def volatility(purchase: Purchase) -> Limit:
    """An ordinary day may move the position by at most `daily_risk_fraction` of the account's equity; by the plain rule
    an ordinary year by its part of the target."""
    policy = purchase.policy
    if purchase.part is not None:
        return _by_rule(purchase, purchase.part)
    sigma = daily_deviation(purchase.market.daily, policy.volatility_bars)
    if sigma is None:
        known = max(0, len(purchase.market.daily) - 1)
        reason = f"cannot be measured: {policy.volatility_bars} daily returns are needed, {known} are known"
        return Limit(Verdict("volatility", False, reason), ZERO)
    moves = f"{100 * sigma:.2f} % on an ordinary day ({policy.volatility_bars} days)"
    if sigma == 0:
        return Limit(Verdict("volatility", True, moves), None)
    risk = policy.daily_risk_fraction * purchase.own.equity
    room = risk / exact(sigma) - purchase.own.of_symbol.get(purchase.symbol, ZERO)
    words = f"{moves}: {_percent(policy.daily_risk_fraction)} of equity at risk"
    return _limit("volatility", purchase, room, _banded(purchase), words)


def _by_rule(purchase: Purchase, part: Part) -> Limit:
    sigma = yearly_deviation(purchase.market)
    if sigma is None:
        known = max(0, len(purchase.market.daily) - 1)
        reason = f"cannot be measured: {DEVIATION_RETURNS} daily returns are needed, {known} are known"
        return Limit(Verdict("volatility", False, reason), ZERO)
    moves = f"{100 * sigma:.1f} % in an ordinary year ({DEVIATION_RETURNS} days)"
    if sigma == 0:
        return Limit(Verdict("volatility", True, moves), None)
    room = exact(share_of(part, sigma)) * purchase.own.equity - purchase.own.of_symbol.get(purchase.symbol, ZERO)
    return _limit("volatility", purchase, room, _banded(purchase), f"{moves}: {part.words}")


def cash(purchase: Purchase) -> Limit:
    """Cash stays at or above zero even if everything fills as dear as it may, costs included."""
    unit = purchase.price * worst_case(purchase.market, purchase.policy)
    free = purchase.own.free_cash
    quantity = floor_to(max(free, ZERO) / unit, purchase.market.instrument.quantity_step)
    passed = _is_worth(quantity, purchase)
    reason = f"{free:,.2f} USD free after pending entries"
    if not passed:
        reason += f", {_least(purchase)} ({unit:,.2f} USD a unit at worst)"
    return Limit(Verdict("cash", passed, reason), quantity)


LIMITS: tuple[Rule, ...] = (asset_cap, exposure_cap, coin_cap, volatility, cash)
_NAMES = {
    "cap": "the cap on one asset",
    "exposure": "the cap on all assets",
    "crypto": "the cap on coins",
    "volatility": "its volatility",
    "cash": "the cash",
    "first day": "the first day of real money",
}


def bracket_for(price: Decimal, tick: Decimal, policy: Policy) -> Bracket:
    """Stop rounded up and target rounded down to the tick: a smaller loss, a target more surely reached."""
    return Bracket(
        ceil_to(price * (ONE - policy.stop_fraction), tick), floor_to(price * (ONE + policy.target_fraction), tick)
    )


def smallest_purchase(instrument: Instrument, policy: Policy) -> Decimal:
    """In USD. Of a coin so much that what its costs leave of it is worth a smallest order at the limit of its stop,
    too: a venue lets no smaller one rest."""
    if not instrument.is_crypto:
        return instrument.min_order_value
    falls = (ONE - policy.stop_fraction) * (ONE - policy.stop_limit_fraction)
    return instrument.min_order_value / (falls * (ONE - policy.cost_fraction))


def size_entry(purchase: Purchase) -> Sizing:
    """The largest purchase that every limit allows."""
    price, policy = purchase.price, purchase.policy
    bracket = bracket_for(price, purchase.market.instrument.price_tick, policy)
    rules = (*LIMITS, first_day_cap) if purchase.first_day else LIMITS
    limits = tuple(rule(purchase) for rule in rules)
    verdicts = (_bracket_verdict(bracket, price), *(limit.verdict for limit in limits))
    if not all(verdict.passed for verdict in verdicts):
        return Sizing(price, ZERO, ZERO, bracket, verdicts)
    quantity = min(limit.quantity for limit in limits if limit.quantity is not None)
    binding = next(limit.verdict.gate for limit in limits if limit.quantity == quantity)
    words = f"{plain(quantity)} units for {quantity * price:,.2f} USD, as many as {_NAMES[binding]} allows"
    reserve = quantity * price * worst_case(purchase.market, policy)
    return Sizing(price, quantity, reserve, bracket, (*verdicts, Verdict("size", True, words)))


def half_of(sizing: Sizing, market: MarketView, policy: Policy) -> Sizing:
    """Half of what the limits allow, for an asset whose live forecasts are doubted."""
    if sizing.quantity == ZERO:
        return sizing
    quantity = floor_to(sizing.quantity / 2, market.instrument.quantity_step)
    value, least = quantity * sizing.price, smallest_purchase(market.instrument, policy)
    if quantity == ZERO or value < least:
        why = f"half of {plain(sizing.quantity)} units is less than the smallest order"
        return replace(sizing, quantity=ZERO, reserve=ZERO, verdicts=_resized(sizing, passed=False, words=why))
    words = f"{plain(quantity)} units for {value:,.2f} USD, half of the {plain(sizing.quantity)} that the limits allow"
    reserve = value * worst_case(market, policy)
    return replace(sizing, quantity=quantity, reserve=reserve, verdicts=_resized(sizing, passed=True, words=words))


def _resized(sizing: Sizing, *, passed: bool, words: str) -> tuple[Verdict, ...]:
    return (*sizing.verdicts[:-1], Verdict("size", passed, words))


def daily_deviation(daily: BarSeries, count: int) -> float | None:
    """The sample standard deviation of the newest `count` daily returns, a fraction; None where there are fewer."""
    closes = daily.last(count + 1).close
    if len(closes) <= count or count < 2 or not (np.isfinite(closes).all() and closes.min() > 0):
        return None
    return float(np.std(closes[1:] / closes[:-1], ddof=1))


def _capped(
    gate: str, purchase: Purchase, fraction: Decimal, invested: Callable[[Stakes], Decimal], what: str
) -> Limit:
    """A share of equity, less what is `invested` already: in the account, and in all accounts together."""

    def room(group: tuple[Stakes, ...]) -> Decimal:
        equity = sum((stakes.equity for stakes in group), ZERO)
        return fraction * equity - sum(map(invested, group), ZERO)

    own, everywhere = room((purchase.own,)), room((purchase.own, *purchase.others))
    whose = "equity" if own <= everywhere else "all accounts' equity"
    return _limit(gate, purchase, min(own, everywhere), _banded(purchase), f"{_percent(fraction)} of {whose}{what}")


def _limit(gate: str, purchase: Purchase, room: Decimal, unit: Decimal, words: str) -> Limit:
    """What fits into `room` USD at `unit` USD a unit."""
    left = max(room, ZERO)
    quantity = floor_to(left / unit, purchase.market.instrument.quantity_step)
    if _is_worth(quantity, purchase):
        return Limit(Verdict(gate, True, f"{words} leaves room for {left:,.2f} USD"), quantity)
    return Limit(Verdict(gate, False, f"{words} leaves {left:,.2f} USD, {_least(purchase)}"), quantity)


def _banded(purchase: Purchase) -> Decimal:
    """The dearest price within the entry band: at it the limits still hold."""
    return purchase.price * (ONE + purchase.policy.band_fraction)


def _bracket_verdict(bracket: Bracket, price: Decimal) -> Verdict:
    passed = ZERO < bracket.stop < price < bracket.target
    return Verdict("bracket", passed, f"stop {bracket.stop:f}, target {bracket.target:f} around {price:f}")


def _is_worth(quantity: Decimal, purchase: Purchase) -> bool:
    return quantity > 0 and quantity * purchase.price >= smallest_purchase(purchase.market.instrument, purchase.policy)


def _least(purchase: Purchase) -> str:
    instrument = purchase.market.instrument
    least = smallest_purchase(instrument, purchase.policy)
    words = "the smallest order is" if least == instrument.min_order_value else "the least that its stop can guard is"
    return f"{words} {max(least, instrument.quantity_step * purchase.price):,.2f} USD"


def _percent(fraction: Decimal) -> str:
    return f"{plain(100 * fraction)} %"
