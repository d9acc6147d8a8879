"""Word from Alpaca that something happened to the account's orders, by its stream of trade updates.

Nothing is booked from an update: it only says that it is time to look. Alpaca names an execution in the stream by an
`execution_id`, which may be missing, and where it is asked by an activity's `id` ("20220202135509981::2d7be4ff-..."):
nothing promises that the one is part of the other, and an update says nothing of a coin's fee. Updates come twice under
the same id, may hold nothing at all, and are not replayed after a broken connection. So the answer to a question is the
only source of fills, each under one id, and the stream decides when it is put: after an update, after each connection
that came about, and beside the minute's own look, never instead of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from core.adapters.alpaca_socket import ELSEWHERE, KEYS_REFUSED, Patience
from core.adapters.alpaca_trade_silence import Silence, Trust
from core.adapters.alpaca_transport import AlpacaKeys
from core.adapters.loop_thread import LOOK_AROUND, LoopThread, cancelled
from core.adapters.pacing import RealClock

if TYPE_CHECKING:
    from core.adapters.alpaca_trade_feed import TradeFeed

log = logging.getLogger("autotrader.alpaca")

GOES_ON = "fills are seen at the next minute's look instead of at once"
REFUSED = "does not accept the keys"
TAKEN = "another program listens to it, and only one may"
SILENT = "silent though connected, and opened anew"


class TradeStream:
    """TradeNews of one account. `paper` says of which world its keys are; `address` where the stream is, if not at
    Alpaca's own.

    A stream that has fallen silent by the measure of `trust` is opened anew.
    """

    def __init__(
        self,
        keys: AlpacaKeys,
        clock: RealClock,
        *,
        paper: bool,
        address: str | None = None,
        patience: Patience | None = None,
        trust: Trust | None = None,
        look_around: float = LOOK_AROUND,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._is_paper = paper
        self._address = address
        self._patience = patience or Patience()
        self._trust = trust or Trust()
        self._silence = Silence(self._trust)
        self._look: Callable[[], None] = _nobody
        self._feed: TradeFeed | None = None
        self._task: asyncio.Task[None] | None = None
        self._missing_since: float | None = None
        self._silent_at: float | None = None
        self._told_of = ""
        self._thread = LoopThread("alpaca trades", clock, self._tend, self._leave, look_around)

    def watch(self, look: Callable[[], None]) -> None:
        """From now on `look` is called whenever something happened or may have been missed. Returns at once."""
        self._look = look
        self._missing_since = self._clock.monotonic()
        self._thread.run()

    def looked(self, found: int) -> None:
        """The account was looked at just now, and `found` fills were new."""
        self._silence.looked(self._clock.monotonic(), found)
        if self._look is not _nobody:
            self._thread.run()

    def sent(self) -> None:
        """An order was sent just now: what became of it is looked up soon, though no word should come."""
        self._look()

    def trouble(self) -> str:
        """Why no word comes, in the owner's words; empty while all is well, and while it is too early to say."""
        words = self._words(self._clock.monotonic())
        return f"{words}: {GOES_ON}" if words else ""

    def close(self) -> None:
        """Says goodbye to Alpaca and ends the thread."""
        self._thread.close()

    def _words(self, now: float) -> str:
        if self._silent_at is not None:
            return SILENT
        feed, since = self._feed, self._missing_since
        if since is None or feed is None:
            return ""
        if feed.trouble == KEYS_REFUSED:
            return REFUSED
        if now - since <= self._trust.bearable:
            return ""
        return TAKEN if feed.trouble == ELSEWHERE else feed.trouble or "not connected"

    async def _tend(self) -> None:
        now = self._clock.monotonic()
        is_silent = self._silence.is_proven(now)
        if self._task is None or self._task.done() or is_silent:
            await self._leave()
            self._begin()
        if is_silent:
            self._silent_at = now
        self._note_connection(now)
        words = self._words(now)
        if words != self._told_of:
            self._told_of = words
            if words:
                log.warning("trade stream of Alpaca: %s; %s", words, GOES_ON)

    def _begin(self) -> None:
        from core.adapters.alpaca_trade_feed import TradeFeed

        self._feed = TradeFeed(
            self._keys, self._patience, self._on_begun, self._on_heard, paper=self._is_paper, address=self._address
        )
        self._task = asyncio.create_task(self._feed.listen())

    async def _leave(self) -> None:
        feed, task = self._feed, self._task
        self._feed = self._task = None
        if feed is not None:
            await feed.leave()
        if task is not None:
            await cancelled(task)

    def _on_begun(self) -> None:
        """What happened while nobody listened is not replayed: a look finds it."""
        self._silence.connected(self._clock.monotonic())
        self._missing_since = None
        self._look()

    def _on_heard(self) -> None:
        self._silence.heard(self._clock.monotonic())
        self._silent_at = None
        self._look()

    def _note_connection(self, now: float) -> None:
        is_listening = self._feed is not None and self._feed.is_listening
        if not is_listening and self._missing_since is None:
            self._missing_since = now
            self._silence.connected(None)
        if is_listening and self._silent_at is not None and now - self._silent_at > self._trust.forgiven_after:
            self._silent_at = None


def _nobody() -> None:
    """Where nobody watches yet."""
