"""The rules that an entry must obey, one function each, and how large it may be. Pure.

A rule answers for one market of a snapshot with a verdict that states its numbers. Exits are asked none of this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from core.domain.accounts import AccountKind, Mode
from core.domain.decisions import BrakeKind, Verdict
from core.domain.dust import is_left
from core.domain.orders import OrderState, Purpose, Side
from core.domain.skill import Standing, Trust
from core.series import time_of
from core.strategy.policy import Policy, Strategy, Throttle
from core.strategy.snapshot import AccountView, MarketView, Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One question to the rules: may `market` be bought in `snapshot` under `policy`?"""

    snapshot: Snapshot
    market: MarketView
    policy: Policy

    @property
    def symbol(self) -> str:
        return self.market.instrument.symbol


Rule = Callable[[Case], Verdict]


def data_is_usable(case: Case) -> Verdict:
    """The instrument is not excluded; its price and bars exist and are not stale."""
    fault = case.market.excluded or _missing(case.market) or _stale(case.snapshot.now, case.market, case.policy)
    return Verdict("data", not fault, fault or f"bars and price of {_when(case.market.price_at)} are fresh")


def bar_is_new(case: Case) -> Verdict:
    """The newest confirmation bar has not been judged by an earlier tick."""
    if len(case.market.confirm) == 0:
        return Verdict("bar", False, "no closed bar")
    closed = time_of(case.market.confirm.closed_at[-1])
    passed = case.market.judged_until is None or closed > case.market.judged_until
    return Verdict("bar", passed, f"the bar of {_when(closed)} {'is new' if passed else 'has been judged already'}")


def mode_allows(case: Case) -> Verdict:
    """Every mode but observe trades."""
    passed = case.snapshot.mode is not Mode.OBSERVE
    return Verdict("mode", passed, f"mode {case.snapshot.mode}{'' if passed else ' places no orders'}")


def not_paused(case: Case) -> Verdict:
    return _no_brake("pause", case, {BrakeKind.PAUSED}, "not paused")


def brakes_are_off(case: Case) -> Verdict:
    """No brake but the pause holds everything, this symbol or the account that would buy."""
    return _no_brake("brakes", case, set(BrakeKind) - {BrakeKind.PAUSED}, "no brake holds")


def session_allows(case: Case) -> Verdict:
    """DESIGN 8, window: from intraday bars only while open; from daily bars also after the close, for the next open."""
    if case.market.is_open:
        return Verdict("session", True, "market open")
    opens = _when(case.market.next_open)
    if case.market.confirm.size.is_intraday:
        return Verdict("session", False, f"market closed until {opens}")
    return Verdict("session", True, f"queues for the open at {opens}")


def not_held(case: Case) -> Verdict:
    """No account holds the instrument: one asset, one position. What no order could sell is dust and does not count."""
    step = case.market.instrument.quantity_step
    held = ((view.account.id, view.portfolio.positions.get(case.symbol)) for view in case.snapshot.accounts)
    holders = [name for name, units in held if units and abs(units.quantity) >= step and not is_left(units)]
    return Verdict("held", not holders, f"already held in {' and '.join(holders)}" if holders else "not held")


def no_entry_pending(case: Case) -> Verdict:
    """No account has a live entry order for the instrument."""
    waiting = [
        f"{view.account.id} ({order.state.value.replace('_', ' ')})"
        for view in case.snapshot.accounts
        for order in view.orders_in(case.symbol)
        if order.purpose is Purpose.ENTRY
    ]
    return Verdict("pending", not waiting, f"an entry waits in {', '.join(waiting)}" if waiting else "no entry waits")


def nothing_unknown(case: Case) -> Verdict:
    """An order of unknown fate blocks its symbol until the venue answers with authority."""
    lost = [
        view.account.id
        for view in case.snapshot.accounts
        for order in view.orders_in(case.symbol)
        if order.state is OrderState.UNKNOWN
    ]
    reason = f"the fate of an order in {' and '.join(lost)} is unknown" if lost else "no order of unknown fate"
    return Verdict("unknown", not lost, reason)


def trade_gap_kept(case: Case) -> Verdict:
    """Enough time since the asset was last traded in any account. The plain rule decides once a day: what was sold at
    its stop is not bought back by a daily close from before."""
    times = [view.portfolio.last_trade_at.get(case.symbol) for view in case.snapshot.accounts]
    last = max((at for at in times if at is not None), default=None)
    if last is None:
        return Verdict("gap", True, "not traded before")
    daily = case.market.daily
    if case.policy.strategy is Strategy.RULE and len(daily) and last > time_of(daily.closed_at[-1]):
        return Verdict("gap", False, f"traded at {_when(last)}: by the plain rule again after its next daily close")
    passed = case.snapshot.now - last >= case.policy.min_trade_gap
    wanted = _minutes(case.policy.min_trade_gap)
    return Verdict(
        "gap", passed, f"last traded {_minutes(case.snapshot.now - last)} min ago, {wanted} min are the least"
    )


