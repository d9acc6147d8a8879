"""One tick, in order (DESIGN 2): reconcile, protect, sell, brake, look, decide, write, send, write the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from core.domain.accounts import Mode
from core.domain.decisions import Decision
from core.execution import alerts, manual
from core.execution.desk import MANUAL, Desk
from core.execution.equity import record_equity
from core.execution.executor import Committed, submit_all, write_intents
from core.execution.picture import take_picture
from core.execution.protect import protect
from core.execution.reasons import note_reasons
from core.execution.reconcile import Reconciled, reconcile
from core.execution.watch import clear_up, look_after
from core.ports import Predictor
from core.strategy.decide import enter
from core.strategy.snapshot import Snapshot

FIRST_CARD = "first_card"


@dataclass(frozen=True, slots=True)
class CycleResult:
    """What one tick did. `excluded` maps symbols to why they could not be traded; `unreachable` names venues."""

    at: datetime
    fills: int = 0
    buy_signals: int = 0
    submitted: int = 0
    instructed: int = 0
    duplicates: int = 0
    excluded: Mapping[str, str] | None = None
    unreachable: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line for the job's record."""
        parts = [
            f"{count} {name}"
            for count, name in (
                (self.fills, "fills booked"),
                (self.buy_signals, "buy signals"),
                (self.submitted, "orders sent"),
                (self.instructed, "instructions"),
                (self.duplicates, "orders met again"),
            )
            if count
        ]
        parts += [f"{symbol} excluded: {reason}" for symbol, reason in (self.excluded or {}).items()]
        parts += [f"{account} out of reach" for account in self.unreachable]
        return "; ".join(parts) or "nothing to do"


def run_cycle(
    now: datetime, desk: Desk, scheduled_at: datetime, faults: Mapping[str, str] | None = None
) -> CycleResult:
    """Runs the tick that was due at `scheduled_at`, at market time `now`; runs in the writer's thread.

    A repetition for the same `scheduled_at` meets its own orders. `faults` names instruments whose new bars
    could not be had, with the reason: they take no entries this time. Raises what the ledger raises; a venue's
    failure is survived.
    """
    desk.checkpoint("cycle.start")
    reconciled = reconcile(desk, now)
    protect(desk, now, reconciled.reachable)
    reachable = clear_up(desk, now, reconciled.reachable)
    origin = scheduled_at.isoformat()
    sold = look_after(desk, now, origin, reachable).sold
    alerts.look_at_bars(desk, now)
    snapshot = take_picture(desk, now, origin, reachable, faults)
    predictor = desk.predictor()
    # Exits have gone out before, by the one way there is to sell.
    decision = _news(snapshot, enter(snapshot, predictor, desk.policy, desk.judged()))
    committed = _commit(desk, snapshot, decision, predictor)
    submit_all(desk, committed.to_submit, now)
    instructed = committed.instructed + sold.instructed
    desk.checkpoint("cycle.end")
    return _result(now, desk, decision, committed, reconciled, sold.sent, instructed)


def recover(desk: Desk, now: datetime) -> None:
    """What every start begins with: accounts, orders in doubt, guards and the owner's file brought up to date."""
    reconciled = reconcile(desk, now)
    protect(desk, now, reconciled.reachable)
    manual.write_manual_trades(desk)


def _first_card(desk: Desk, snapshot: Snapshot, decision: Decision, predictor: Predictor | None) -> Decision | None:
    """The first entry ever made at a broker comes as a card for the manual account too, so that a newcomer has
    something to tap (DESIGN 8): decided by the same rules with the manual account's own cash. None where no card fits.
    """
    entries = [order.symbol for order in decision.orders if order.account != MANUAL]
    if not entries:
        return None
    with desk.reading() as work:
        if work.value(FIRST_CARD) is not None:
            return None
    twin = enter(replace(snapshot, mode=Mode.MANUAL, entry_account=MANUAL), predictor, desk.policy)
    orders = [order for order in twin.orders if order.account == MANUAL and order.symbol in entries][:1]
    if not orders:
        return None
    signals = tuple(signal for signal in twin.signals if signal.symbol == orders[0].symbol)
    return Decision(snapshot.now, MANUAL, signals, tuple(orders))


def _news(snapshot: Snapshot, decision: Decision) -> Decision:
    """The decision without the signals on bars that an earlier tick has judged: their record stands."""
    judged = {market.instrument.symbol: market.judged_until for market in snapshot.markets}
    fresh = tuple(
        signal
        for signal in decision.signals
        if signal.is_buy or signal.bar_closed_at is None or signal.bar_closed_at != judged[signal.symbol]
    )
    return replace(decision, signals=fresh)


def _commit(desk: Desk, snapshot: Snapshot, decision: Decision, predictor: Predictor | None) -> Committed:
    """Decision, orders, cards, events and equity points: one transaction."""
    prices = {market.instrument.symbol: market.price for market in snapshot.markets if market.price is not None}
    card = _first_card(desk, snapshot, decision, predictor)
    with desk.committing("intents") as work:
        committed = write_intents(work, desk, decision, snapshot.now)
        if card is not None:
            issued = write_intents(work, desk, card, snapshot.now).instructed
            committed = replace(committed, instructed=committed.instructed + issued)
            work.set_value(FIRST_CARD, snapshot.now.isoformat())
        note_reasons(work, decision.signals, snapshot.markets, predictor)
        record_equity(work, desk, (view.portfolio for view in snapshot.accounts), prices, snapshot.now)
    if committed.instructed:
        manual.write_manual_trades(desk)
    return committed


def _result(
    now: datetime,
    desk: Desk,
    decision: Decision,
    committed: Committed,
    reconciled: Reconciled,
    exits_sent: int,
    instructed: int,
) -> CycleResult:
    return CycleResult(
        at=now,
        fills=reconciled.fills,
        buy_signals=sum(signal.is_buy for signal in decision.signals),
        submitted=len(committed.to_submit) + exits_sent,
        instructed=instructed,
        duplicates=committed.duplicates,
        excluded={
            signal.symbol: signal.veto.reason
            for signal in decision.signals
            if signal.veto is not None and signal.veto.gate == "data"
        },
        unreachable=tuple(sorted(desk.venues().keys() - reconciled.reachable)),
    )
