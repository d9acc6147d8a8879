"""The simulated broker: a venue of its own behind the Broker port, with its own journal, apart from our ledger.

It is pull-based: every call first matches the live orders against the bars that have closed since the last call, up to
the market clock. What comes out depends only on what was submitted and cancelled when, and on the bars; how often it is
asked changes nothing. What it answers is on disk before it is answered. Orders rest until they fill or are cancelled; a
market order outside the session waits for the next one. What a bar's volume does not allow is filled in the following
bars; the legs of a bracket come to life when its entry is filled whole, or ends with a part filled, as at Alpaca.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import numpy as np

from core.adapters.simulated_actions import ActionsBetween, follow, no_actions
from core.adapters.simulated_events import Cancelled, Moved, Opened, Submitted, VenueEvent
from core.adapters.simulated_faults import Door, Fault, FaultPlan
from core.adapters.simulated_matching import Candle, candle_of, instrument_of
from core.adapters.simulated_profiles import DOLLARS, VenueProfile
from core.adapters.simulated_rules import beside, cost_of, expected_price, malformed, unaffordable, unmovable
from core.adapters.simulated_session import Market, play
from core.adapters.simulated_venue import VenueBook
from core.adapters.simulated_venue_journal import MemoryJournal, VenueJournal
from core.domain.accounts import Account
from core.domain.corporate import CorporateAction
from core.domain.instruments import AssetClass
from core.domain.orders import OrderState, OrderType, Side
from core.domain.portfolio import Fill
from core.domain.values import ZERO, exact
from core.domain.venue import (
    Accepted,
    Activity,
    OrderRequest,
    Refusal,
    Refused,
    Replacement,
    Resting,
    SubmitResult,
    Unknown,
    VenueAccount,
    VenueOrder,
)
from core.errors import Fatal, Transient
from core.ports import Calendar, Clock
from core.series import BarSeries

BarsAfter = Callable[[str, datetime, datetime], BarSeries]
"""bars_after(symbol, after, until): the bars of the finest known size closed after `after` and at or before `until`."""

LOOKBACKS = (timedelta(days=1), timedelta(days=10))
"""How far back the last price of a symbol is looked for: a day, then over the longest run of closed days."""


def _nowhere(name: str) -> None:
    """The checkpoint of ordinary operation."""


def _unfenced() -> None:
    """The fence where nobody else can hold the ledger."""


def stocks_only(symbol: str) -> bool:
    """Whether a symbol's volume is in its units: a share's always is, a coin's may be in USD (Yahoo)."""
    return instrument_of(symbol).asset_class is AssetClass.STOCK


