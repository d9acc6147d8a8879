"""DESIGN section 3, held against an installation that came back from a kill; and what is compared with one that never
died. The venue and the chat are asked what they saw: the ledger is not its own witness."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from core.domain.codec import decode, encode
from core.domain.dust import without_dust
from core.domain.events import (
    EngineStarted,
    HealthChanged,
    InstructionIssued,
    InstructionSettled,
    LiveStatus,
    OrderFilled,
    OrderUncertain,
    PositionUnguarded,
    Priority,
)
from core.domain.orders import Order, OrderState, Purpose
from core.domain.portfolio import Fill, GuardKind, portfolio_of
from core.domain.records import JobOutcome, OutboxState
from core.domain.values import plain
from core.domain.venue import OrderRequest
from core.execution.desk import MANUAL
from core.execution.protect import UNGUARDED
from core.execution.reconcile import NEVER_ARRIVED
from core.execution.venue_state import state_of
from core.ports import Broker, UnitOfWork
from tests.fault.points_house import SIMULATED, START, House

EVERY = 10**6
UNDECIDED = (OrderState.SUBMITTING, OrderState.UNKNOWN)
UNTOLD = (EngineStarted, HealthChanged, LiveStatus, OrderUncertain)
"""Events that a start may add, or the owner by asking again; a doubt that is over before anybody is told of it."""
IN_DOUBT = "uncertain"
"""What a card says of such a doubt until the venue has answered."""


def violations(house: House, *, at_the_end: bool) -> list[str]:
    """Everything that must hold whenever nothing is under way; a venue out of reach is looked at all the same."""
    is_down, house.venue.is_down = house.venue.is_down, False
    try:
        return _violations(house, at_the_end=at_the_end)
    finally:
        house.venue.is_down = is_down


def _violations(house: House, *, at_the_end: bool) -> list[str]:
    with house.database.reading() as work:
        found = [*_record(house, work), *_guards(house, work), *_events(work), *_chat(house, work), *_file(house, work)]
        if house.scene.venue:
            found += [*_orders(house, work), *_holdings(house, work)]
        if house.scene.always_stopped:
            found += house.venue.unstopped
        return [*found, *(_ended(house, work) if at_the_end else ()), *house.witness.faults]


def _venue(house: House) -> Broker:
    """The venue itself, which no checkpoint is needed to look at."""
    if house.scene.venue == "scripted":
        return house.venue
    assert house.engine.venue is not None
    return house.engine.venue


def submitted(house: House) -> list[OrderRequest]:
    """Every order that ever reached the venue, by its own record."""
    if not house.scene.venue:
        return []
    if house.scene.venue == "scripted":
        return house.venue.requests
    assert house.place.venue_file is not None
    journal = sqlite3.connect(f"file:{house.place.venue_file}?mode=ro", uri=True)
    try:
        bodies = journal.execute("SELECT body FROM events WHERE kind = 'submitted' ORDER BY sequence").fetchall()
    finally:
        journal.close()
    return [decode(OrderRequest, json.loads(body)["request"]) for (body,) in bodies]


def _orders(house: House, work: UnitOfWork) -> Iterator[str]:
    sent = submitted(house)
    if len({request.client_order_id for request in sent}) != len(sent):
        yield "two orders at the venue under one id"
    for request in sent:
        ours = work.order(request.client_order_id)
        if ours is None or (ours.symbol, ours.side) != (request.symbol, request.side):
            yield f"the venue has {request}, the ledger {ours}"
    prefix = house.desk.namespace.prefix
    at_venue = {order.client_order_id: order for order in _venue(house).orders()}
    at_venue = {name: order for name, order in at_venue.items() if name.startswith(prefix)}
    live = [order for order in work.live_orders(SIMULATED) if order.state is not OrderState.AWAITING_OWNER]
    sure = {order.client_order_id for order in live if order.state not in UNDECIDED}
    if not sure <= at_venue.keys() | _ending(live):
        yield f"live in the ledger and not at the venue: {sure - at_venue.keys()}"
    entries = Counter(
        (order.account, order.symbol) for order in work.live_orders() if order.purpose is Purpose.ENTRY
    ) + Counter(("venue", order.symbol) for order in at_venue.values() if order.purpose is Purpose.ENTRY)
    yield from (f"{count} live entries in {place}" for place, count in entries.items() if count > 1)


def _ending(live: list[Order]) -> set[str]:
    """What has been asked to go may have gone already."""
    return {order.client_order_id for order in live if order.state is OrderState.CANCEL_PENDING}


def _holdings(house: House, work: UnitOfWork) -> Iterator[str]:
    known = {fill.id for fill in _fills(work, SIMULATED)}
    made = {fill.id for fill in _venue(house).fills_since(START)}
    if not known <= made:
        yield f"fills booked that the venue never made: {known - made}"


def _fills(work: UnitOfWork, account: str | None = None) -> list[Fill]:
    return [entry for entry in work.entries(account) if isinstance(entry, Fill)]


def _may_guard(work: UnitOfWork, account: str, kind: GuardKind) -> bool:
    """Where nobody but the owner can sell, only he or what rests guards; elsewhere never he."""
    if account == MANUAL:
        return kind is GuardKind.OWNER
    return kind is GuardKind.VENUE or (kind is GuardKind.OWNER) is state_of(work, account).is_fallen


def _guards(house: House, work: UnitOfWork) -> Iterator[str]:
    told = {(e.account, e.symbol) for row in work.messages(EVERY) if isinstance(e := row.event, PositionUnguarded)}
    known = set((work.value(UNGUARDED) or "").split())
    resting = {} if not house.scene.venue else {order.venue_order_id: order for order in _venue(house).orders()}
    for account in (SIMULATED, MANUAL):
        guards = {guard.symbol: guard for guard in work.guards(account)}
        positions = without_dust(work.portfolio(account).positions)
        if guards.keys() - positions.keys():
            yield f"guards without a position: {guards.keys() - positions.keys()}"
        for symbol, position in positions.items():
            guard = guards.get(symbol)
            if guard is None and ((account, symbol) not in told or f"{account}/{symbol}" not in known):
                yield f"{position} is unguarded and nobody was told"
            elif guard is not None and not _may_guard(work, account, guard.kind):
                yield f"{position} is said to be guarded by {guard}"
            elif guard is not None and guard.kind is GuardKind.VENUE:
                stop = resting.get(guard.venue_order_id or "")
                held = _venue(house).state().positions.get(symbol, 0)
                if held and (stop is None or stop.quantity - stop.filled_quantity <= 0):
                    yield f"{guard} names a stop that does not rest: {stop}"


def _record(house: House, work: UnitOfWork) -> Iterator[str]:
    yield from house.database.verify()
    for account in work.accounts():
        if work.portfolio(account.id) != portfolio_of(account.id, work.entries(account.id)):
            yield f"the portfolio of {account.id} is not what its entries add up to"
    for job in house.jobs:
        failed = work.last_run(job, JobOutcome.FAILED)
        if failed is not None and not house.scene.may_fail:
            yield f"a job failed: {failed}"
    if work.unfinished_jobs():
        yield f"left unfinished: {work.unfinished_jobs()}"


def _events(work: UnitOfWork) -> Iterator[str]:
    rows = work.messages(EVERY)
    if sorted(row.id for row in rows) != list(range(1, len(rows) + 1)):
        yield f"rows are missing from the outbox: {sorted(row.id for row in rows)}"
    told = Counter(
        (e.account, e.symbol, e.side, e.quantity, e.price, e.at)
        for row in rows
        if isinstance(e := row.event, OrderFilled)
    )
    booked = Counter((f.account, f.symbol, f.side, f.quantity, f.price, f.at) for f in _fills(work) if "~" not in f.id)
    if told != booked:
        yield f"fills booked and told of: {booked - told} missing, {told - booked} too many"
    issued = {e.number for row in rows if isinstance(e := row.event, InstructionIssued)}
    if issued != {card.number for card in work.instructions(EVERY)}:
        yield f"cards issued: {issued}"


def _chat(house: House, work: UnitOfWork) -> Iterator[str]:
    """What reached the chat is never forgotten; what is not critical reaches it once, the rest never unmarked again."""
    if house.scene.is_silent:
        return
    arrivals = [arrival for arrival in house.chat.arrivals() if not arrival["edits"]]
    arrived = Counter(arrival["row"] for arrival in arrivals)
    ids = {arrival["id"] for arrival in arrivals}
    edited = {arrival["row"] for arrival in house.chat.arrivals() if arrival["edits"]}
    for row in work.messages(EVERY):
        if row.state is OutboxState.SENT and row.id not in edited and row.message_id not in ids:
            yield f"row {row.id} is SENT as {row.message_id}, which never arrived"
        if isinstance(row.event, LiveStatus):
            # Kept up to date by asking for it anew; one whose message nobody knows becomes another message.
            continue
        if row.state is OutboxState.PENDING and arrived[row.id] and not row.last_error.startswith("may have arrived"):
            yield f"row {row.id} arrived and waits as if it had not"
        if arrived[row.id] > 1 and row.priority is not Priority.CRITICAL:
            yield f"row {row.id} arrived {arrived[row.id]} times"
        repeats = [arrival["text"] for arrival in arrivals if arrival["row"] == row.id][1:]
        yield from (f"row {row.id} came again unmarked" for text in repeats if "repeat" not in text.lower())


def _file(house: House, work: UnitOfWork) -> Iterator[str]:
    file = house.settings.signals_dir / "manual_trades.json"
    if not file.exists():
        yield "there is no manual_trades.json"
        return
    content = json.loads(file.read_text(encoding="utf-8"))
    shown = {row["number"]: (row["version"], row["state"], row["filled_quantity"]) for row in content["instructions"]}
    cards = {card.number: card for card in (*work.instructions(50), *work.open_instructions())}
    held = {}
    for number, card in cards.items():
        order = work.order(card.client_order_id)
        held[number] = (card.version, card.state.value, encode(order.filled_quantity) if order else "0")
    if shown != held:
        yield f"manual_trades.json shows {shown}, the ledger has {held}"


def _ended(house: House, work: UnitOfWork) -> Iterator[str]:
    """At the end of a scene nothing is left open that could be decided."""
    undecided = [order for order in work.live_orders() if order.state in UNDECIDED]
    if undecided:
        yield f"left undecided: {undecided}"
    waiting = [row for row in work.messages(EVERY) if row.state in (OutboxState.PENDING, OutboxState.SENDING)]
    if waiting:
        yield f"never delivered: {waiting}"
    for row in work.messages(EVERY):
        carrier = row.carrier_id or row.id
        reached = house.scene.is_silent or any(arrival["row"] == carrier for arrival in house.chat.arrivals())
        if not reached and row.state not in (OutboxState.UNCERTAIN, OutboxState.FAILED, OutboxState.MUTED):
            yield f"row {row.id} is {row.state} and reached nobody"
    if not house.scene.venue or house.scene.at_odds:
        return
    truth, ours = _venue(house).state(), work.portfolio(SIMULATED)
    held = {symbol: position.quantity for symbol, position in ours.positions.items()}
    if (ours.cash, held) != (truth.cash, dict(truth.positions)):
        yield f"the ledger has {ours.cash} and {held}, the venue {truth.cash} and {dict(truth.positions)}"


def facts(house: House) -> dict[str, Any]:
    """What the scene has come to, in values that are the same however often the process died on the way."""
    if house.scene.varies:
        return {}
    with house.database.reading() as work:
        orders = sorted(work.orders(limit=EVERY), key=lambda order: (order.created_at, order.client_order_id))
        accounts = {account.id: work.portfolio(account.id) for account in work.accounts()}
        return {
            # A leg of a venue's bracket is dated by when it was first seen: a start looks sooner than the next minute.
            "orders": sorted(
                _said(o.account, o.symbol, o.side, o.purpose, o.quantity, o.state, "" if o.parent_id else o.created_at)
                for o in orders
            ),
            "fills": sorted(_said(f.account, f.symbol, f.side, f.quantity, f.price, f.fee, f.at) for f in _fills(work)),
            "entries": sorted(_said(type(e).__name__, e.account, e.at) for e in work.entries()),
            "cash": [_said(name, held.cash) for name, held in accounts.items()],
            "units": [_said(name, s, p.quantity) for name, held in accounts.items() for s, p in held.positions.items()],
            "guards": sorted(_said(g.account, g.symbol, g.stop, g.target, g.kind) for g in work.guards()),
            "cards": [_said(c.number, c.symbol, c.side, c.quantity, c.state) for c in work.instructions(EVERY)],
            "questions": [_said(q.kind, q.symbol, q.ours, q.theirs, q.state, q.answer) for q in work.questions(EVERY)],
            "brakes": sorted(_said(b.kind, b.scope, b.reason, b.until) for b in work.brakes()),
            "mode": house.desk.mode(work).value,
            "told": Counter(type(e).__name__ for m in work.messages(EVERY) if _is_told(e := m.event)),
            "audit": sorted({record.action for record in work.audit_trail(EVERY)}),
            "model": model.version if (model := work.champion()) else None,
            "scores": list(work.prediction_scores(START - START.resolution * 10**12)),
            "requests": Counter(_said(r.symbol, r.side, r.purpose) for r in submitted(house)),
        }


def _is_told(event: object) -> bool:
    """Whether it is told however often the process died."""
    if isinstance(event, InstructionSettled):
        return event.outcome != IN_DOUBT
    return not isinstance(event, UNTOLD)


def _said(*values: object) -> str:
    """In words that do not tell 48 from 48.000."""
    return ", ".join(plain(value) if isinstance(value, Decimal) else str(value) for value in values)


def given_up(house: House) -> bool:
    """Whether an entry was written, never left, and was given up: the one way in which a kill may change what comes."""
    with house.database.reading() as work:
        return any(order.reason == NEVER_ARRIVED for order in work.orders(limit=EVERY))
