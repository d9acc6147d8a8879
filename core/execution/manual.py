"""Orders for the owner's hand: how an instruction is issued, replaced and lapses, and the file that shows them all.

`signals/manual_trades.json` holds one object:

    schema_version     1
    generated_at       ISO 8601, UTC, system clock
    simulated_prices   true where prices come from the simulated market: then nothing in the file is real
    instructions       a list, newest first, of every open instruction and the newest settled ones, each with
        number, version        what the owner sees; the version rises with every change
        client_order_id        the derived order id
        account, symbol, side ("buy" or "sell"), purpose ("entry", "exit", "stop", "target")
        quantity               units, as exact text
        filled_quantity        units already reported as executed, as exact text
        price, band_low, band_high, stop, target
                               USD as exact text; null where there is none
        probability            0 to 1, or null
        needs_approval         true: an order of a broker account that waits for approval, not for the owner's hand
        in_app                 true: to be sold in the app of the account's own broker, which cannot be reached, and
                               nowhere else; its fill comes from there and is not reported
        why                    the reason in words
        state                  open, partial, executed, skipped, expired, superseded or approved
        created_at             ISO 8601, UTC, market clock
        expires_at             ISO 8601, UTC, system clock; null for exits, which wait until answered
        badges                 for example ["MANUAL", "SIMULATED"]

The file is replaced as a whole (written beside it, flushed to disk, renamed), so a reader sees the old or the new one.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from core.domain.accounts import World
from core.domain.codec import Json, encode
from core.domain.decisions import Signal
from core.domain.events import InstructionChanged, InstructionIssued, InstructionSettled
from core.domain.orders import Order, OrderState, Purpose
from core.domain.records import Instruction, InstructionState
from core.domain.values import ZERO, ceil_to, floor_to, plain
from core.domain.views import Health
from core.execution.desk import Desk
from core.ports import UnitOfWork
from core.strategy.decide import IN_APP

FILE_NAME = "manual_trades.json"
SCHEMA_VERSION = 1
SETTLED_SHOWN = 50
NO_WORD_YET = "sent, but the broker has not answered yet: I look it up until it does"


def issue(work: UnitOfWork, desk: Desk, order: Order, signal: Signal | None, now: datetime) -> Instruction:
    """Writes the instruction of an order that awaits the owner and its card; replaces what it makes obsolete.

    `now` by the market clock. One open instruction per account, instrument and purpose; an exit cancels an entry.
    """
    supersede(work, desk, order, now)
    instruction = _instruction(work.next_instruction_number(), desk, order, signal, now)
    reissue(work, desk, instruction, now)
    return instruction


def reissue(
    work: UnitOfWork,
    desk: Desk,
    instruction: Instruction,
    now: datetime,
    *,
    proposed: Decimal | None = None,
    limit_price: Decimal | None = None,
) -> None:
    """Writes this version of an instruction and its card; a card of an earlier version no longer counts. `proposed` is
    the most that the owner may choose, where he has chosen less."""
    work.save_instruction(instruction)
    card = card_of(work, instruction, desk)
    work.publish(replace(card, proposed=proposed, limit_price=limit_price), market_time=now)


def change_card(
    work: UnitOfWork, desk: Desk, instruction: Instruction, order: Order, proposed: Decimal, what: str, now: datetime
) -> None:
    """Writes the next version of an open card, which is edited where it stands; `proposed` is the most that the owner
    may choose."""
    work.save_instruction(instruction)
    card = replace(card_of(work, instruction, desk), proposed=proposed, limit_price=order.limit_price)
    work.publish(InstructionChanged(card, what), market_time=now)


def supersede(work: UnitOfWork, desk: Desk, newer: Order, now: datetime) -> None:
    """Settles the open instructions that `newer` replaces, and cancels their orders."""
    for old in work.open_instructions():
        same_asset = (old.account, old.symbol) == (newer.account, newer.symbol)
        if not same_asset or old.client_order_id == newer.client_order_id:
            continue
        if newer.purpose is not Purpose.ENTRY or old.purpose is Purpose.ENTRY:
            lapse(work, desk, old, InstructionState.SUPERSEDED, OrderState.CANCELED, "replaced by a newer one", now)


def lapse(
    work: UnitOfWork,
    desk: Desk,
    old: Instruction,
    state: InstructionState,
    order_state: OrderState,
    detail: str,
    now: datetime,
) -> Instruction:
    """Settles an open instruction without an execution: skipped, expired or superseded."""
    order = work.order(old.client_order_id)
    if order is not None and order.filled_quantity:
        detail = f"{detail}; {plain(order.filled_quantity)} of {plain(order.quantity)} stay booked"
    if order is not None and order.is_live:
        work.save_order(order.moved(order_state, now, reason=detail))
    settled = old.moved(state)
    work.save_instruction(settled)
    work.publish(settlement(desk, settled, state.value, detail), market_time=now)
    return settled


def repriced(desk: Desk, instruction: Instruction, order: Order) -> Instruction:
    """The next version of a card, with the figures that its order has by now."""
    low, high = _band(desk, order)
    return replace(
        instruction,
        version=instruction.version + 1,
        quantity=order.quantity,
        price=order.reference_price,
        band_low=low,
        band_high=high,
        stop=order.bracket.stop if order.bracket else None,
        target=order.bracket.target if order.bracket else None,
    )


def approved(instruction: Instruction) -> Instruction:
    """The card of an order that the owner has just released to its broker."""
    return instruction.moved(InstructionState.APPROVED)


def _filled(work: UnitOfWork, instruction: Instruction) -> Decimal:
    """Units already booked on it."""
    order = work.order(instruction.client_order_id)
    return order.filled_quantity if order is not None else ZERO


def settlement(
    desk: Desk, instruction: Instruction, outcome: str, detail: str, filled: Decimal = ZERO
) -> InstructionSettled:
    return InstructionSettled(
        instruction.number,
        outcome,
        detail,
        instruction.symbol,
        instruction.side,
        instruction.quantity,
        desk.badges(instruction.account),
        instruction.version,
        filled,
    )


def settle_approved(work: UnitOfWork, desk: Desk, order: Order, outcome: str, detail: str, now: datetime) -> None:
    """Tells on the card of an approved order what the broker made of it; other orders have no card."""
    instruction = work.instruction_of(order.client_order_id)
    if instruction is not None and instruction.needs_approval:
        work.publish(settlement(desk, instruction, outcome, detail), market_time=now)


def write_manual_trades(desk: Desk) -> None:
    """Replaces the file by the ledger's present truth. A full or read-only disk degrades health, never trading."""
    folder = desk.signals_folder
    if folder is None:
        return
    with desk.ledger() as work:
        shown = {instruction.number: instruction for instruction in work.instructions(limit=SETTLED_SHOWN)}
        shown |= {instruction.number: instruction for instruction in work.open_instructions()}
        rows = [_row(work, desk, shown[number]) for number in sorted(shown, reverse=True)]
    content = {
        "schema_version": SCHEMA_VERSION,
        "generated_at": desk.system_clock.now().isoformat(),
        "simulated_prices": desk.world is World.SIMULATED,
        "instructions": rows,
    }
    with desk.changing("file"):
        try:
            replace_file(folder / FILE_NAME, json.dumps(content, indent=2) + "\n")
        except OSError as error:
            desk.health("signals file", Health.DEGRADED, f"{FILE_NAME} could not be written: {error.strerror}")
        else:
            desk.health("signals file", Health.RUNNING, "written")


