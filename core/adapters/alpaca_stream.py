"""Live quotes from Alpaca's streams, kept by a thread of their own: an accelerator, whose last word per symbol others
may look at. Nothing waits for it, and nothing depends on it: who finds no fresh quote here asks for one."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from core.adapters.alpaca_socket import KEYS_REFUSED, Patience
from core.adapters.alpaca_transport import AlpacaKeys
from core.adapters.loop_thread import LOOK_AROUND, LoopThread, cancelled
from core.adapters.pacing import RealClock
from core.domain.instruments import AssetClass
from core.ports import Calendar

if TYPE_CHECKING:
    from core.adapters.alpaca_feeds import CoinFeed, StockFeed

log = logging.getLogger("autotrader.alpaca")

StreamKind = Literal["stocks", "coins"]
KINDS: Mapping[StreamKind, AssetClass] = {"stocks": AssetClass.STOCK, "coins": AssetClass.CRYPTO}
# What Alpaca lets an account without a subscription listen to at once.
MOST_SYMBOLS = 30
FORGET_AFTER = 1_800.0


@dataclass(frozen=True, slots=True)
class Heard:
    """A quote as it came; `at` by Alpaca's clock, `heard_at` by our monotonic one. Nothing is checked yet."""

    bid: Any
    ask: Any
    at: datetime
    heard_at: float


Hear = Callable[[StreamKind, str, Heard], None]


def _nobody(_kind: StreamKind, _name: str, _heard: Heard) -> None:
    """Where nobody wants to hear each quote."""


@dataclass(slots=True)
class _Feed:
    """One stream: what is wanted of it, when that was last asked for, and its last word for each symbol."""

    asset_class: AssetClass
    asked_at: dict[str, float] = field(default_factory=dict)
    preferred: frozenset[str] = frozenset()
    heard: dict[str, tuple[int, Heard]] = field(default_factory=dict)
    stream: StockFeed | CoinFeed | None = None
    task: asyncio.Task[None] | None = None
    told_of: str = ""