def account_is_reachable(case: Case) -> Verdict:
    """There is an account for entries and its venue answers."""
    view = entry_account(case.snapshot, case.symbol)
    if view is None:
        return Verdict("account", False, "no account takes entries now")
    name = view.account.id
    if view.reachable and view.trouble:
        return Verdict("account", False, f"{name} {view.trouble}")
    return Verdict("account", view.reachable, f"{name} answers" if view.reachable else f"{name} does not answer")


def skill_allows(case: Case) -> Verdict:
    """The live forecasts of the asset, and those of all together, have not lost their trust (core.strategy.skill)."""
    if case.policy.strategy is Strategy.RULE:
        return Verdict("skill", True, "the plain rule buys without forecasts")
    if case.policy.skill_throttle is Throttle.IGNORED:
        return Verdict("skill", True, "the throttle is ignored, as you set it")
    doubt = doubt_of(case.snapshot, case.symbol, case.policy)
    if doubt is None:
        return Verdict("skill", True, "nothing speaks against its live forecasts")
    if doubt.trust is Trust.OBSERVED:
        return Verdict("skill", False, f"observed only: {doubt.reason}")
    return Verdict("skill", True, f"half the size: {doubt.reason}")


def doubt_of(snapshot: Snapshot, symbol: str, policy: Policy) -> Standing | None:
    """What halves or holds back entries of the symbol; None where its live forecasts are trusted or do not matter."""
    matters = policy.strategy is Strategy.FOREST and policy.skill_throttle is Throttle.APPLIED
    return snapshot.standings.of(symbol) if matters else None


DATA_RULES: tuple[Rule, ...] = (data_is_usable, bar_is_new)
ENTRY_RULES: tuple[Rule, ...] = (
    mode_allows,
    not_paused,
    brakes_are_off,
    session_allows,
    not_held,
    no_entry_pending,
    nothing_unknown,
    trade_gap_kept,
    skill_allows,
    account_is_reachable,
)


def entry_account(snapshot: Snapshot, symbol: str) -> AccountView | None:
    """The account that entries of the symbol go to, if any."""
    name = entry_account_id(snapshot, symbol)
    return next((view for view in snapshot.accounts if view.account.id == name), None)


def entry_account_id(snapshot: Snapshot, symbol: str) -> str | None:
    """What the broker does not trade is for the owner's hand, in any mode that trades."""
    by_hand = symbol in snapshot.by_hand and snapshot.entry_account is not None
    return AccountKind.MANUAL.value if by_hand else snapshot.entry_account


def has_live_exit(view: AccountView, symbol: str) -> bool:
    return any(
        order.side is Side.SELL and order.purpose is Purpose.EXIT and order.is_live for order in view.orders_in(symbol)
    )


def _no_brake(gate: str, case: Case, kinds: set[BrakeKind], fine: str) -> Verdict:
    holding = [
        f"{brake.kind.value.replace('_', ' ')}: {brake.reason}"
        + (f" (until {_when(brake.until)})" if brake.until else "")
        for brake in case.snapshot.brakes
        if brake.kind in kinds
        and brake.concerns(entry_account_id(case.snapshot, case.symbol), case.symbol)
        and brake.holds(case.snapshot.now)
    ]
    return Verdict(gate, not holding, "; ".join(holding) or fine)


def _missing(market: MarketView) -> str:
    if len(market.daily) == 0:
        return "no daily bars"
    if market.price is None or market.price <= 0 or market.price_at is None:
        return "no price"
    return ""


def _stale(now: datetime, market: MarketView, policy: Policy) -> str:
    """Intraday bars and the price age only while the market is open; a closed market makes none."""
    intraday = market.confirm.size.is_intraday
    quick = max(policy.max_intraday_bar_age, 2 * market.confirm.size.span) if intraday else policy.max_daily_bar_age
    checks = [("daily bar", time_of(market.daily.closed_at[-1]), policy.max_daily_bar_age)]
    if market.is_open or not intraday:
        checks.append(("price", market.price_at or now, quick))
        if len(market.confirm):
            checks.append((f"{market.confirm.size} bar", time_of(market.confirm.closed_at[-1]), quick))
    return "; ".join(
        f"the newest {what} is of {_when(at)}, older than {_minutes(limit)} min"
        for what, at, limit in checks
        if now - at > limit
    )


# All instruments of a tick have bars of the same few times.
@lru_cache(maxsize=1024)
def _when(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "an unknown time"


def _minutes(span: timedelta) -> int:
    return int(span.total_seconds() // 60)