class SimulatedBroker:
    """The Broker port. `opening_cash` (USD) counts only on the first start of a journal.

    `path` None keeps the venue in memory, for backtests. `tells_volume` says of which symbols the bars' volume is in
    units; for the others, and in bars with volume zero, an order is filled whole. `settled`: no bar of a moment comes
    after it has begun, so that it is looked at once. Checkpoints: venue.open,
    venue.submit, venue.replace, venue.cancel and venue.match, each with .before_commit and .after_commit. `fence` is
    asked before each of these commits. Raises Fatal for an unusable journal. Several processes may share one journal:
    each reads what the others have written.
    """

    shows_within = timedelta(0)
    can_replace = True

    def __init__(
        self,
        account: Account,
        *,
        clock: Clock,
        bars_after: BarsAfter,
        calendar: Calendar,
        opening_cash: Decimal,
        path: Path | None = None,
        profile: VenueProfile = DOLLARS,
        tells_volume: Callable[[str], bool] = stocks_only,
        actions: ActionsBetween = no_actions,
        faults: FaultPlan | None = None,
        checkpoint: Callable[[str], None] = _nowhere,
        fence: Callable[[], None] = _unfenced,
        settled: bool = False,
    ) -> None:
        self.account = account
        self._clock = clock
        self._bars_after = bars_after
        self._calendar = calendar
        self._market = Market(profile, account.id, tells_volume)
        self._actions = actions
        self._door = Door(faults) if faults else None
        self._lock = threading.RLock()
        self._journal = VenueJournal(path, checkpoint, fence) if path else MemoryJournal(checkpoint, fence)
        self._settled = settled
        self._looked: tuple[datetime, int] | None = None
        try:
            self._load()
            if not self._book.account:
                self._commit("open", [Opened(clock.now(), account.id, opening_cash)])
            if self._book.account != account.id:
                raise Fatal(f"the simulated venue belongs to account {self._book.account}, not {account.id}")
        except BaseException:
            self._journal.close()
            raise

    def resting(self, symbol: str, quantity: Decimal) -> Resting:
        return self._market.profile.resting(instrument_of(symbol), quantity)

    def sale_step(self, symbol: str) -> Decimal:
        return self._market.profile.step_of(instrument_of(symbol), OrderType.MARKET)

    def submit(self, request: OrderRequest) -> SubmitResult:
        """Submitting an id that the venue already has answers Accepted with the order that exists, whatever is sent
        under it."""
        return self._answered(request.client_order_id, lambda now, fault: self._place(request, now, fault))

    def replace(self, client_order_id: str, change: Replacement) -> SubmitResult:
        """At once, for what happens from now on. The faults of a submission befall it, too."""
        return self._answered(client_order_id, lambda now, fault: self._move(client_order_id, change, now, fault))

    def cancel(self, client_order_id: str) -> None:
        """Ends a live order at once, and with one leg of a bracket the other; other orders stay as they are.

        So cancelling an entry that has just been filled does not take its stop away: the legs are cancelled by their
        own ids.
        """
        with self._reached():
            now = self._advance()
            if client_order_id in self._book.live:
                self._commit("cancel", [Cancelled(now, client_order_id, "cancelled on request")])

    def find(self, client_order_id: str) -> VenueOrder | None:
        with self._reached():
            now = self._advance()
            if self._door and self._door.is_hushed(client_order_id, now):
                raise Transient("the simulated venue cannot say yet whether it has the order (injected)")
            return self._book.orders.get(client_order_id)

    def orders(self) -> Sequence[VenueOrder]:
        """All live orders in the order of their arrival, legs included."""
        with self._reached():
            now = self._advance()
            live = [resting.order for resting in sorted(self._book.live.values(), key=lambda live: live.sequence)]
            door = self._door
            if door is None:
                return live
            return [order for order in live if not door.is_hushed(order.client_order_id, now)]

    def fills_since(self, at: datetime) -> Sequence[Fill]:
        """Fills at or after `at`, ascending by when they happened.

        A fill at the open of a bar is known only when that bar has closed, so that it may appear before one of another
        symbol that was answered earlier: ask from at least the longest bar's span before the newest fill seen.
        """
        with self._reached():
            self._advance()
            return self._book.fills[bisect_left(self._book.fills, at, key=lambda fill: fill.at) :]

    def activities_since(self, at: datetime) -> Sequence[Activity]:
        """Dividends and splits (core.adapters.simulated_actions) at or after `at`."""
        with self._reached():
            self._advance()
            known = self._book.activities
            return known[bisect_left(known, at, key=lambda activity: activity.at) :]

    def state(self) -> VenueAccount:
        with self._reached():
            self._advance()
            return VenueAccount(self._book.cash, dict(self._book.positions))

    def close(self) -> None:
        """Lets go of the journal's file."""
        with self._lock:
            self._journal.close()

    def _answered(self, name: str, deed: Callable[[datetime, Fault], SubmitResult]) -> SubmitResult:
        """The answer to what changes the order of that name, unless a fault keeps it back."""
        fault = self._door.at_submission(self._clock.now()) if self._door else Fault.NONE
        if fault is Fault.OUTAGE:
            raise Transient("the simulated venue is out of reach (injected)")
        if fault is Fault.TIMEOUT_BEFORE:
            return Unknown("the simulated venue did not answer (injected)")
        with self._lock:
            now = self._advance()
            answer = deed(now, fault)
        if self._door and fault is Fault.LATE and isinstance(answer, Accepted):
            self._door.hush(name, now)
        silent = fault in (Fault.TIMEOUT_AFTER, Fault.LATE)
        return Unknown("the simulated venue did not answer (injected)") if silent else answer

    @contextmanager
    def _reached(self) -> Iterator[None]:
        if self._door and self._door.is_closed(self._clock.now()):
            raise Transient("the simulated venue is out of reach (injected)")
        with self._lock:
            yield

    def _load(self) -> None:
        # First, so that what another process writes while we read is noticed the next time.
        self._version = self._journal.version()
        self._book = VenueBook()
        for sequence, event in self._journal.events():
            self._book.apply(event, sequence)
        self._matched = self._journal.matched()
        # Whatever took effect before the last event was followed before that event was written.
        self._followed = self._book.last_at
        self._stale = False

    def _commit(self, step: str, events: Sequence[VenueEvent]) -> None:
        """Writes first, then believes: after a failed write the book is as it was."""
        numbered = list(enumerate(events, start=self._book.last_sequence + 1))
        self._stale = True
        self._journal.append(step, numbered)
        for sequence, event in numbered:
            self._book.apply(event, sequence)
        self._stale = False

    def _place(self, request: OrderRequest, now: datetime, fault: Fault) -> SubmitResult:
        name = request.client_order_id
        if name in self._book.orders:
            return Accepted(self._book.orders[name])
        if fault is Fault.REJECT:
            return Refused("the simulated venue turned the order down (injected)")
        instrument = instrument_of(request.symbol)
        wrong = malformed(request, instrument, self._market.profile)
        if wrong:
            return Refused(wrong)
        last_price = self._last_price(request.symbol, now) if request.side is Side.BUY else ZERO
        if last_price is None:
            return Refused(f"no price of {request.symbol} is known yet")
        costs = self._market.profile.costs[instrument.asset_class]
        price = expected_price(request, last_price, instrument, costs)
        cost = cost_of(request, price, costs)
        refusal = beside(request, price, instrument) or unaffordable(request, cost, self._book, instrument)
        if refusal:
            return Refused(refusal)
        live_at = self._door.live_at(now) if self._door else None
        self._commit("submit", [Submitted(now, request, cost, live_at)])
        return Accepted(self._book.orders[name])

    def _move(self, name: str, change: Replacement, now: datetime, fault: Fault) -> SubmitResult:
        order = self._book.orders.get(name)
        if order is None:
            return Refused(f"the simulated venue has no order {name}", Refusal.FIXED)
        prices = change.stop_price, change.limit_price
        if name not in self._book.live or prices == (order.stop_price, order.limit_price):
            return Accepted(order)
        if fault is Fault.REJECT:
            return Refused("the simulated venue turned the order down (injected)")
        if order.state is not OrderState.ACCEPTED or self._book.live[name].is_triggered:
            return Refused("what is being filled is not moved", Refusal.FIXED)
        wrong = unmovable(order, change, instrument_of(order.symbol))
        if wrong:
            return Refused(wrong)
        self._commit("replace", [Moved(now, name, *prices)])
        return Accepted(self._book.orders[name])

    def _last_price(self, symbol: str, now: datetime) -> Decimal | None:
        for lookback in LOOKBACKS:
            closes = self._bars_after(symbol, now - lookback, now).until(now).close
            usable = closes[np.isfinite(closes) & (closes > 0)]
            if len(usable):
                return exact(float(usable[-1]))
        return None

    def _advance(self) -> datetime:
        """Matches the live orders against every bar closed since; returns the market time it did so for."""
        if self._stale or self._journal.version() != self._version:
            self._load()
        # A restarted market clock may show an earlier time than before; the venue's own time does not go back.
        now = max(self._clock.now(), self._book.last_at)
        if self._settled and self._looked == (now, self._book.last_sequence):
            return now
        candles, matched = self._new_candles(now)
        due = self._actions(self._followed, now) if now > self._followed else ()
        if matched or due:
            self._play(candles, matched, due, now)
        self._followed = now
        self._looked = (now, self._book.last_sequence)
        return now

    def _play(
        self, candles: list[Candle], matched: dict[str, datetime], due: Sequence[CorporateAction], now: datetime
    ) -> None:
        """Plays bars and corporate actions in the order of time, each action before the bars that close after it."""
        # Until the commit the book runs ahead of the journal: after a failure in between it is read again.
        self._stale = True
        first = self._book.last_sequence + 1
        events: list[VenueEvent] = []

        def record(event: VenueEvent) -> None:
            self._book.apply(event, self._book.last_sequence + 1)
            events.append(event)

        waiting = deque(due)
        for closed_at, together in groupby(candles, key=lambda candle: candle.closed_at):
            while waiting and waiting[0].at < closed_at:
                self._follow(waiting.popleft(), now, record)
            play(self._book, {candle.symbol: candle for candle in together}, self._market, now, record)
        for action in waiting:
            self._follow(action, now, record)
        if events or matched:
            self._journal.append("match", list(enumerate(events, start=first)), matched)
        self._matched |= matched
        self._stale = False

    def _follow(self, action: CorporateAction, now: datetime, record: Callable[[VenueEvent], None]) -> None:
        for event in follow(self._book, action, now):
            record(event)

    def _new_candles(self, now: datetime) -> tuple[list[Candle], dict[str, datetime]]:
        """Candles of all symbols with live orders, ascending by close, and the newest bar of each symbol."""
        since: dict[str, datetime] = {}
        for resting in self._book.live.values():
            symbol = resting.order.symbol
            since[symbol] = min(since.get(symbol, resting.since), resting.since)
        candles: list[Candle] = []
        matched: dict[str, datetime] = {}
        for symbol, earliest in since.items():
            after = max(earliest, self._matched.get(symbol, earliest))
            if after >= now:
                continue
            asset_class = instrument_of(symbol).asset_class
            for bar in self._bars_after(symbol, after, now).bars():
                if not after < bar.closed_at <= now:
                    continue
                matched[symbol] = max(bar.closed_at, matched.get(symbol, bar.closed_at))
                candle = candle_of(bar, asset_class, self._calendar)
                if candle is not None:
                    candles.append(candle)
        return sorted(candles, key=lambda candle: (candle.closed_at, candle.symbol)), matched