class QuoteStream:
    """Listens to the symbols that were asked about within the last half hour: in each stream to the preferred and the
    newest, MOST_SYMBOLS in all.

    `addresses` say where the streams are, if not at Alpaca's own. Thread-safe; `close` ends the thread.
    """

    def __init__(
        self,
        keys: AlpacaKeys,
        calendar: Calendar,
        clock: RealClock,
        feed: str = "iex",
        *,
        addresses: Mapping[StreamKind, str] | None = None,
        patience: Patience | None = None,
        look_around: float = LOOK_AROUND,
    ) -> None:
        self._keys = keys
        self._calendar = calendar
        self._clock = clock
        self._feed_name = feed
        self._addresses = addresses or {}
        self._patience = patience or Patience()
        self._lock = threading.Lock()
        self._hear: Hear = _nobody
        self._feeds = {kind: _Feed(asset_class) for kind, asset_class in KINDS.items()}
        self._thread = LoopThread("alpaca quotes", clock, self._tend_all, self._leave_all, look_around)

    def watch(self, names: Mapping[StreamKind, Sequence[str]]) -> None:
        """From now on these are listened to as well, by Alpaca's names. Returns at once."""
        now, is_new = self._clock.monotonic(), False
        with self._lock:
            for kind, wanted in names.items():
                asked_at = self._feeds[kind].asked_at
                is_new = is_new or any(name not in asked_at for name in wanted)
                asked_at.update(dict.fromkeys(wanted, now))
                for name in [each for each, at in asked_at.items() if now - at > FORGET_AFTER]:
                    del asked_at[name]
        self._thread.run()
        if is_new:
            self._thread.wake()

    def prefer(self, names: Mapping[StreamKind, Sequence[str]]) -> None:
        """From now on these come first, by Alpaca's names, and of each stream no others. Returns at once."""
        for kind, feed in self._feeds.items():
            feed.preferred = frozenset(names.get(kind, ()))
        self.watch(names)

    def listen(self, hear: Hear) -> None:
        """From now on `hear` is called with each quote that is newer than the last, in the stream's thread."""
        self._hear = hear

    def heard(self, kind: StreamKind, name: str) -> Heard | None:
        """The last word on a symbol, however old."""
        told = self._feeds[kind].heard.get(name)
        return told[1] if told is not None else None

    def trouble(self) -> str:
        """What keeps a wanted stream from coming, in Alpaca's words; empty when all is well."""
        found = {feed.stream.trouble for feed in self._feeds.values() if feed.stream is not None}
        return "; ".join(sorted(found - {""}))

    def is_refused(self) -> bool:
        """Whether a stream does not accept the keys."""
        return KEYS_REFUSED in self.trouble()

    def close(self) -> None:
        """Says goodbye to Alpaca and ends the thread."""
        self._thread.close()

    async def _tend_all(self) -> None:
        """Starts the streams that are wanted, and keeps what they are subscribed to in step."""
        for kind, feed in self._feeds.items():
            await self._tend(kind, feed)

    async def _leave_all(self) -> None:
        for feed in self._feeds.values():
            await _leave(feed)

    async def _tend(self, kind: StreamKind, feed: _Feed) -> None:
        wanted = self._wanted(feed)
        if feed.stream is None:
            if wanted:
                await self._begin(kind, feed, wanted)
            return
        for name in feed.heard.keys() - wanted:
            del feed.heard[name]
        if wanted:
            try:
                await asyncio.wait_for(feed.stream.want(wanted), 5.0)
            except (OSError, TimeoutError, ValueError) as error:
                # The connection is going: the next one subscribes to what is wanted.
                feed.stream.trouble = feed.stream.trouble or type(error).__name__
        if feed.stream.trouble != feed.told_of:
            feed.told_of = feed.stream.trouble
            if feed.told_of:
                log.warning("no live quotes of %s from Alpaca (%s): prices are asked for instead", kind, feed.told_of)

    def _wanted(self, feed: _Feed) -> set[str]:
        with self._lock:
            first = sorted(feed.asked_at, key=lambda name: (name not in feed.preferred, -feed.asked_at[name]))
        return set(first[:MOST_SYMBOLS])

    async def _begin(self, kind: StreamKind, feed: _Feed, wanted: set[str]) -> None:
        from core.adapters.alpaca_feeds import make_feed

        patience = self._patience
        stream = make_feed(kind, self._keys, self._feed_name, self._addresses.get(kind), patience)

        def may_be_silent() -> bool:
            """Outside sessions, and in the first moments of one."""
            now = self._clock.now()
            if feed.asset_class is AssetClass.CRYPTO:
                return False
            bounds = self._calendar.session_bounds(AssetClass.STOCK, self._calendar.session_of(AssetClass.STOCK, now))
            if bounds is None or not self._calendar.is_open(AssetClass.STOCK, now):
                return True
            return (now - bounds[0]).total_seconds() < patience.silence

        def hear(message: Mapping[str, Any]) -> None:
            name, stamp = message.get("S"), message.get("t")
            nano = stamp.to_unix_nano() if stamp is not None and hasattr(stamp, "to_unix_nano") else None
            if not isinstance(name, str) or nano is None or name not in feed.asked_at:
                return
            known = feed.heard.get(name)
            if known is None or nano >= known[0]:
                at = datetime.fromtimestamp(nano / 1e9, UTC)
                quote = Heard(message.get("bp"), message.get("ap"), at, self._clock.monotonic())
                feed.heard[name] = (nano, quote)
                self._hear(kind, name, quote)

        stream.tend(patience, may_be_silent, hear)
        await stream.want(wanted)
        feed.stream = stream
        feed.task = asyncio.create_task(stream.listen())


async def _leave(feed: _Feed) -> None:
    stream, task = feed.stream, feed.task
    feed.stream = feed.task = None
    if stream is not None:
        await stream.leave()
    if task is not None:
        await cancelled(task)
    feed.heard.clear()
