"""A position that the owner wants sold, whole or in part (C3), by the one way there is to sell.

The deed is the exit order itself, under an id derived from the command: a repetition meets it, and a crash before it
was written leaves nothing behind but a resting stop that is placed again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from core.domain.instruments import instrument_for
from core.domain.orders import Order, OrderState, Purpose, Side
from core.domain.portfolio import Position
from core.domain.splits import FRACTION
from core.domain.values import ONE, floor_to, plain
from core.domain.views import AnswerKind, OwnerAnswer
from core.execution import own_sales
from core.execution.bookings import digest, refused
from core.execution.desk import Desk
from core.execution.executor import OWNERS_WISH
from core.execution.exits import sell_out
from core.execution.matching import same_symbol
from core.execution.own_sales import OwnSale
from core.execution.picture import take_picture
from core.execution.reconcile import reconcile
from core.strategy.decide import IN_APP, exit_order
from core.strategy.risk import has_live_exit
from core.strategy.snapshot import Snapshot


def close(desk: Desk, spoken: str, fraction: Decimal, tap: str, now: datetime) -> OwnerAnswer:
    """Sells `fraction` (above 0, at most 1) of every position in the symbol, whatever pause, mode or brake."""
    if not (fraction.is_finite() and 0 < fraction <= ONE):
        return refused("Say how much of it to sell, from 1 % to 100 %. Nothing was sold.")
    origin = f"close {digest(tap)}"
    reconciled = reconcile(desk, now)
    positions = _held(desk, spoken)
    if not positions:
        return refused(f"No account holds {spoken.strip().upper() or 'that'}. Nothing was sold.")
    if any(_order_of(desk, origin, position) is not None for position in positions):
        return OwnerAnswer(AnswerKind.UNCHANGED, f"That sale of {positions[0].symbol} is under way already.")
    silent = {each.account for each in positions if not _answers(desk, each.account, reconciled.reachable)}
    wanted = _chooser([each for each in positions if each.account not in silent], fraction)
    snapshot = take_picture(desk, now, origin, reconciled.reachable, only_held=True)
    busy = {
        (view.account.id, each.symbol)
        for view in snapshot.accounts
        for each in positions
        if has_live_exit(view, each.symbol)
    }
    sell_out(desk, now, origin, wanted(snapshot), reconciled.reachable, wanted)
    outcomes = [_outcome(desk, origin, position, fraction, silent, busy) for position in positions]
    kind = AnswerKind.DONE if any(done for done, _ in outcomes) else AnswerKind.REFUSED
    return OwnerAnswer(kind, "\n".join(words for _, words in outcomes))


def _answers(desk: Desk, account: str, reachable: frozenset[str]) -> bool:
    """Whether a sale can be made there: by hand, where its broker has failed us."""
    if desk.account(account).is_manual or account in reachable:
        return True
    with desk.reading() as work:
        return desk.is_by_hand(work, account)


def part_of(symbol: str, quantity: Decimal, fraction: Decimal, sale_step: Decimal | None = None) -> Decimal:
    """The units of `quantity` to sell: whole steps; all of them where less than a step would be left, fractions
    included where the venue sells in such a `sale_step` (None: not known, so that all of it is shown)."""
    step = instrument_for(symbol).quantity_step
    everything = floor_to(quantity, min(step, sale_step or FRACTION))
    part = floor_to(quantity * fraction, step)
    return everything if fraction == ONE or (part > 0 and everything - part < step) else part


def _chooser(positions: list[Position], fraction: Decimal) -> Callable[[Snapshot], tuple[Order, ...]]:
    """What to sell, judged anew on every picture: what filled meanwhile is gone."""
    places = {(position.account, position.symbol) for position in positions}

    def wanted(snapshot: Snapshot) -> tuple[Order, ...]:
        orders = []
        for view in snapshot.accounts:
            for symbol, position in sorted(view.portfolio.positions.items()):
                step = view.sale_step(instrument_for(symbol))
                quantity = min(part_of(symbol, position.quantity, fraction, step), floor_to(view.free(position), step))
                if (view.account.id, symbol) in places and quantity > 0 and not has_live_exit(view, symbol):
                    share = "" if fraction == ONE else f" {plain(100 * fraction)} % of"
                    orders.append(
                        exit_order(snapshot, view, position, quantity, OWNERS_WISH, f"you asked to sell{share} it")
                    )
        return tuple(orders)

    return wanted


def _held(desk: Desk, spoken: str) -> list[Position]:
    with desk.reading() as work:
        return [
            position
            for account in work.accounts()
            for position in work.portfolio(account.id).positions.values()
            if position.quantity > 0 and same_symbol(spoken, position.symbol)
        ]


def _order_of(desk: Desk, origin: str, position: Position) -> Order | None:
    name = desk.namespace.client_order_id(position.account, origin, position.symbol, Side.SELL, Purpose.EXIT, 1)
    with desk.reading() as work:
        return work.order(name)


def _outcome(
    desk: Desk, origin: str, position: Position, fraction: Decimal, silent: set[str], busy: set[tuple[str, str]]
) -> tuple[bool, str]:
    """(whether the sale is on its way, what became of it in words)."""
    account, symbol = position.account, position.symbol
    order = _order_of(desk, origin, position)
    if order is not None:
        return _sale_words(desk, order)
    if account in silent:
        return False, f"{account} does not answer: nothing of {symbol} was sold, its guard goes on. Try again soon."
    if (account, symbol) in busy:
        return False, f"{symbol} in {account} is being sold already."
    if (own_sale := _own_sale(desk, position)) is not None:
        return False, (
            f"A sale of your own holds {symbol} in {account}: {own_sale.words}. Nothing was sold: cancel that one "
            "first, in the broker's own app or on its card (/pending)."
        )
    if part_of(symbol, position.quantity, fraction) <= 0:
        step = instrument_for(symbol).quantity_step
        return False, f"{plain(100 * fraction)} % of {plain(position.quantity)} {symbol} is less than {plain(step)}."
    return False, (
        f"{account} has not confirmed that what rests there for {symbol} is cancelled: nothing was sold, and its guard "
        "goes on. Try again in a minute."
    )


def _own_sale(desk: Desk, position: Position) -> OwnSale | None:
    """The owner's sale at the venue that holds all of the position."""
    with desk.reading() as work:
        sale = own_sales.kept(work, position.account).get(position.symbol)
    step = instrument_for(position.symbol).quantity_step
    return sale if sale is not None and floor_to(position.quantity - sale.units, step) <= 0 else None


def _sale_words(desk: Desk, order: Order) -> tuple[bool, str]:
    what = f"{plain(order.quantity)} {order.symbol} in {order.account}"
    if IN_APP in order.tags and order.is_live:
        return True, f"{what}: a card asks you to sell it in the broker's own app."
    if order.state is OrderState.AWAITING_OWNER:
        return True, f"{what}: a card asks you to sell it at your broker."
    if order.state is OrderState.REJECTED:
        return False, f"{what}: refused, {order.reason}. Nothing was sold."
    if order.state is OrderState.UNKNOWN:
        return True, f"{what}: the broker has not said whether it has the order; I look it up until I know."
    instrument = instrument_for(order.symbol)
    opens = desk.calendar.next_open(instrument.asset_class, order.created_at)
    waits = (
        "" if opens <= order.created_at else f"; the market is closed, it sells at the open {opens:%Y-%m-%d %H:%M} UTC"
    )
    return True, f"{what}: the sale is with the broker{waits}."
