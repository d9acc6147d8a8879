"""What the owner books of himself in the manual account: money, splits and trades that the engine did not propose.

Each function works in the caller's transaction and answers in words; only after DONE is there something to commit.
Deposits and withdrawals are external flows: returns and brakes leave them out. Everything else is performance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from core.domain.events import CashBooked, UnitsAdjusted
from core.domain.orders import Order, OrderState, Purpose, Side
from core.domain.portfolio import AdjustmentKind, CashKind, CashMovement, Fill, PositionAdjustment
from core.domain.records import Instruction, InstructionState
from core.domain.splits import split_guard, split_units
from core.domain.values import CENT, ONE, ZERO, plain
from core.domain.views import AnswerKind, OwnerAnswer, OwnTrade
from core.execution import manual, tidings
from core.execution.bookings import CLOCKS_APART, digest, refused, repetition, too_early
from core.execution.desk import MANUAL, Desk
from core.execution.matching import same_symbol
from core.execution.protect import refresh_guards
from core.ports import UnitOfWork

OUTGOING = frozenset({CashKind.WITHDRAWAL, CashKind.FEE})
FLOWS = frozenset({CashKind.DEPOSIT, CashKind.WITHDRAWAL})
SYMBOL = re.compile(r"[A-Z][A-Z0-9]{0,9}([.\-][A-Z0-9]{1,5})?")


def open_account(work: UnitOfWork, desk: Desk) -> None:
    """The manual account, where there is none yet."""
    if all(account.id != MANUAL for account in work.accounts()):
        work.add_account(desk.account(MANUAL))


def cash(
    work: UnitOfWork, desk: Desk, kind: CashKind, amount: Decimal, note: str, tap: str, now: datetime
) -> OwnerAnswer:
    """Books one movement of money; `amount` in USD above zero, rounded to the cent."""
    name = kind.value.replace("_", " ")
    if not amount.is_finite() or amount.quantize(CENT) <= 0:
        return refused(f"The amount of a {name} must be above zero. Nothing was booked.")
    signed = -amount.quantize(CENT) if kind in OUTGOING else amount.quantize(CENT)
    held = work.portfolio(MANUAL).cash
    if signed < 0 and held + signed < 0:
        return refused(
            f"A {name} of {-signed:.2f} USD is more than the {held:.2f} USD that the manual account holds by your "
            "reports. Declare the cash that it really holds (/cash) or book what is missing first. Nothing was booked."
        )
    open_account(work, desk)
    movement = CashMovement(f"own-{digest(tap)}", MANUAL, kind, signed, now, note)
    work.book(movement, recorded_at=desk.system_clock.now())
    after = work.portfolio(MANUAL).cash
    work.publish(CashBooked(MANUAL, kind.value, signed, after, note, desk.badges(MANUAL)), market_time=now)
    meaning = "It counts as neither gain nor loss." if kind in FLOWS else "It counts in your result."
    text = f"Booked: {name} of {abs(signed):.2f} USD. The manual account now holds {after:.2f} USD. {meaning}"
    return OwnerAnswer(AnswerKind.DONE, text)


def split(work: UnitOfWork, desk: Desk, spoken: str, ratio: Decimal, tap: str, now: datetime) -> OwnerAnswer:
    """Books a split of a symbol held; units, guard and open cards follow, the cost stays what it was."""
    if not ratio.is_finite() or ratio <= 0 or ratio == ONE:
        return refused("Say how many new units came for one old one: 4 for a 4-for-1, 0.1 for a 1-for-10 split.")
    portfolio = work.portfolio(MANUAL)
    symbol = known_symbol(desk, spoken, portfolio.positions)
    held = portfolio.quantity(symbol)
    if held <= 0:
        return refused(f"The manual account holds no {symbol}. Nothing was booked.")
    instrument = desk.any_instrument(symbol)
    kept, odd = split_units(held, ratio, instrument)
    if kept <= 0:
        return refused(
            f"Of {plain(held)} {symbol} not one whole unit would be left: your broker pays all of it out. Book it as "
            f"a sale of {plain(held)} {symbol} at what was paid for one old unit. Nothing was booked."
        )
    if kept == held:
        return refused(f"At that ratio {plain(held)} {symbol} stay {plain(held)}. Nothing was booked.")
    note = f"split, {plain(ratio)} new for one old"
    adjustment = PositionAdjustment(
        f"own-{digest(tap)}", MANUAL, symbol, AdjustmentKind.SPLIT, kept - held, ZERO, now, note
    )
    work.book(adjustment, recorded_at=desk.system_clock.now())
    void_cards(work, desk, symbol, "a split changed units and prices", now)
    for guard in work.guards(MANUAL):
        if guard.symbol == symbol:
            work.set_guard(split_guard(guard, ratio, instrument))
    refresh_guards(work, desk, MANUAL, now)
    kind = AdjustmentKind.SPLIT.value
    event = UnitsAdjusted(MANUAL, symbol, kind, ratio, held, kept, _odd_words(odd), desk.badges(MANUAL))
    work.publish(event, market_time=now)
    return OwnerAnswer(AnswerKind.DONE, f"{plain(held)} {symbol} are now {plain(kept)}. {_odd_words(odd)}".strip())


def _odd_words(odd: Decimal) -> str:
    if not odd:
        return ""
    return f"{plain(odd)} of a unit is left over: when your broker has paid it out, book the money as cash in lieu."


def trade(work: UnitOfWork, desk: Desk, said: OwnTrade, tap: str, now: datetime) -> OwnerAnswer:
    """Books a purchase or sale of the owner's own making, with an order row in its final state."""
    portfolio = work.portfolio(MANUAL)
    symbol = known_symbol(desk, said.symbol, portfolio.positions)
    fill = fill_of(desk, said, symbol, tap, now)
    wrong = _objection(work, fill, now) or ("" if said.insist else repetition(work, fill))
    if wrong:
        return refused(wrong)
    card = card_of(work, symbol, fill.side)
    if card is not None and not said.insist:
        return _ask_about(card)
    open_account(work, desk)
    order = _order_of(fill, tap, now)
    stop = _placed_stop(work, symbol)
    work.add_order(order)
    work.book(fill, recorded_at=desk.system_clock.now())
    void_outgrown(work, desk, symbol, now)
    bought = frozenset({symbol}) if fill.side is Side.BUY else frozenset()
    refresh_guards(work, desk, MANUAL, now, bought=bought)
    guard = next((each for each in work.guards(MANUAL) if each.symbol == symbol), None)
    shown = guard if fill.side is Side.BUY else None
    work.publish(tidings.order_filled(desk, (fill,), order, portfolio, shown), market_time=now)
    left = work.portfolio(MANUAL).cash
    text = f"Booked in the manual account: {tidings.booking_words(fill)}. Cash is now {left:.2f} USD."
    if guard is None and stop is not None:
        text += f" Cancel the stop at {plain(stop)} USD that you placed at your broker: it would sell what is gone."
    if fill.side is Side.BUY and guard is None:
        text += f" I have no prices of {symbol}, so nobody watches a stop for it: it counts as unguarded."
    return OwnerAnswer(AnswerKind.DONE, text)


