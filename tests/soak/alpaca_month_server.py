"""The loopback Alpaca of a simulated month: its market plays by itself, one call in twenty fails in one of many ways,
and whoever lives the month moves its time and may ask what is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from core.series import BarSeries, time_of
from tests.servers.alpaca_http import Answer, Call
from tests.servers.alpaca_trading_orders import OPEN, STOPS, PaperOrder, text
from tests.servers.alpaca_trading_server import AlpacaTradingServer
from tests.servers.trade_updates_server import TradeUpdatesServer
from tests.soak.alpaca_happenings import happenings

STEERING = "/month"
WAYS = (
    "504",
    "after 504",
    "500",
    "after 500",
    "502",
    "429",
    "before reset",
    "reset",
    "truncated",
    "cut json",
    "after cut json",
    "page",
)
RARE = ("hang", "before hang")
"""These cost a client its whole patience, in real time."""
RARITY = 0.03
SECOND = timedelta(seconds=1)


class MonthServer(AlpacaTradingServer):
    """`series` are five-minute bars by our symbols. `met` counts the faults by kind, `asked` all requests; `is_quiet`:
    nothing fails at present."""

    def __init__(self, series: Mapping[str, BarSeries], start: datetime, seed: int, share: float) -> None:
        self._time = start
        super().__init__(lambda: self._time)
        self.is_quiet = True
        self._kept: tuple[dict[str, str], dict[str, str], dict[str, str], bool] | None = None
        self.asked = 0
        self.met: Counter[str] = Counter()
        self._share = share
        self._chance = np.random.default_rng(seed)
        self.faults.choose = self._draw
        self.happened: Counter[str] = Counter()
        self.updates = TradeUpdatesServer()
        self.updates.follow(self)
        self._coming = happenings(self, self.updates, start, self._chance)
        for symbol, bars in series.items():
            self.tape(theirs(symbol), points_of(bars))

    def __enter__(self) -> MonthServer:
        super().__enter__()
        self.updates.__enter__()
        return self

    def __exit__(self, *how: object) -> None:
        self.updates.__exit__(*how)
        super().__exit__(*how)

    def move_to(self, now: datetime) -> None:
        with self.lock:
            while self._coming and self._coming[0].at <= now:
                due = self._coming.pop(0)
                self._time = max(self._time, due.at)
                due.happen()
                self.happened[due.name] += 1
            self._time = max(self._time, now)
            self._slice()
            self.play()
            # A month of answers need not be kept.
            self.calls.clear()
            self.answers.clear()

    def answer(self, call: Call) -> tuple[Answer, Mapping[str, str], str | None]:
        if call.path != STEERING:
            return super().answer(call)
        told = call.body or {}
        if "now" in told:
            self.move_to(datetime.fromisoformat(told["now"]))
        if "quiet" in told:
            self.be_quiet(told["quiet"])
        return Answer(200, self.truth()), {}, None

    def _slice(self) -> None:
        """One execution in ten is of a part, and the rest waits for the next price."""
        for symbol in self.venue.prices:
            if not self.venue.habits.portions.get(symbol) and self._chance.random() < 0.1:
                part = Decimal(int(self._chance.integers(1, 20))) / (10_000 if "/" in symbol else 1)
                self.venue.habits.portions[symbol] = [part]

    def be_quiet(self, quiet: bool) -> None:
        """Nothing fails while it is, and what stood in the way stands there again afterwards."""
        with self.lock:
            if quiet == self.is_quiet:
                return
            self.is_quiet = quiet
            if quiet:
                self._kept = dict(self.faults.standing), self.keys, self.other_keys, self.venue.habits.cancels_slowly
                self.faults.standing.clear()
                self.restore_keys()
                self.venue.habits.cancels_slowly = False
            elif self._kept is not None:
                standing, self.keys, self.other_keys, slowly = self._kept
                self.faults.standing.update(standing)
                self.venue.habits.cancels_slowly = slowly

    def truth(self) -> dict[str, Any]:
        """Units by our symbols, cash, and every order that has not ended; `fills` in order, by order."""
        with self.lock:
            venue = self.venue
            fills = [row for _, row in venue.account.activities if row["activity_type"] == "FILL"]
            return {
                "cash": str(venue.account.cash),
                "number": venue.account.number,
                "positions": {ours(name): str(held.quantity) for name, held in venue.account.holdings.items()},
                "costs": {ours(name): str(held.cost) for name, held in venue.account.holdings.items()},
                "orders": [self._told(order) for order in venue.live()],
                "fills": len(fills),
                "faults": sum(self.met.values()),
            }

    def _told(self, order: PaperOrder) -> dict[str, Any]:
        guards = order.side == "sell" and order.type in STOPS and (order.status in OPEN or self._guards(order))
        return {
            "name": order.client_order_id,
            "symbol": ours(order.symbol),
            "side": order.side,
            "type": order.type,
            "status": order.status,
            "remaining": text(order.remaining),
            "guards": guards,
        }

    def _guards(self, leg: PaperOrder) -> bool:
        """Whether a held stop is beside a target that works."""
        return leg.status == "held" and any(each.status in OPEN for each in self.venue.siblings(leg))

    def _draw(self, call: Call) -> str | None:
        with self.lock:
            self.asked += 1
            if self.is_quiet or float(self._chance.random()) >= self._share:
                return None
            ways = RARE if self._chance.random() < RARITY else WAYS
            way = ways[int(self._chance.integers(len(ways)))]
            self.met[way] += 1
            return way


def theirs(symbol: str) -> str:
    return symbol.replace("-", "/")


def ours(symbol: str) -> str:
    return symbol.replace("/", "-")


def points_of(bars: BarSeries) -> Iterator[tuple[datetime, Decimal]]:
    """How the market went through each bar: first against the way that it went in the end."""
    for place in range(len(bars)):
        opened, closed = time_of(int(bars.opened_at[place])), time_of(int(bars.closed_at[place]))
        first, last = float(bars.open[place]), float(bars.close[place])
        low, high = float(bars.low[place]), float(bars.high[place])
        third = (closed - opened) / 3
        between = (low, high) if last >= first else (high, low)
        at = (opened, opened + third, opened + 2 * third, closed - SECOND)
        for moment, price in zip(at, (first, *between, last), strict=True):
            yield moment, Decimal(f"{price:.2f}")
