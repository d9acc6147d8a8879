"""How fast a bot may talk: about one message a second in a chat, with a few at once, and thirty a second in all.

Telegram publishes the figures in its FAQ and not the rule behind them. Here it is a leaky bucket for each chat and one
for all: a message fills it by one, it leaks at the rate, and a message that does not fit is refused with the seconds
until it will. Asking again before that fills the bucket too, and the wait grows, as there.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from bot.localphone.errors import ApiError
from core.ports import Clock

LIMITED = frozenset(
    {
        "editMessageCaption",
        "editMessageMedia",
        "editMessageReplyMarkup",
        "editMessageText",
        "sendDocument",
        "sendMessage",
        "sendPhoto",
    }
)
PER_CHAT = 1.0
OVERALL = 30.0
CHAT_BURST = 3
OVERALL_BURST = 30


@dataclass(slots=True)
class _Bucket:
    """`empty_at` is when it will have leaked out, `closed_until` what a bot was told to wait for."""

    rate: float
    burst: int
    empty_at: float = 0.0
    closed_until: float = 0.0

    def wait(self, now: float) -> int:
        """Whole seconds until one more fits."""
        if now < self.closed_until:
            self.fill(now)
        seconds = math.ceil(round(self.empty_at - now - (self.burst - 1) / self.rate, 6))
        self.closed_until = round(now + seconds, 6)
        return max(seconds, 0)

    def fill(self, now: float) -> None:
        self.empty_at = max(self.empty_at, now) + 1 / self.rate


class RateLimits:
    """`clock` may be a virtual one: nothing here waits. Lives in one event loop."""

    def __init__(self, clock: Clock) -> None:
        self.active = True
        self._clock = clock
        self._start: datetime | None = None
        self._overall = _Bucket(OVERALL, OVERALL_BURST)
        self._chats: dict[str, _Bucket] = defaultdict(lambda: _Bucket(PER_CHAT, CHAT_BURST))

    def check(self, method: str, chat: str) -> None:
        """Counts a call that makes or changes a message. Raises ApiError 429 with the whole seconds to wait."""
        if not self.active or method not in LIMITED:
            return
        now = self._seconds()
        buckets = (self._overall, self._chats[chat])
        seconds = max(bucket.wait(now) for bucket in buckets)
        if seconds > 0:
            raise ApiError(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})
        for bucket in buckets:
            bucket.fill(now)

    def _seconds(self) -> float:
        now = self._clock.now()
        self._start = self._start or now
        return (now - self._start).total_seconds()