def _placed_stop(work: UnitOfWork, symbol: str) -> Decimal | None:
    """The level of the stop that the owner has placed for the position at his own broker, USD."""
    guards = [each for each in work.guards(MANUAL) if each.symbol == symbol and each.placed_at is not None]
    return guards[0].stop if guards else None


def known_symbol(desk: Desk, spoken: str, held: Iterable[str]) -> str:
    """The watched or held symbol that is meant, or the words themselves in a symbol's form."""
    candidates = (*held, *(instrument.symbol for instrument in desk.instruments))
    found = next((symbol for symbol in candidates if same_symbol(spoken, symbol)), None)
    return found or spoken.strip().upper().replace("/", "-").lstrip("$")


def void_cards(work: UnitOfWork, desk: Desk, symbol: str, detail: str, now: datetime) -> None:
    """Takes back every open card of the manual account for `symbol`."""
    for card in _open_cards(work, symbol):
        manual.lapse(work, desk, card, InstructionState.SUPERSEDED, OrderState.CANCELED, detail, now)


def void_outgrown(work: UnitOfWork, desk: Desk, symbol: str, now: datetime) -> None:
    """Takes back the exit cards that ask for more than is held by now; what is still due is asked for anew."""
    held = work.portfolio(MANUAL).quantity(symbol)
    for card in _open_cards(work, symbol):
        order = work.order(card.client_order_id)
        if card.side is Side.SELL and order is not None and order.remaining > held:
            detail = f"the account holds {plain(held)} {symbol} by now"
            manual.lapse(work, desk, card, InstructionState.SUPERSEDED, OrderState.CANCELED, detail, now)


