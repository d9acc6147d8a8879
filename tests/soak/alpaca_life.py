"""One life of an installation that trades at the loopback Alpaca of a simulated month: it starts as a live run does,
its jobs follow virtual time, and it may be killed at any of its checkpoints."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from bot.bootstrap import Clocks, Engine, Hooks, build_engine, open_ledger
from bot.market_work import Retraining, market_work
from bot.opening import greet, open_accounts
from bot.worlds import Place
from core.adapters import alpaca_trading
from core.adapters.alpaca_broker import AlpacaBroker
from core.adapters.alpaca_socket import Patience
from core.adapters.alpaca_trade_stream import TradeStream
from core.adapters.alpaca_trading import AlpacaTrading
from core.adapters.alpaca_transport import AlpacaKeys, AlpacaTransport
from core.adapters.calendars import ExchangeCalendar
from core.adapters.pacing import Pacer, Restraint
from core.adapters.simulated_market import SimulatedMarket
from core.clock import SystemClock, VirtualClock
from core.domain.accounts import Account, AccountKind, World
from core.domain.instruments import AssetClass
from core.domain.orders import OrderState
from core.domain.values import ZERO
from core.errors import Fatal
from core.settings import Settings
from jobs.health import HealthDesk
from jobs.runner import JobRunner
from jobs.table import GUARD, RETRAIN, look_now, market_jobs
from jobs.virtual import VirtualDriver
from jobs.writer import Urgency, Writer
from tests.fault import crashing
from tests.fault.kill_life import Watch
from tests.fault.kill_setup import DEPTH, EVERY, IdleWorker, stump
from tests.forest_builders import save
from tests.servers.alpaca_http import KEY_ID, SECRET
from tests.soak.alpaca_checks import ALPACA, MINUTE, Watched, disagreements
from tests.soak.alpaca_month_server import STEERING

PATIENCE = 0.5
"""Seconds of real time that one question to the venue has here, where a hanging server would cost minutes."""
QUICK = Patience(0.5, first_retry=0.01, longest_retry=0.1, after_refusal=0.5, while_elsewhere=0.1)
LONGEST_PAUSE = 45
"""Minutes."""


def settings_of(folder: Path, symbols: Iterable[str]) -> Settings:
    """Every forecast counts as a signal, levels lie close and no loss stops the play: much is traded in little time."""
    given = {
        "STATE_DIR": folder,
        "SYMBOLS": ",".join(symbols),
        "MIN_PROBABILITY": 0.0,
        "MIN_TRADE_GAP_MINUTES": 0,
        "STOP_LOSS": "0.003",
        "TAKE_PROFIT": "0.008",
        "TRAILING_STOP": "0.001",
        "DAILY_LOSS_LIMIT": "0.99",
        "DRAWDOWN_LIMIT": "0.99",
        "LOSS_STREAK": 1_000,
        "RETRAIN_MIN_NEW_LABELS": 1_000_000,
        "TIME_ZONE": "UTC",
    }
    return Settings.model_validate(given)


class Steering:
    """The way to the venue's other door: its time, its faults and its truth."""

    def __init__(self, address: str) -> None:
        self._connection = HTTPConnection(urlsplit(address).netloc, timeout=20)

    def __call__(self, **told: Any) -> dict[str, Any]:
        self._connection.request("POST", STEERING, json.dumps(told))
        return dict(json.loads(self._connection.getresponse().read()))


class VenueTime(VirtualClock):
    """Where it goes, the venue's market goes, too."""

    def __init__(self, start: datetime, steer: Steering) -> None:
        super().__init__(start)
        self._steer = steer
        self._system = SystemClock()

    def monotonic(self) -> float:
        """Real: it measures how long the venue takes to answer."""
        return self._system.monotonic()

    def move_to(self, moment: datetime) -> None:
        super().move_to(moment)
        self._steer(now=moment.isoformat())