def replace_file(path: Path, text: str) -> None:
    """Atomically: a crash leaves the old file or the new one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _instruction(number: int, desk: Desk, order: Order, signal: Signal | None, now: datetime) -> Instruction:
    is_entry = order.purpose is Purpose.ENTRY
    low, high = _band(desk, order)
    return Instruction(
        number=number,
        version=desk.namespace.first_version,
        client_order_id=order.client_order_id,
        account=order.account,
        symbol=order.symbol,
        side=order.side,
        purpose=order.purpose,
        quantity=order.quantity,
        price=order.reference_price,
        band_low=low,
        band_high=high,
        stop=order.bracket.stop if order.bracket else None,
        target=order.bracket.target if order.bracket else None,
        probability=signal.confidence if signal else None,
        why=order.reason,
        needs_approval=not desk.account(order.account).is_manual and IN_APP not in order.tags,
        created_at=now,
        expires_at=desk.system_clock.now() + desk.policy.instruction_life if is_entry else None,
    )


def _band(desk: Desk, order: Order) -> tuple[Decimal, Decimal]:
    """The prices between which the order still makes sense, rounded inward to the tick: a purchase at its own stop or
    target would be sold at once, and venues refuse it."""
    width = order.reference_price * desk.policy.band_fraction
    tick = desk.any_instrument(order.symbol).price_tick
    low, high = ceil_to(order.reference_price - width, tick), floor_to(order.reference_price + width, tick)
    if order.purpose is Purpose.ENTRY and order.bracket is not None:
        low, high = max(low, order.bracket.stop + tick), min(high, order.bracket.target - tick)
    return min(low, order.reference_price), max(high, order.reference_price)


def card_of(work: UnitOfWork, instruction: Instruction, desk: Desk) -> InstructionIssued:
    """What its card shows, but for a limit and a larger proposal."""
    return InstructionIssued(
        number=instruction.number,
        version=instruction.version,
        account=instruction.account,
        client_order_id=instruction.client_order_id,
        symbol=instruction.symbol,
        side=instruction.side,
        purpose=instruction.purpose,
        quantity=instruction.quantity,
        price=instruction.price,
        band_low=instruction.band_low,
        band_high=instruction.band_high,
        stop=instruction.stop,
        target=instruction.target,
        probability=instruction.probability,
        expires_at=instruction.expires_at,
        needs_approval=instruction.needs_approval,
        why=instruction.why,
        badges=desk.badges(instruction.account),
        filled=_filled(work, instruction),
        mode=desk.mode(work),
    )


def _row(work: UnitOfWork, desk: Desk, instruction: Instruction) -> dict[str, Json]:
    order = work.order(instruction.client_order_id)
    fields = encode(instruction)
    assert isinstance(fields, dict)
    fields["filled_quantity"] = encode(order.filled_quantity if order else ZERO)
    fields["in_app"] = instruction.is_in_app
    fields["badges"] = encode(desk.badges(instruction.account))
    return fields
