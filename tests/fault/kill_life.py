"""One life of an installation in the simulated market: it starts as a live run does, trades, listens to its owner,
tells him things, and may be killed at any of its checkpoints.

Time is virtual and resumes at the stored tick, as simulated time does after a restart. While a tick fetches its bars
(its JobRun row is open) the owner acts and the chat is open or not, by a random generator seeded with the life's seed
and the moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from bot.bootstrap import Clocks, Engine, Hooks, build_engine, open_ledger
from bot.delivery import Delivery
from bot.market_work import MARKET_TIME, Retraining, market_work
from bot.opening import greet, open_accounts
from bot.worlds import choose_place
from core.adapters.calendars import ExchangeCalendar
from core.adapters.simulated_market import SimulatedMarket
from core.clock import VirtualClock
from core.collect import CollectReport
from core.domain.accounts import Mode
from core.domain.decisions import BrakeKind
from core.domain.orders import OrderState
from core.domain.records import Instruction, OutboxMessage, OutboxState
from core.domain.views import OwnerAnswer
from core.errors import Fatal
from core.execution.owner import OwnerDesk
from core.execution.unanswered import expire_instructions
from jobs.health import HealthDesk
from jobs.runner import JobRunner
from jobs.schedule import TICK_PERIOD
from jobs.table import RETRAIN, TICK, market_jobs
from jobs.virtual import VirtualDriver
from jobs.writer import Urgency, Writer
from tests.fault import crashing
from tests.fault.kill_memory import APPROVE, CASH, EXECUTE, MODE, PAUSE, RESUME, SKIP, Chat, Deed, Memory
from tests.fault.kill_setup import DEPTH, EVERY, START, IdleWorker, settings_of, stump
from tests.forest_builders import save

T = TypeVar("T")
ORDERS_WRITTEN = "intents.after_commit with orders"
MODES = (Mode.AUTO, Mode.AUTO, Mode.MANUAL, Mode.CONFIRM)


class Watch:
    """Hands checkpoints on while a kill may happen, those of an owner's deed also under the deed's name."""

    def __init__(self) -> None:
        self.is_armed = False
        self.deed = ""
        self.orders_under_way: Callable[[], bool] = lambda: False

    def __call__(self, name: str) -> None:
        if not self.is_armed:
            return
        crashing.checkpoint(name)
        if self.deed:
            crashing.checkpoint(f"{self.deed}/{name}")
        if name == "intents.after_commit" and self.orders_under_way():
            crashing.checkpoint(ORDERS_WRITTEN)


class Life:
    """`start` and then `live`. `found` is what the ledger showed before anything was mended."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        market: SimulatedMarket,
        calendar: ExchangeCalendar,
        watch: Watch | None = None,
    ) -> None:
        self.seed = seed
        self.folder = folder
        self.settings = settings_of(folder)
        self.settings.make_folders()
        self.clock = VirtualClock(START)
        self.place = choose_place("simulated", False, None, self.settings.data_dir, lambda: False)
        self.watch = watch or Watch()
        self.database = open_ledger(self.place, self.clock, checkpoint=self.watch)
        self.lease = self.database.lease()
        self.lease.acquire(self.clock.now())
        with self.database.reading() as work:
            stored = work.value(MARKET_TIME)
        if stored is not None:
            self.clock.move_to(datetime.fromisoformat(stored))
        self.watch.orders_under_way = lambda: bool(self._live(OrderState.SUBMITTING))
        self.memory = Memory(folder)
        self.chat = Chat(folder, self._row_in_hand, self.watch, self._fence)
        self.writer = Writer()
        self.engine, self.health = self._build(market, calendar)
        desk = self.engine.desk
        self.owner = OwnerDesk(desk)
        self.runner = JobRunner(desk.ledger, self.clock, self.clock, self.health.report, _raise)
        self.delivery = Delivery(
            self.chat,
            desk.ledger,
            self.writer,
            self.clock,
            lambda: self.settings.zone,
            health=self.health.report,
        )
        parts = market_work(self.engine, Retraining(self.engine, IdleWorker(), self.settings), self.health.tell)
        self._fetch = parts.collect
        # Between two bars a guard run would see nothing new here, and right after a tick hardly anything.
        parts = replace(parts, collect=self._collect, guard_idle=lambda due: due.minute % 20 != 0)
        self.jobs = {job.name: job for job in market_jobs(parts, self.writer, calendar)}

    def _build(self, market: SimulatedMarket, calendar: ExchangeCalendar) -> tuple[Engine, HealthDesk]:
        health = HealthDesk(self.database.unit_of_work, self.clock, self.clock, self.settings.heartbeat_file, 1)
        hooks = Hooks(
            health.report,
            health.components,
            checkpoint=self.watch,
            fence=self._fence,
        )
        clocks = Clocks(self.clock, self.clock)
        engine = build_engine(
            self.settings, self.place, self.database, clocks, hooks, [market], calendar, quotes=market
        )
        engine.collector.depth = DEPTH
        return engine, health

    def _fence(self) -> None:
        self.lease.check(self.clock.now())

    def wake(self) -> int:
        """The first half of a start: runs cut short are closed (returns how many), accounts reconciled."""
        self.writer.start()
        crashed = self.runner.close_crashed()
        self.health.check()
        self._write(open_accounts, self.engine.desk, self.settings.start_cash)
        return crashed

    def tap_again(self) -> None:
        """The owner got no answer to his last tap, so he taps again; the chat shows what may have arrived."""
        deed = self.memory.unanswered()
        if deed is not None:
            self._perform(deed)
        asyncio.run(self.delivery.drain())

    def begin(self) -> None:
        """The second half of a start: bars, model, the tick of the moment, the greeting.

        The model comes ready-made with the first life and is shared by all; the training job finds nothing new.
        """
        now = self.clock.now()
        with self.database.unit_of_work() as work:
            if work.champion() is None:
                work.add_model(save(stump(), self.settings.models_dir))
                work.commit()
        self.engine.collector.collect(self.engine.desk.instruments, self.engine.sizes, now)
        self.runner.run(self.jobs[RETRAIN], now)
        self.runner.run(self.jobs[TICK], now)
        self._write(greet, self.engine.desk, 1.0)

    def live(self, ticks: int, mode: str) -> None:
        """The owner asks for a mode; then every job is driven for that many ticks, unless it is killed."""
        self._perform(Deed(MODE, f"mode-{self.seed}-{self.clock.now().isoformat()}", value=mode))
        self.watch.is_armed = True
        driver = VirtualDriver(list(self.jobs.values()), self.runner, self.clock)
        driver.run(self.clock.now() + ticks * TICK_PERIOD, self._looked_at)
        self.watch.is_armed = False

    def tell_everything(self) -> int:
        """Opens the chat and delivers; returns how many rows still wait, which should be none."""
        self.chat.is_open = True
        asyncio.run(self.delivery.drain())
        with self.database.reading() as work:
            return len(work.messages_in(OutboxState.PENDING)) + len(work.messages_in(OutboxState.SENDING))

    def close(self) -> None:
        self.writer.stop()
        self.engine.close()

    def _looked_at(self, due: datetime) -> None:
        if due.minute % 15 == 0:
            self.memory.saw(self.sight())

    def sight(self) -> dict[str, Any]:
        """What can be counted upon once it was seen: numbers of cards, rows not yet sent, how much is booked."""
        with self.database.reading() as work:
            unsent = [row.id for state in OutboxState for row in work.messages_in(state) if state != OutboxState.SENT]
            return {
                "cards": [card.number for card in work.open_instructions()],
                "unsent": sorted(unsent),
                "entries": sum(1 for _ in work.entries()),
            }

    def counts(self) -> dict[str, int]:
        with self.database.reading() as work:
            return {
                "orders": len(work.orders(limit=EVERY)),
                "entries": sum(1 for _ in work.entries()),
                "cards": len(work.instructions(EVERY)),
                "messages": len(work.messages(EVERY)),
                "positions": sum(len(work.portfolio(account.id).positions) for account in work.accounts()),
            }

    # The owner and the chat, while a tick fetches its bars

    def _collect(self, due: datetime) -> CollectReport:
        report = self._fetch(due)
        if self.watch.is_armed:
            self._write(expire_instructions, self.engine.desk)
            chance = np.random.default_rng([self.seed, int(due.timestamp())])
            self.chat.is_open = bool(chance.random() < 0.6)
            deed = self._wish(chance, due)
            if deed is not None:
                self._perform(deed)
            asyncio.run(self.delivery.drain())
        return report

    def _wish(self, chance: np.random.Generator, due: datetime) -> Deed | None:
        """What the owner feels like doing now, if anything."""
        tap, mood = f"tap-{self.seed}-{due.isoformat()}", chance.random()
        cards = self.owner.pending()
        with self.database.reading() as work:
            paused = any(brake.kind is BrakeKind.PAUSED for brake in work.brakes())
        if paused:
            return Deed(RESUME, tap) if mood < 0.7 else None
        if mood < 0.1:
            return Deed(PAUSE, tap)
        if mood < 0.15:
            return Deed(MODE, tap, value=MODES[int(chance.integers(len(MODES)))].value)
        if mood < 0.25:
            return Deed(CASH, tap, value=str(Decimal(int(chance.integers(50_000, 90_000))) / 4))
        if not cards or mood > 0.9:
            return None
        card = cards[int(chance.integers(len(cards)))]
        kind = SKIP if mood < 0.35 else APPROVE if card.needs_approval else EXECUTE
        return _tap_on(card, kind, tap)

    def _perform(self, deed: Deed) -> None:
        self.memory.begins(deed)
        self.watch.deed = deed.kind
        answer = self._answer(deed)
        self.watch.deed = ""
        self.memory.was_answered(deed, answer.kind.value)

    def _answer(self, deed: Deed) -> OwnerAnswer:
        owner = self.owner
        match deed.kind:
            case "pause":
                return owner.pause(None, "owner")
            case "resume":
                return owner.resume("owner")
            case "mode":
                return self._write(owner.set_mode, Mode(deed.value), "owner")
            case "cash":
                return self._write(owner.declare_cash, Decimal(deed.value), "owner", deed.tap)
            case "skip":
                return self._write(owner.skip, deed.number, deed.version, deed.tap)
            case _:
                return self._write(owner.execute, deed.number, deed.version, deed.tap)

    def _write(self, task: Callable[..., T], *arguments: Any) -> T:
        return self.writer.submit(Urgency.OWNER, task, *arguments).result()

    def _live(self, state: OrderState) -> list[str]:
        with self.database.reading() as work:
            return [order.client_order_id for order in work.live_orders() if order.state is state]

    def _row_in_hand(self) -> OutboxMessage:
        with self.database.reading() as work:
            (row,) = [row for row in work.messages_in(OutboxState.SENDING) if row.carrier_id is None]
        return row


def _tap_on(card: Instruction, kind: str, tap: str) -> Deed:
    return Deed(
        kind,
        tap,
        number=card.number,
        version=card.version,
        symbol=card.symbol,
        side=card.side.value,
        quantity=str(card.quantity),
        price=str(card.price),
    )


def _raise(fatal: Fatal) -> None:
    raise fatal
