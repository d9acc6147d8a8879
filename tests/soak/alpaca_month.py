"""A simulated month of trading at the loopback Alpaca: one call in twenty fails, and the product is killed with SIGKILL
again and again while the venue lives on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bot.price_sources import make_simulated_market
from core.adapters.calendars import ExchangeCalendar
from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from tests.fault.crashing import Crash
from tests.fault.kill_life import ORDERS_WRITTEN
from tests.soak.alpaca_checks import Lack
from tests.soak.alpaca_month_server import MonthServer
from tests.soak.alpaca_nest import AlpacaNest, Ended

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
"""A Monday morning; New York changes its clocks on the Sunday after."""
SYMBOLS = ("SPY", "QQQ", "IWM", "BTC-USD", "ETH-USD")
WARM_UP = timedelta(days=9)
SHARE = 0.05
UNDER_WAY = (
    ORDERS_WRITTEN,
    "submit.before_call",
    "submit.after_call",
    "result.before_commit",
    "intents.after_commit",
)
"""An order is written, and its answer is not."""
ELSEWHERE = (
    "result.after_commit",
    "fills.after_call",
    "activities.after_call",
    "orders.before_call",
    "state.after_call",
    "lookup.before_call",
    "reconcile.before_commit",
    "reconcile.after_commit",
    "protect.before_commit",
    "cancel.after_call",
    "cycle.before_commit",
)


@dataclass
class MonthOutcome:
    """`bare` are the minutes in which something was held that no stop guarded, by looks of a living product, and
    `spells` how often that began, both by why (tests.soak.alpaca_checks.Lack)."""

    days: float
    kills: list[str] = field(default_factory=list)
    looks: int = 0
    words_heard: int = 0
    bare: Counter[str] = field(default_factory=Counter)
    spells: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    met: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    at_venue: int = 0
    fills: int = 0
    doubled: int = 0
    cash: str = ""
    broken: list[str] = field(default_factory=list)

    def words(self) -> str:
        ways = ", ".join(f"{way} {count}" for way, count in sorted(self.met.items()))
        bare = ", ".join(f"{lack} {self.bare[lack]} ({self.spells[lack]})" for lack in Lack)
        return (
            f"{self.days:g} days at the loopback Alpaca: {self.looks} runs of its jobs, "
            f"{self.words_heard} looks between two minutes, {self.orders} "
            f"orders of ours ({self.at_venue} at the venue with their legs), {self.fills} fills\n"
            f"{sum(self.met.values())} of {self.asked} requests failed: {ways}\n"
            f"beside them: {', '.join(f'{what} {count}' for what, count in sorted(self.happened.items()))}\n"
            f"{len(self.kills)} kills: {'; '.join(self.kills)}\n"
            f"minutes (spells) without a stop: {bare}\n"
            f"{self.doubled} doubled orders; ledger and venue agree on {self.cash} USD, positions and {self.fills} "
            f"fills: {not self.broken}; {len(self.broken)} promises broken"
        )


class Month:
    """One run. `folder` takes the product's files; the same seed gives the same faults and the same kills, unless the
    stream of trades is listened to: its word comes in real time."""

    def __init__(self, folder: Path, days: float, kills: int, seed: int, *, listens: bool = False) -> None:
        self._folder = folder
        self._listens = listens
        self._end = START + timedelta(days=days)
        self._kills = kills
        self._seed = seed
        self._chance = np.random.default_rng(seed)
        self.outcome = MonthOutcome(days)

    def run(self) -> MonthOutcome:
        calendar = ExchangeCalendar()
        market = make_simulated_market(self._seed, calendar)
        end = self._end + timedelta(days=2)
        count = (end - START + WARM_UP) // BarSize.M5.span
        bars = {symbol: market.bars(instrument_for(symbol), BarSize.M5, end, count) for symbol in SYMBOLS}
        coming = {symbol: series.after(START) for symbol, series in bars.items()}
        prices = {"symbols": SYMBOLS, "seed": self._seed, "end": end.isoformat(), "count": count}
        with MonthServer(coming, START, self._seed, SHARE) as server, AlpacaNest(self._folder, prices) as nest:
            for symbol, series in bars.items():
                known = series.until(START)
                server.set_price(symbol.replace("-", "/"), f"{float(known.close[-1]):.2f}")
            for number in range(self._kills):
                self._one_life(server, nest, number)
            self._note(self._live(server, nest, self._end))
            self._sum_up(server)
        return self.outcome

    def _one_life(self, server: MonthServer, nest: AlpacaNest, number: int) -> None:
        """It dies once its share of the time left has half passed, every second one while an order is under way; and
        it stays away for a while."""
        share = (self._end - server.now()) / (self._kills - number + 1)
        until = server.now() + share
        places = UNDER_WAY if number % 2 == 0 else ELSEWHERE
        crash = Crash(str(self._chance.choice(places)), 1 if number % 2 == 0 else int(self._chance.integers(1, 4)))
        ended = self._live(server, nest, until, crash, until - share / 2)
        assert ended.was_killed, f"the life that should die at {crash} ended"
        self.outcome.kills.append(f"{server.now():%d %H:%M} {ended.place}")
        self._note(ended)
        server.be_quiet(False)
        server.move_to(server.now() + timedelta(minutes=int(self._chance.integers(1, 90))))

    def _live(
        self,
        server: MonthServer,
        nest: AlpacaNest,
        until: datetime,
        crash: Crash | None = None,
        arm_at: datetime | None = None,
    ) -> Ended:
        request: dict[str, Any] = {
            "address": server.address,
            "stream": server.updates.address if self._listens else None,
            "symbols": SYMBOLS,
            "seed": self._seed,
            "start": server.now().isoformat(),
            "until": until.isoformat(),
            "arm_at": arm_at.isoformat() if arm_at else None,
        }
        return nest.live(request, crash)

    def _note(self, ended: Ended) -> None:
        facts = ended.facts or {}
        self.outcome.looks += facts.get("looks", 0)
        self.outcome.words_heard += facts.get("words", 0)
        self.outcome.bare += Counter(facts.get("bare", {}))
        self.outcome.spells += Counter(facts.get("spells", {}))
        self.outcome.orders = facts.get("orders", self.outcome.orders)
        self.outcome.broken += facts.get("broken", [])

    def _sum_up(self, server: MonthServer) -> None:
        outcome, truth = self.outcome, server.truth()
        outcome.asked, outcome.met, outcome.happened = server.asked, server.met, server.happened
        outcome.at_venue, outcome.fills, outcome.cash = len(server.venue.orders), truth["fills"], truth["cash"]
        outcome.doubled = sum("doubled" in words for words in outcome.broken)
