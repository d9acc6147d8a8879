"""The decision of one tick: exits before entries, every gate's answer on record. Pure: a snapshot in, orders out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from core.domain.accounts import Mode
from core.domain.decisions import RULE_GATE, BrakeKind, Decision, Prediction, Signal, Verdict
from core.domain.dust import is_left
from core.domain.instruments import Instrument, instrument_for
from core.domain.orders import Cover, Order, OrderState, Purpose, Side, cover_of
from core.domain.portfolio import Guard, GuardKind, Position
from core.domain.values import ZERO, exact, floor_to, nearest
from core.ports import Choosy, Predictor
from core.series import time_of
from core.strategy.plain_rule import Part, part_of, rule_verdict, sale_by_rule, share_of, yearly_deviation
from core.strategy.policy import Policy, Strategy
from core.strategy.risk import DATA_RULES, ENTRY_RULES, Case, doubt_of, entry_account, has_live_exit
from core.strategy.signal import signal_verdicts
from core.strategy.sizing import Purchase, Sizing, half_of, size_entry
from core.strategy.snapshot import AccountView, MarketView, Snapshot
from core.strategy.stakes import Stakes, prices_of, stakes_of

IN_APP = "in app"
"""The tag of a sale that the owner is to make in the app of the account's own broker."""
LEFT_BEHIND_BARS = 2
"""How many closed bars a venue has to act on its own stop before the engine sells in its place."""


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    market: MarketView
    prediction: Prediction | None
    verdicts: tuple[Verdict, ...]
    merit: float

    @property
    def rank(self) -> tuple[float, str]:
        """The likeliest first, of the rule the largest, then by name: who gets the cash when it is short."""
        return (-self.merit, self.market.instrument.symbol)


def decide(snapshot: Snapshot, predictor: Predictor | None, policy: Policy) -> Decision:
    """All signals of the tick and the orders that follow, exits first; equal input gives equal output.

    Only bars closed at or before `snapshot.now` are looked at, whatever the snapshot holds.
    """
    entered = enter(snapshot, predictor, policy)
    return replace(entered, orders=(*exits(_seen(snapshot), policy), *entered.orders))


def enter(
    snapshot: Snapshot, predictor: Predictor | None, policy: Policy, only: Collection[str] | None = None
) -> Decision:
    """`decide` without its exits. With `only` the others are not judged, being known not to be bought, and these are
    left at the first rule that says no: the orders are the same, and nothing says why there are not more of them."""
    seen = _seen(snapshot)
    if only is None:
        candidates = [_judge(seen, market, predictor, policy) for market in seen.markets]
    else:
        markets = [market for market in seen.markets if market.instrument.symbol in only]
        obeying = [market for market in markets if _obeys_rules(Case(seen, market, policy))]
        judged = [_judge(seen, market, predictor, policy) for market in obeying]
        candidates = [candidate for candidate in judged if all(verdict.passed for verdict in candidate.verdicts)]
    signals, entries = _entries(seen, candidates, policy)
    return Decision(snapshot.now, snapshot.entry_account or "", signals, entries)


def exits(snapshot: Snapshot, policy: Policy) -> tuple[Order, ...]:
    """A sale for every position whose price is at or through its stop or target and that no venue guards, for every
    one that is to be flattened, and for every one that the plain rule no longer wants, where that is followed.

    A venue's stop that the price has left behind for two bars has failed, one with a limit as soon as the price is at
    it: then the position is sold, too. What rests without a target is sold at its target. A sale is for all of it,
    fractions included where the venue sells such. No mode, pause, data fault or missing model holds an exit back. A
    position that live exits sell gets no second. Of an account whose place another one took
    nothing can be sold.
    """
    return tuple(_exits_of(snapshot, policy))


def _seen(snapshot: Snapshot) -> Snapshot:
    """Only what had closed by then; the snapshot itself where that is all of it."""
    markets = tuple(_as_of_now(snapshot, market) for market in snapshot.markets)
    same = all(ours is given for ours, given in zip(markets, snapshot.markets, strict=True))
    return snapshot if same else replace(snapshot, markets=markets)


