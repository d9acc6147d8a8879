"""The immutable picture that one decision looks at, taken from the ledger and the stored bars."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from core.domain.accounts import Account, Mode
from core.domain.decisions import Brake
from core.domain.instruments import Instrument
from core.domain.orders import Order
from core.domain.portfolio import Guard
from core.execution import own_sales, refusals
from core.execution.account_truth import buying_power
from core.execution.desk import MANUAL, Desk
from core.execution.failures import Trouble
from core.execution.live_skill import standings
from core.execution.market import market_view, quotes_of
from core.execution.real_money import is_first_day
from core.execution.venue_state import state_of
from core.ports import UnitOfWork
from core.strategy.snapshot import AccountView, MarketView, Snapshot


def take_picture(
    desk: Desk,
    now: datetime,
    origin: str,
    reachable: Collection[str],
    faults: Mapping[str, str] | None = None,
    *,
    only_held: bool = False,
) -> Snapshot:
    """`reachable` are the venues' accounts that answered just now; `faults` says per symbol why it has no new bars.

    `only_held` leaves out the instruments that no account holds: enough for exits.
    """
    with desk.ledger() as work:
        mode = desk.mode(work)
        live, guards = work.live_orders(), work.guards()
        accounts = tuple(_view(work, desk, account, live, guards, reachable, now) for account in work.accounts())
        brakes: tuple[Brake, ...] = tuple(work.brakes())
        entry_account = entry_account_of(desk, mode)
        judged: Mapping[str, datetime] = {} if only_held else work.judged_until(entry_account or "")
        by_hand = refusals.by_hand(work, entry_account, now) if entry_account is not None else {}
        doubted = standings(work)
    held = {symbol for view in accounts for symbol in view.portfolio.positions}
    instruments = [each for each in desk.instruments if not only_held or each.symbol in held]
    return Snapshot(
        now=now,
        origin=origin,
        mode=mode,
        markets=tuple(_markets(desk, instruments, now, faults or {}, judged)),
        accounts=accounts,
        entry_account=entry_account,
        brakes=brakes,
        namespace=desk.namespace,
        by_hand=frozenset(by_hand),
        standings=doubted,
    )


def _view(
    work: UnitOfWork,
    desk: Desk,
    account: Account,
    live: Sequence[Order],
    guards: Sequence[Guard],
    reachable: Collection[str],
    now: datetime,
) -> AccountView:
    state = state_of(work, account.id)
    return AccountView(
        account=account,
        portfolio=work.portfolio(account.id),
        live_orders=tuple(order for order in live if order.account == account.id),
        guards={guard.symbol: guard for guard in guards if guard.account == account.id},
        reachable=account.is_manual or account.id in reachable,
        # Of an account that took the place of ours nothing that we hold can be sold.
        connected=state.trouble is not Trouble.REPLACED,
        first_day=is_first_day(work, account.id, now),
        is_fallen=desk.is_by_hand(work, account.id),
        trouble=state.failure.says if state.failure is not None else "",
        buying_power=buying_power(work, account.id),
        steps=desk.sale_steps(account.id, work.portfolio(account.id).positions),
        claimed=own_sales.claimed(work, account.id),
    )


def entry_account_of(desk: Desk, mode: Mode) -> str | None:
    """Where entries go: the broker in auto and confirm mode, the owner's hand in manual mode, nowhere in observe."""
    if mode is Mode.OBSERVE:
        return None
    return MANUAL if mode is Mode.MANUAL or desk.broker_account is None else desk.broker_account


def _markets(
    desk: Desk,
    instruments: Sequence[Instrument],
    now: datetime,
    faults: Mapping[str, str],
    judged: Mapping[str, datetime],
) -> Iterator[MarketView]:
    quotes = quotes_of(desk, instruments, now)
    for instrument in instruments:
        symbol = instrument.symbol
        yield market_view(
            desk,
            instrument,
            now,
            quotes.get(symbol),
            faults.get(symbol, ""),
            judged.get(symbol),
        )
