"""What lets the engine look between its minutes: news of trades, and live prices that reach a stop or a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bot.health_hook import HealthHook
from core.domain.views import Health
from core.execution.desk import Desk
from core.feed.level_watch import LevelWatch, Stopwatch
from core.ports import LivePrices, TradeNews
from jobs.looks import Looks, Pace

TRADE_STREAM = "trade stream"


class Listening:
    """`news` of trades is by account. Nobody waits for any of it: without it all is seen at the next minute."""

    def __init__(
        self,
        desk: Desk,
        news: Mapping[str, TradeNews],
        live: LivePrices | None,
        clock: Stopwatch,
        pace: Pace | None = None,
    ) -> None:
        self._news = news
        self._reading = desk.reading
        self._live = live
        self._clock = clock
        self._pace = pace
        self._looks: Looks | None = None
        self._levels = LevelWatch(desk.calendar, clock, self._ask)

    def start(self, look: Callable[[], object]) -> None:
        """`look` is the guard's run of this very second; it runs in a thread that this starts."""
        self._looks = Looks(look, self._clock, self._pace)
        self._looks.start()
        for news in self._news.values():
            news.watch(self._ask)
        if self._live is not None:
            self.follow()
            self._live.listen(self._levels.hear)

    def follow(self) -> None:
        """The guards have changed: prices are held against the new ones."""
        if self._live is None:
            return
        with self._reading() as work:
            guards = work.guards()
        self._levels.follow(guards)
        self._live.prefer({guard.symbol for guard in guards})

    def report(self, health: HealthHook) -> None:
        """Tells health why news of trades is missing: the engine goes on by looking every minute."""
        if self._news:
            words = "; ".join(filter(None, (news.trouble() for news in self._news.values())))
            health(TRADE_STREAM, Health.DEGRADED if words else Health.RUNNING, words or "listens")

    def close(self) -> None:
        """Ends listening, and waits for the look that runs."""
        for news in self._news.values():
            news.close()
        if self._looks is not None:
            self._looks.close()

    def _ask(self) -> None:
        if self._looks is not None:
            self._looks.ask()