def _as_of_now(snapshot: Snapshot, market: MarketView) -> MarketView:
    daily, confirm = market.daily.until(snapshot.now), market.confirm.until(snapshot.now)
    if daily is market.daily and confirm is market.confirm:
        return market
    return replace(market, daily=daily, confirm=confirm)


def _exits_of(snapshot: Snapshot, policy: Policy) -> Iterator[Order]:
    markets = {market.instrument.symbol: market for market in snapshot.markets}
    for view in snapshot.accounts:
        if not view.connected:
            continue
        for symbol, position in sorted(view.portfolio.positions.items()):
            market = markets.get(symbol)
            instrument = market.instrument if market else instrument_for(symbol)
            quantity = floor_to(view.free(position), view.sale_step(instrument))
            if quantity <= 0 or is_left(position) or _is_being_sold(view, symbol, quantity):
                continue
            found = (
                _flattened(snapshot, view, symbol)
                or _level_reached(view, view.guards.get(symbol), market, cover_of(view.orders_in(symbol)))
                or sale_by_rule(market, policy)
                or _left_over(view, position, instrument)
            )
            if found:
                yield exit_order(snapshot, view, position, quantity, *found)


def _is_being_sold(view: AccountView, symbol: str, quantity: Decimal) -> bool:
    """A card that asks the owner for a part does not stand in for one that asks for all; at a venue two exits would
    claim the same units."""
    if view.is_fallen:
        # One of unknown fate does not stand in for a card: nobody may be selling.
        return any(order.purpose is Purpose.EXIT and order.state not in _IN_DOUBT for order in view.orders_in(symbol))
    if not view.account.is_manual:
        return has_live_exit(view, symbol)
    asked = (order.remaining for order in view.orders_in(symbol) if order.purpose is Purpose.EXIT and order.is_live)
    return sum(asked, ZERO) >= quantity


def _flattened(snapshot: Snapshot, view: AccountView, symbol: str) -> tuple[str, str] | None:
    """(cause, reason) where the owner, or a failed protection, wants the position sold."""
    account = view.account.id
    scopes = {"*", account, symbol, f"{account}/{symbol}"}
    for brake in snapshot.brakes:
        if brake.kind is BrakeKind.FLATTEN and brake.scope in scopes and brake.holds(snapshot.now):
            return "flatten", f"to be sold: {brake.reason}"
    return None


def _level_reached(
    view: AccountView, guard: Guard | None, market: MarketView | None, cover: Cover
) -> tuple[str, str] | None:
    """(cause, reason) where the price is at or beyond a level that no venue watches, or no longer does."""
    if guard is None or market is None or market.price is None:
        return None
    price, is_at_venue = market.price, guard.kind is GuardKind.VENUE
    if price <= guard.stop:
        if not is_at_venue:
            return "stop", f"price {price:f} is at or below the stop-loss {guard.stop:f}{_already_placed(guard)}"
        if cover.limited or _left_behind(guard, market):
            left = f"price {price:f} has left the stop-loss {guard.stop:f} behind"
            if view.is_fallen:
                return "stop", f"{left}. The stop that rests at the broker should have sold: look there first"
            return "stop", f"{left}, and the venue has not sold"
    elif price >= guard.target and not (is_at_venue and cover.target >= cover.stop):
        return "target", f"price {price:f} is at or above the take-profit {guard.target:f}{_cancel_first(guard)}"
    return None


def _left_over(view: AccountView, position: Position, instrument: Instrument) -> tuple[str, str] | None:
    """(cause, reason) of the fraction of a share that a stop or target has left behind: it could not rest with the
    rest."""
    if position.quantity >= instrument.quantity_step:
        return None
    sales = (trade for trade in reversed(view.portfolio.closed) if trade.symbol == position.symbol)
    last = next(sales, None)
    if last is None or last.purpose not in (Purpose.STOP, Purpose.TARGET) or last.left != position.quantity:
        return None
    return last.purpose.value, f"its whole shares were sold at their {last.purpose}; this is the fraction that was left"


