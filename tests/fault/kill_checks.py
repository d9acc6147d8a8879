"""DESIGN section 3, held against an installation that has just come back from a kill: every violation in words.

The venue's side is read from its own journal, the owner's and the chat's from their own files, so that the ledger is
not its own witness.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal

from core.domain.accounts import AccountKind
from core.domain.codec import decode
from core.domain.decisions import BrakeKind
from core.domain.dust import is_dust, without_dust
from core.domain.events import (
    ErrorRaised,
    InstructionIssued,
    OrderFilled,
    OrderRefused,
    PositionUnguarded,
    Priority,
    SignalRaised,
)
from core.domain.orders import OrderState, Purpose, Side
from core.domain.portfolio import Fill, Guard, GuardKind, Position, portfolio_of
from core.domain.records import JobOutcome, OutboxState
from core.domain.venue import OrderRequest, Resting, VenueOrder
from core.execution.views import status
from core.ports import UnitOfWork
from tests.fault.kill_life import Life
from tests.fault.kill_setup import EVERY, START

SIMULATED, MANUAL = AccountKind.SIMULATED.value, AccountKind.MANUAL.value
UNDECIDED = (OrderState.SUBMITTING, OrderState.UNKNOWN)


def violations(life: Life) -> list[str]:
    """Everything that must hold whenever nothing is under way."""
    with life.database.reading() as work:
        return [
            *_orders(life, work),
            *_holdings(life, work),
            *_guards(life, work),
            *_record(life, work),
            *_owner(life, work),
            *_events(work),
            *_chat(life, work),
            *_file(life, work),
        ]


def _submitted(life: Life) -> list[OrderRequest]:
    """Every order that ever reached the venue, from its journal."""
    assert life.place.venue_file is not None
    journal = sqlite3.connect(f"file:{life.place.venue_file}?mode=ro", uri=True)
    try:
        bodies = journal.execute("SELECT body FROM events WHERE kind = 'submitted' ORDER BY sequence").fetchall()
    finally:
        journal.close()
    return [decode(OrderRequest, json.loads(body)["request"]) for (body,) in bodies]


def _orders(life: Life, work: UnitOfWork) -> Iterator[str]:
    sent = _submitted(life)
    if len({request.client_order_id for request in sent}) != len(sent):
        yield "two orders at the venue under one id"
    for request in sent:
        ours = work.order(request.client_order_id)
        if ours is None or (ours.symbol, ours.side, ours.quantity) != (request.symbol, request.side, request.quantity):
            yield f"the venue has {request}, the ledger {ours}"
    assert life.engine.venue is not None
    at_venue = {order.client_order_id: order for order in life.engine.venue.orders()}
    live = [order for order in work.live_orders() if order.state is not OrderState.AWAITING_OWNER]
    ours_alive = {order.client_order_id for order in live}
    # The legs of a stop that was sent a moment ago are learned of with the next look.
    unseen = {name for name, order in at_venue.items() if order.parent_client_order_id in ours_alive} - ours_alive
    # Nor is it known before the next look that an order which a start has asked again to cancel is gone; from the
    # commit that withdraws it on the engine watches.
    leaving = {order.client_order_id for order in live if order.state is OrderState.CANCEL_PENDING}
    if ours_alive - leaving != at_venue.keys() - unseen - leaving:
        yield f"live in the ledger {live}, at the venue {at_venue}"
    if any(order.state in UNDECIDED for order in live):
        yield f"left undecided: {live}"
    for order in live:
        twin = at_venue.get(order.client_order_id)
        if twin and (order.symbol, order.side, order.quantity) != (twin.symbol, twin.side, twin.quantity):
            yield f"{order} is {twin} at the venue"
    entries = Counter(
        (order.account, order.symbol) for order in work.live_orders() if order.purpose is Purpose.ENTRY
    ) + Counter(("venue", order.symbol) for order in at_venue.values() if order.purpose is Purpose.ENTRY)
    yield from (f"{count} live entries in {place}" for place, count in entries.items() if count > 1)
    known = {order.client_order_id for order in work.orders(SIMULATED, limit=EVERY)}
    for fill in _fills(work, SIMULATED):
        if fill.client_order_id not in known:
            yield f"{fill} of an order that the ledger does not have"


def _fills(work: UnitOfWork, account: str | None = None) -> list[Fill]:
    return [entry for entry in work.entries(account) if isinstance(entry, Fill)]


def _holdings(life: Life, work: UnitOfWork) -> Iterator[str]:
    assert life.engine.venue is not None
    truth, ours = life.engine.venue.state(), work.portfolio(SIMULATED)
    held = {symbol: position.quantity for symbol, position in ours.positions.items()}
    if (ours.cash, held) != (truth.cash, dict(truth.positions)):
        yield f"the ledger has {ours.cash} and {held}, the venue {truth.cash} and {dict(truth.positions)}"
    booked = {fill.id for fill in _fills(work, SIMULATED)}
    executed = {fill.id for fill in life.engine.venue.fills_since(START)}
    if booked != executed:
        yield f"fills booked and made differ by {booked ^ executed}"
    units: dict[str, Decimal] = {}
    for fill in _fills(work, SIMULATED):
        before = units.get(fill.symbol, Decimal(0))
        step = life.engine.desk.instrument(fill.symbol)
        if fill.purpose is Purpose.ENTRY and step is not None and before >= step.quantity_step:
            yield f"{fill} came on top of {before}"
        gone = fill.fee if fill.fee_currency != "USD" else Decimal(0)
        units[fill.symbol] = before - gone + (fill.quantity if fill.side is Side.BUY else -fill.quantity)


def _guards(life: Life, work: UnitOfWork) -> Iterator[str]:
    assert life.engine.venue is not None
    stops = {order.venue_order_id: order for order in life.engine.venue.orders() if order.purpose is Purpose.STOP}
    unguarded = 0
    for account in (SIMULATED, MANUAL):
        guards = {guard.symbol: guard for guard in work.guards(account)}
        positions = without_dust(work.portfolio(account).positions)
        if guards.keys() - positions.keys():
            yield f"guards without a position: {guards.keys() - positions.keys()}"
        for symbol, position in positions.items():
            guard = guards.get(symbol)
            stop = stops.get(guard.venue_order_id) if guard and guard.venue_order_id else None
            if guard is None:
                unguarded += 1
                told = [row.event for row in work.messages(EVERY) if isinstance(row.event, PositionUnguarded)]
                if not any((event.account, event.symbol) == (account, symbol) for event in told):
                    yield f"{position} is unguarded and nobody was told"
            elif account == MANUAL and guard.kind is not GuardKind.OWNER:
                yield f"{position} is said to be guarded by {guard}"
            elif account == SIMULATED and not (_rests(position, stops.values()) or _is_watched(life, guard)):
                yield f"{position} should be guarded at the venue: {guard}, {stop}"
            elif account == SIMULATED and guard.kind is GuardKind.VENUE and (stop is None or stop.symbol != symbol):
                yield f"{position} is said to be guarded at the venue by {stop}: {guard}"
    if status(life.engine.desk).unguarded != unguarded:
        yield f"{unguarded} positions are unguarded, the status says {status(life.engine.desk).unguarded}"


def _is_watched(life: Life, guard: Guard) -> bool:
    """A stop that rests alone is placed by the first look after the purchase; until then the engine watches."""
    assert life.engine.venue is not None
    alone = life.engine.venue.resting(guard.symbol, Decimal(1)) is Resting.STOP
    return alone and guard.kind is GuardKind.ENGINE


def _rests(position: Position, stops: Iterable[VenueOrder]) -> bool:
    """Whether stops for it rest at the venue. There may be several, of purchases with levels of their own. The engine
    watches what none covers: dust, which with the dust of the next purchase may come to one step that trades, until the
    next tick sends a stop for that."""
    resting = sum(
        (stop.quantity for stop in stops if (stop.symbol, stop.side) == (position.symbol, Side.SELL)), Decimal(0)
    )
    bare = position.quantity - resting
    return bare <= 0 or is_dust(position.symbol, bare / 2)


def _record(life: Life, work: UnitOfWork) -> Iterator[str]:
    yield from life.database.verify()
    for account in (SIMULATED, MANUAL):
        if work.portfolio(account) != portfolio_of(account, work.entries(account)):
            yield f"the portfolio of {account} is not what its entries add up to"
    for row in work.messages(EVERY):
        if isinstance(row.event, ErrorRaised):
            yield f"an error was raised: {row.event}"
    for job in life.jobs:
        failed = work.last_run(job, JobOutcome.FAILED)
        if failed is not None:
            yield f"a job failed: {failed}"
    if sum(1 for _ in work.entries()) < life.memory.last_sight().get("entries", 0):
        yield "entries seen before are gone"


def _owner(life: Life, work: UnitOfWork) -> Iterator[str]:
    """The manual account equals what the owner last attested, his brakes and mode are what he last asked for."""
    if life.memory.unanswered() is not None:
        return
    attested, held = life.memory.attested(life.settings.start_cash), work.portfolio(MANUAL)
    units = {symbol: position.quantity for symbol, position in held.positions.items()}
    wanted = {symbol: quantity for symbol, quantity in attested.units.items() if quantity}
    if (held.cash, units) != (attested.cash, wanted):
        yield f"the manual account has {held.cash} and {units}, attested were {attested.cash} and {wanted}"
    paused = any(brake.kind is BrakeKind.PAUSED for brake in work.brakes())
    mode = life.engine.desk.mode(work).value
    if (paused, mode) != (attested.paused, attested.mode):
        yield f"paused {paused} in mode {mode}, asked for were {attested.paused} and {attested.mode}"
    for number, state in attested.settled.items():
        card = work.instruction(number)
        if card is None or card.state.value != state:
            yield f"card {number} was {state} and is {card}"


def _events(work: UnitOfWork) -> Iterator[str]:
    """Every event is there exactly once, and no row of the outbox is missing."""
    rows = work.messages(EVERY)
    if sorted(row.id for row in rows) != list(range(1, len(rows) + 1)):
        yield f"rows are missing from the outbox: {sorted(row.id for row in rows)}"
    events = [row.event for row in rows]
    told = Counter(
        (e.account, e.symbol, e.side, e.quantity, e.price, e.at) for e in events if isinstance(e, OrderFilled)
    )
    booked = Counter((f.account, f.symbol, f.side, f.quantity, f.price, f.at) for f in _fills(work))
    if told != booked:
        yield f"fills booked and told of: {booked - told} missing, {told - booked} too many"
    issued = Counter(e.number for e in events if isinstance(e, InstructionIssued))
    if issued != Counter(card.number for card in work.instructions(EVERY)):
        yield f"cards issued: {issued}"
    entries = [order for order in work.orders(limit=EVERY) if order.purpose is Purpose.ENTRY]
    signals = Counter((e.account, e.symbol, e.at) for e in events if isinstance(e, SignalRaised))
    asked = {card.client_order_id for card in work.instructions(EVERY)}
    if signals != Counter((o.account, o.symbol, o.created_at) for o in entries if o.client_order_id not in asked):
        yield f"signals told of: {signals} for {len(entries)} entries"
    refused = Counter((e.account, e.symbol, e.quantity) for e in events if isinstance(e, OrderRefused))
    if refused != Counter((o.account, o.symbol, o.quantity) for o in entries if o.state is OrderState.REJECTED):
        yield f"refusals told of: {refused}"


def _chat(life: Life, work: UnitOfWork) -> Iterator[str]:
    """What reached the chat is never forgotten; what is not critical reaches it once."""
    arrived = life.chat.sent_of()
    ids = {arrival["id"] for arrival in life.chat.arrivals() if not arrival["edits"]}
    edited = {arrival["row"] for arrival in life.chat.arrivals() if arrival["edits"]}
    for row in work.messages(EVERY):
        if row.state is OutboxState.FAILED:
            yield f"row {row.id} failed: {row.last_error}"
        if row.state is OutboxState.SENT and row.id not in edited and row.message_id not in ids:
            yield f"row {row.id} is SENT as {row.message_id}, which never arrived"
        if row.state is OutboxState.PENDING and arrived[row.id] and not row.last_error.startswith("may have arrived"):
            yield f"row {row.id} arrived and waits as if it had not"
        if arrived[row.id] > 1 and row.priority is not Priority.CRITICAL:
            yield f"row {row.id} arrived {arrived[row.id]} times"


def _file(life: Life, work: UnitOfWork) -> Iterator[str]:
    file = life.settings.signals_dir / "manual_trades.json"
    if not file.exists():
        yield "there is no manual_trades.json"
        return
    content = json.loads(file.read_text(encoding="utf-8"))
    shown = {row["number"]: (row["version"], row["state"]) for row in content["instructions"]}
    newest = {card.number: (card.version, card.state.value) for card in work.instructions(50)}
    newest |= {card.number: (card.version, card.state.value) for card in work.open_instructions()}
    if shown != newest:
        yield f"manual_trades.json shows {shown}, the ledger has {newest}"