def card_of(work: UnitOfWork, symbol: str, side: Side) -> Instruction | None:
    """An open instruction of the manual account that asks for such a trade."""
    return next((each for each in _open_cards(work, symbol) if each.side is side), None)


def _open_cards(work: UnitOfWork, symbol: str) -> list[Instruction]:
    return [card for card in work.open_instructions() if (card.account, card.symbol) == (MANUAL, symbol)]


def fill_of(desk: Desk, said: OwnTrade, symbol: str, tap: str, now: datetime) -> Fill:
    purpose = Purpose.ENTRY if said.side is Side.BUY else Purpose.EXIT
    identity = desk.namespace.client_order_id(MANUAL, _origin(tap), symbol, said.side, purpose, 1)
    return Fill(
        id=f"own-{digest(tap)}",
        account=MANUAL,
        client_order_id=identity,
        symbol=symbol,
        side=said.side,
        quantity=said.quantity,
        price=said.price,
        fee=said.fee,
        fee_currency="USD",
        at=said.at or now,
        purpose=purpose,
    )


def _origin(tap: str) -> str:
    return f"own {digest(tap)}"


def _order_of(fill: Fill, tap: str, now: datetime) -> Order:
    return Order(
        client_order_id=fill.client_order_id,
        account=fill.account,
        symbol=fill.symbol,
        side=fill.side,
        quantity=fill.quantity,
        purpose=fill.purpose,
        origin=_origin(tap),
        attempt=1,
        created_at=now,
        state=OrderState.FILLED,
        reference_price=fill.price,
        filled_quantity=fill.quantity,
        reason="a trade of your own",
        updated_at=now,
    )


def _objection(work: UnitOfWork, fill: Fill, now: datetime) -> str:
    """Why the trade cannot be booked, in words; empty where it can."""
    if not SYMBOL.fullmatch(fill.symbol):
        return f"{fill.symbol or 'Nothing'} is no symbol that I could book. Nothing was booked."
    numbers = (fill.quantity, fill.price, fill.fee)
    if not all(number.is_finite() for number in numbers) or fill.quantity <= 0 or fill.price <= 0 or fill.fee < 0:
        return "Quantity and price must be above zero and the fee not below it. Nothing was booked."
    if fill.at > now + CLOCKS_APART:
        return f"{fill.at:%Y-%m-%d %H:%M} UTC is still to come. Nothing was booked."
    portfolio = work.portfolio(MANUAL)
    if fill.side is Side.BUY:
        return _beyond_cash(fill, portfolio.cash)
    held = portfolio.positions.get(fill.symbol)
    if held is None or fill.quantity > held.quantity:
        units = plain(held.quantity) if held else "no"
        return (
            f"You sold {plain(fill.quantity)} {fill.symbol}, but the manual account holds {units}. Nothing was booked."
        )
    return too_early(held, fill.at) or ""


def _beyond_cash(fill: Fill, held: Decimal) -> str:
    cost = fill.quantity * fill.price + fill.fee
    if cost <= held:
        return ""
    return (
        f"That costs {cost:.2f} USD, but the manual account holds {held:.2f} USD by your reports. Declare the cash "
        "that it really held before the trade (/cash), then book the trade again. Nothing was booked."
    )


def _ask_about(card: Instruction) -> OwnerAnswer:
    text = (
        f"Instruction {card.number} asks for a {card.side} of {plain(card.quantity)} {card.symbol}. If this was it, "
        f"report it as /executed #{card.number} with your figures. If it was another trade, skip the instruction first "
        "or say that you insist. Nothing was booked."
    )
    return OwnerAnswer(AnswerKind.AMBIGUOUS, text, card, (card,))