def _left_behind(guard: Guard, market: MarketView) -> bool:
    """Whether the newest two closed bars, both younger than the guard, ended below the stop while trading was on."""
    closes = market.confirm.last(LEFT_BEHIND_BARS)
    if len(closes) < LEFT_BEHIND_BARS or not market.is_open:
        return False
    is_newer = time_of(closes.opened_at[0]) >= guard.last_seen_at
    return is_newer and all(exact(float(close)) < guard.stop for close in closes.close)


def _already_placed(guard: Guard) -> str:
    if guard.placed_at is None:
        return ""
    return ". The stop that you placed at your broker should have sold it: if it did, report that fill"


def _cancel_first(guard: Guard) -> str:
    if guard.placed_at is None:
        return ""
    return f". First cancel the stop at {guard.stop:f} that you placed at your broker, then sell"


def exit_order(
    snapshot: Snapshot, view: AccountView, position: Position, quantity: Decimal, cause: str, reason: str
) -> Order:
    """A sale of `quantity` units at the market; `cause` is its tag, `reason` what the owner reads."""
    price = prices_of(snapshot).get(position.symbol, position.average_cost)
    order = _order(snapshot, view, position.symbol, Side.SELL, Purpose.EXIT, quantity, price)
    if view.is_fallen:
        told = f"{reason}{_beside(view, position.symbol)}"
        return replace(order, state=OrderState.AWAITING_OWNER, reason=told, tags=(cause, IN_APP))
    state = OrderState.AWAITING_OWNER if view.account.is_manual else OrderState.SUBMITTING
    return replace(order, state=state, reason=reason, tags=(cause,))


def _beside(view: AccountView, symbol: str) -> str:
    """What the owner must know of our orders at a broker that does not answer, before he sells there by hand."""
    orders = view.orders_in(symbol)
    stops = [order.stop_price for order in orders if order.purpose is Purpose.STOP and order.stop_price is not None]
    doubtful = any(order.state in _IN_DOUBT for order in orders)
    resting = f". Cancel the stop at {max(stops):f} that rests there first, then sell" if stops else ""
    return resting + (". An order of mine may have arrived there all the same: cancel it first" if doubtful else "")


def _entries(
    snapshot: Snapshot, candidates: Sequence[_Candidate], policy: Policy
) -> tuple[tuple[Signal, ...], tuple[Order, ...]]:
    """The signal of each candidate, in their order, and the purchases, the likeliest first."""
    stakes = stakes_of(snapshot, policy) if candidates else {}
    signals, orders = dict[str, Signal](), list[Order]()
    for candidate in sorted(candidates, key=lambda each: each.rank):
        account = entry_account(snapshot, candidate.market.instrument.symbol)
        part = part_of(snapshot, candidate.market, policy) if policy.strategy is Strategy.RULE else None
        sizing = _sized(candidate, account, stakes, policy, part)
        if sizing is not None and doubt_of(snapshot, candidate.market.instrument.symbol, policy) is not None:
            sizing = half_of(sizing, candidate.market, policy)
        signal = _signal(snapshot, candidate, sizing)
        signals[signal.symbol] = signal
        if signal.is_buy and account is not None and sizing is not None:
            value = sizing.quantity * sizing.price
            own = stakes[account.account.id].buying(signal.symbol, value, sizing.reserve)
            stakes = {**stakes, account.account.id: own}
            orders.append(_entry(snapshot, candidate, account, sizing))
    return tuple(signals[candidate.market.instrument.symbol] for candidate in candidates), tuple(orders)


def _obeys_rules(case: Case) -> bool:
    return all(rule(case).passed for rule in (*ENTRY_RULES, *DATA_RULES))