class AlpacaLife:
    """`wake`, `live`, `settle`; `seen.broken` are broken promises in words."""

    def __init__(
        self, folder: Path, request: Mapping[str, Any], market: SimulatedMarket, calendar: ExchangeCalendar
    ) -> None:
        self.steer = Steering(request["address"])
        self.clock = VenueTime(datetime.fromisoformat(request["start"]), self.steer)
        self.calendar = calendar
        self.settings = settings_of(folder, request["symbols"])
        self.settings.make_folders()
        self.place = Place(World.REAL, f"sqlite:///{folder / 'ledger.sqlite'}", False, None, "a simulated month")
        self.watch = Watch()
        self.database = open_ledger(
            self.place, self.clock, durable=False, installation_id="month", checkpoint=self.watch
        )
        self.watch.orders_under_way = lambda: bool(self._live(OrderState.SUBMITTING))
        self.writer = Writer()
        self._asked = threading.Event()
        self.stream = self._stream(request.get("stream"))
        self.broker = self._broker(request)
        self.engine, self.health = self._build(market)
        desk = self.engine.desk
        self.runner = JobRunner(desk.ledger, self.clock, self.clock, self.health.report, _raise)
        parts = market_work(self.engine, Retraining(self.engine, IdleWorker(), self.settings), self.health.tell)
        parts = replace(parts, tick_idle=self._tick_idle, guard_idle=self._guard_idle)
        self.jobs = {job.name: job for job in market_jobs(parts, self.writer, calendar)}
        self.seen = Watched(self.clock.now())

    def _broker(self, request: Mapping[str, Any]) -> AlpacaBroker:
        alpaca_trading.SECONDS = PATIENCE
        restraint = Restraint(self.clock.now, np.random.default_rng(request["seed"]))
        pacer = Pacer(0.0, self.clock.monotonic, _no_sleep)
        transport = AlpacaTransport(self.clock, _no_sleep, pacer, restraint, budget=PATIENCE)
        keys = AlpacaKeys(KEY_ID, SECRET)
        trading = AlpacaTrading(keys, transport, restraint, self.clock, is_paper=True, address=request["address"])
        return AlpacaBroker(Account(ALPACA, AccountKind.ALPACA_PAPER, World.REAL), trading, self.clock)

    def _stream(self, address: str | None) -> TradeStream | None:
        if address is None:
            return None
        keys = AlpacaKeys(KEY_ID, SECRET)
        return TradeStream(keys, self.clock, paper=True, address=address, patience=QUICK, look_around=0.05)

    def _build(self, market: SimulatedMarket) -> tuple[Engine, HealthDesk]:
        health = HealthDesk(self.database.unit_of_work, self.clock, self.clock, self.settings.heartbeat_file, 1)
        hooks = Hooks(health.report, health.components, checkpoint=self.watch)
        clocks = Clocks(self.clock, self.clock)
        engine = build_engine(
            self.settings,
            self.place,
            self.database,
            clocks,
            hooks,
            [market],
            self.calendar,
            quotes=market,
            broker=self.broker,
            news=self.stream,
        )
        engine.collector.depth = DEPTH
        return engine, health

    def _tick_idle(self, due: datetime) -> bool:
        return due.minute % 30 != 0

    def _guard_idle(self, due: datetime) -> bool:
        """Prices move every five minutes; at night only coins', and there every quarter of an hour has to do. What a
        tick has sent is looked after in the minutes after it, and what failed is tried again at the next one."""
        if not self.seen.is_answered:
            return False
        often = 5 if self.calendar.is_open(AssetClass.STOCK, due) else 15
        return due.minute % often != 0 and due.minute % 30 not in (1, 2)

    def wake(self) -> int:
        """The start: runs cut short are closed (returns how many), accounts are reconciled, the model is there."""
        self.writer.start()
        crashed = self.runner.close_crashed()
        self.health.check()
        self.writer.submit(Urgency.OWNER, open_accounts, self.engine.desk, ZERO).result()
        with self.database.unit_of_work() as work:
            if work.champion() is None:
                work.add_model(save(stump(), self.settings.models_dir))
                work.commit()
        now = self.clock.now()
        self.engine.collector.collect(self.engine.desk.instruments, self.engine.sizes, now)
        self.runner.run(self.jobs[RETRAIN], now)
        self.writer.submit(Urgency.OWNER, greet, self.engine.desk, 1.0).result()
        if self.stream is not None:
            self.stream.watch(self._asked.set)
        return crashed

    def live(self, until: datetime, arm_at: datetime | None) -> None:
        """Every job is driven until then, and from `arm_at` on it may die; it does at last, there or at once."""
        driver = VirtualDriver(list(self.jobs.values()), self.runner, self.clock)
        if arm_at is None:
            driver.run(until, self._looked_at)
            return
        driver.run(arm_at, self._looked_at)
        self.watch.is_armed = True
        driver.run(until, self._looked_at)
        os.environ[crashing.CRASH_NAME] = "*"
        os.environ[crashing.CRASH_OCCURRENCE] = str(crashing._passed.total() + 5)
        driver.run(until + timedelta(days=1), self._looked_at)

    def settle(self) -> None:
        """Nothing fails for a while: soon nothing is in doubt, all is guarded and both sides agree. Refused keys are
        tried again after half an hour at the latest."""
        self.steer(quiet=True)
        wrong: list[str] = []
        for _ in range(LONGEST_PAUSE):
            self.clock.advance(MINUTE)
            self.runner.run(self.jobs[GUARD], self.clock.now())
            with self.engine.desk.reading() as work:
                wrong = list(disagreements(self.steer(), work))
            if not wrong:
                break
        self.seen.broken += [f"{self.clock.now():%m-%d %H:%M} {words}" for words in wrong]
        self.steer(quiet=False)

    def close(self) -> None:
        if self.stream is not None:
            self.stream.close()
        self.writer.stop()
        self.engine.close()

    # what is watched

    def _looked_at(self, due: datetime) -> None:
        if self._asked.is_set():
            self._asked.clear()
            look_now(self.jobs, self.runner, self.clock)()
            self.seen.words += 1
        with self.engine.desk.reading() as work:
            self.seen.look(self.steer(), work, due)
        if self.seen.looks % 6 == 0:
            crashing.report(self.facts())

    def facts(self) -> dict[str, Any]:
        with self.engine.desk.reading() as work:
            orders = len(work.orders(ALPACA, limit=EVERY))
        seen = self.seen
        return {
            "looks": seen.looks,
            "words": seen.words,
            "bare": seen.bare,
            "spells": seen.spells,
            "orders": orders,
            "broken": seen.broken,
        }

    def _live(self, state: OrderState) -> list[str]:
        with self.database.reading() as work:
            return [order.client_order_id for order in work.live_orders() if order.state is state]


def _no_sleep(_: float) -> None:
    """Real time does not matter here."""


def _raise(fatal: Fatal) -> None:
    raise fatal
