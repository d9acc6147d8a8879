"""The one status message that is kept up to date in place (D12): an outbox row of its own that is sent again and again.

The row is made when the owner asks for it, its number kept as a named value, so that a restart goes on with the same
message. To refresh it is to put the row back into the queue: a refresh that still waits is not doubled.
"""

from __future__ import annotations

from core.domain.events import LiveStatus
from core.domain.records import OutboxState
from core.ports import Clock, UnitOfWorkFactory

KEY = "live_status"
OUTDATED = "live_status_outdated"
"""Set where things changed while the message was on its way: it goes out again at once."""


class LiveStatusDesk:
    """Runs in the writer's thread, or wherever a transaction may be opened."""

    def __init__(self, ledger: UnitOfWorkFactory, clock: Clock, market_clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._market_clock = market_clock

    def begin(self, *, pinned: bool) -> None:
        """A new live message; one from before stays in the chat as it is."""
        with self._ledger() as work:
            row = work.publish(LiveStatus(pinned), market_time=self._market_clock.now())
            work.set_value(KEY, str(row))
            work.commit("live.begin")

    def end(self) -> bool:
        """No more refreshes; False where there was no live message."""
        with self._ledger() as work:
            was_live = work.value(KEY) is not None
            if was_live:
                work.set_value(KEY, None)
                work.commit("live.end")
        return was_live

    def refresh(self) -> bool:
        """Puts the message back into the queue; False where there is none, or a refresh waits already."""
        with self._ledger() as work:
            number = work.value(KEY)
            row = work.message(int(number)) if number is not None else None
            if row is None or row.state is OutboxState.PENDING:
                return False
            if row.state is OutboxState.SENDING:
                if work.value(OUTDATED) is not None:
                    return False
                work.set_value(OUTDATED, "yes")
            else:
                work.save_message(row.id, OutboxState.PENDING, at=self._clock.now())
            work.commit("live.refresh")
        return True