def _judge(snapshot: Snapshot, market: MarketView, predictor: Predictor | None, policy: Policy) -> _Candidate:
    """Every gate but the size, in a fixed order; each is asked even where an earlier one said no."""
    prediction = predictor.predict(market.daily) if predictor and len(market.daily) else None
    why_none = _silence(predictor, market.instrument.symbol) if prediction is None else ""
    case, merit = Case(snapshot, market, policy), prediction.probability if prediction else 0.0
    if policy.strategy is Strategy.RULE:
        wanted, merit = [rule_verdict(market.daily)], _share_by_rule(snapshot, market, policy)
    else:
        wanted = signal_verdicts(prediction, market.confirm, policy, why_none)
    verdicts = (*(rule(case) for rule in DATA_RULES), *wanted, *(rule(case) for rule in ENTRY_RULES))
    return _Candidate(market, prediction, verdicts, merit)


def _share_by_rule(snapshot: Snapshot, market: MarketView, policy: Policy) -> float:
    deviation = yearly_deviation(market)
    return 0.0 if deviation is None else share_of(part_of(snapshot, market, policy), deviation)


def _silence(predictor: Predictor | None, symbol: str) -> str:
    """Why there is no forecast."""
    if predictor is None:
        return "no trained model"
    lack = predictor.lacks(symbol) if isinstance(predictor, Choosy) else ""
    return lack or "no valid features yet"


def _sized(
    candidate: _Candidate,
    account: AccountView | None,
    stakes: Mapping[str, Stakes],
    policy: Policy,
    part: Part | None,
) -> Sizing | None:
    """None where there is no price or no account to size for: the gates have said so."""
    price = _reference_price(candidate.market)
    if account is None or price is None:
        return None
    own = stakes[account.account.id]
    others = tuple(each for name, each in stakes.items() if name != account.account.id and each.world is own.world)
    return size_entry(Purchase(candidate.market, price, own, others, policy, first_day=account.first_day, part=part))


def _reference_price(market: MarketView) -> Decimal | None:
    if market.price is None:
        return None
    price = nearest(market.price, market.instrument.price_tick)
    return price if price > 0 else None


def _signal(snapshot: Snapshot, candidate: _Candidate, sizing: Sizing | None) -> Signal:
    market = candidate.market
    bar_closed_at = time_of(market.confirm.closed_at[-1]) if len(market.confirm) else None
    missing = Verdict("size", False, "cannot be sized without a price and an account")
    verdicts = (*candidate.verdicts, *(sizing.verdicts if sizing else (missing,)))
    return Signal(market.instrument.symbol, snapshot.now, market.price, candidate.prediction, verdicts, bar_closed_at)


def _entry(snapshot: Snapshot, candidate: _Candidate, view: AccountView, sizing: Sizing) -> Order:
    symbol = candidate.market.instrument.symbol
    order = _order(snapshot, view, symbol, Side.BUY, Purpose.ENTRY, sizing.quantity, sizing.price)
    asks = view.account.is_manual or snapshot.mode in (Mode.CONFIRM, Mode.MANUAL)
    reason = "; ".join(verdict.reason for verdict in candidate.verdicts if verdict.gate in _TELLING)
    state = OrderState.AWAITING_OWNER if asks else OrderState.SUBMITTING
    return replace(order, state=state, bracket=sizing.bracket, reason=reason)


_IN_DOUBT = frozenset({OrderState.SUBMITTING, OrderState.UNKNOWN})
_TELLING = ("probability", "sma", "rsi", "macd", RULE_GATE)


def _order(
    snapshot: Snapshot, view: AccountView, symbol: str, side: Side, purpose: Purpose, quantity: Decimal, price: Decimal
) -> Order:
    """Attempt 1 always: a repeated tick has the same origin and meets its own order, a later tick has another."""
    account, attempt = view.account.id, 1
    return Order(
        snapshot.namespace.client_order_id(account, snapshot.origin, symbol, side, purpose, attempt),
        account,
        symbol,
        side,
        quantity,
        purpose,
        snapshot.origin,
        attempt,
        snapshot.now,
        reference_price=price,
    )
