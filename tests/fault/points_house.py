"""One process of an installation that is killed: the product's own parts over the outside world of `points_world`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np

from bot.bootstrap import SIMULATED, Clocks, Engine, Hooks, build_engine, open_ledger
from bot.commands.talk import Talk
from bot.contesting import Contesting
from bot.delivery import Delivery
from bot.gate import Gate
from bot.hands import Hands
from bot.live_status import LiveStatusDesk
from bot.market_work import Retraining, market_work
from bot.message import Message
from bot.model_desk import ModelDesk
from bot.opening import greet, kept_seed, open_accounts
from bot.ownership import Identity
from bot.pairing import Pairing
from bot.second_line import SecondLine
from bot.transport import TelegramTransport
from bot.watchdog import Watchdog
from bot.worlds import Place
from core.adapters.calendars import ExchangeCalendar
from core.checkpoints import Checkpoint
from core.clock import VirtualClock
from core.domain.accounts import World
from core.domain.bars import Bar, BarSize
from core.domain.orders import OrderState
from core.domain.records import Instruction, OutboxState, Question
from core.domain.views import OwnerAnswer
from core.errors import Fatal
from core.execution import away
from core.execution.attesting import ask_weekly
from core.execution.escalation import remind
from core.execution.owner import OwnerDesk
from core.execution.unanswered import expire_instructions
from core.feed.standing import Rules
from core.learning.contest import Walk
from core.learning.tracks import Track
from core.learning.training import TrainingOutcome, TrainingRequest
from core.learning.validation import Scores
from core.settings import Settings
from core.strategy.policy import Policy
from jobs.health import HealthDesk
from jobs.maintenance import maintain
from jobs.runner import JobRunner
from jobs.schedule import TICK_PERIOD
from jobs.table import GUARD, HouseWork, house_jobs, market_jobs
from jobs.writer import Urgency, Writer
from tests.builders import SteadyPredictor
from tests.fault.kill_memory import append, lines_of
from tests.fault.kill_setup import stump
from tests.fault.points_witness import ALARM, BOT, BROKER, MARKET, PING, QUOTES, WORKER, Witness
from tests.fault.points_world import Chat, LastingVenue, Notes, Prices, Spare, Unsteady, price_of
from tests.forest_builders import save

T = TypeVar("T")
START = datetime(2024, 3, 4, 16, 0, tzinfo=UTC)
"""A Monday, an hour and a half after New York has opened."""
COIN, SHARE = "BTC-USD", "SPY"
SYMBOLS = (COIN, SHARE)
CHAMPION, WINNER = "scaled-asset", "scaled-pooled"
OWNER = Identity(111, 111)
CASH = Decimal(10_000)
UNDER_WAY = (OrderState.SUBMITTING, OrderState.UNKNOWN, OrderState.CANCEL_PENDING)
GRACE_MINUTES = 8
"""More than an entry is waited for (core.execution.corrections.PATIENCE) at a venue that shows it within a minute."""


@dataclass(frozen=True)
class Step:
    """What happens `minutes` after the step before; a bar of `prices` (one, or open, high, low, close) of `symbol`
    closes then."""

    do: Callable[[House], object]
    minutes: int = 0
    prices: tuple[float, ...] = ()
    symbol: str = COIN


@dataclass(frozen=True)
class Scene:
    """What an installation lives through. `venue`: "scripted" does what the steps say, "simulated" is the product's
    own, "" is none. `is_founded`: it begins on an installation that was started before. `expect` holds of the
    undisturbed end. `at_odds`: the venue holds something that nobody explains; `may_fail`: a job does; `is_silent`:
    messages are marked as sent that nobody gets. `spare`: bars may come from a second source too. `always_stopped`: at
    no moment rests no stop, or two, while something is held. `varies` says why a kill may change the end, where it may.
    """

    name: str
    steps: Sequence[Step]
    venue: str = "scripted"
    policy: Policy = field(default_factory=Policy)
    is_founded: bool = True
    is_paired: bool = True
    probability: float = 0.7
    symbols: tuple[str, ...] = (COIN,)
    settings: tuple[tuple[str, str], ...] = ()
    at_odds: bool = False
    may_fail: bool = False
    is_silent: bool = False
    spare: bool = False
    always_stopped: bool = False
    varies: str = ""
    expect: Callable[[House], object] = lambda _house: None

    def time_of(self, step: int) -> datetime:
        return START + timedelta(minutes=sum(each.minutes for each in self.steps[: step + 1]))

    def bars(self) -> list[Bar]:
        bars = []
        for number, step in enumerate(self.steps):
            if step.prices:
                four = (step.prices * 4)[:4] if len(step.prices) == 1 else step.prices
                closed = self.time_of(number)
                bars.append(Bar(step.symbol, BarSize.M5, closed - TICK_PERIOD, closed, *four, volume=1000.0))
        return bars


class Lessons:
    """The worker: training takes no time here. In a contest one recipe foresees more than the champion's."""

    def run(self, task: Callable[..., T], request: TrainingRequest | Walk | Track, *more: Any, deadline: float) -> Any:
        del deadline
        if isinstance(request, Walk):
            return _walked(request)
        if isinstance(request, Track):
            return task(request, *more)
        model = replace(save(stump(), request.folder), recipe=request.recipe.name)
        scores = Scores(200, 0.55, 0.69, 0.69, 0.5)
        names = (model.recipe, model.event, model.feature_names, model.feature_version, model.rows, model.last_bar_at)
        files = (model.path, model.sha256, model.flat_path, model.flat_sha256)
        return TrainingOutcome(model.version, *names, *files, scores, {}, {})


def _walked(walk: Walk) -> Track:
    days = {CHAMPION: 1500, WINNER: 1500}.get(walk.recipe.name, 10)
    gained = np.random.default_rng(days).normal(0.2 if walk.recipe.name == WINNER else 0.0, 0.1, days)
    return Track(walk.recipe.name, {COIN: 86_400 * np.arange(days)}, {COIN: gained})


class House:
    """`start`, then `live`: every step that no earlier process has finished, the first of them perhaps again."""

    def __init__(
        self,
        folder: Path,
        scene: Scene,
        prices: Prices,
        calendar: ExchangeCalendar,
        witness: Witness,
        checkpoint: Checkpoint,
    ) -> None:
        self.scene = scene
        self.witness = witness
        self.outside = folder / "outside"
        self.outside.mkdir(parents=True, exist_ok=True)
        self.notes = Notes(self.outside / "notes.json")
        self.done = sum(1 for _ in lines_of(self.outside / "steps.jsonl"))
        self.clock = VirtualClock(scene.time_of(min(self.done, len(scene.steps) - 1)))
        given = {"STATE_DIR": folder / "home", "SYMBOLS": ",".join(scene.symbols), "TIME_ZONE": "UTC"}
        self.settings = Settings.model_validate({**given, **dict(scene.settings)})
        self.settings.make_folders()
        self.checkpoint = checkpoint
        self.prices = prices.of(scene.bars())
        data = self.settings.data_dir
        self.place = Place(
            World.REAL, f"sqlite:///{data / 'ledger.sqlite'}", bool(scene.venue), data / "venue.sqlite", ""
        )
        self.database = open_ledger(
            self.place, self.clock, durable=False, installation_id="points", checkpoint=checkpoint
        )
        self.lease = self.database.lease()
        self.lease.acquire(self.clock.now())
        self.health = HealthDesk(
            self.database.unit_of_work, self.clock, self.clock, self.settings.heartbeat_file, 1, checkpoint
        )
        self.venue = self._scripted_venue()
        self.engine = self._engine(calendar)
        self.desk = self.engine.desk
        self.owner = OwnerDesk(self.desk)
        self.writer = Writer()
        self._jobs(calendar)
        self._line()

    def _scripted_venue(self) -> LastingVenue:
        venue = LastingVenue(self.clock, price_of(self.prices, self.clock), cash=CASH)
        return venue.keep_in(self.outside / "venue.pickle")

    def _engine(self, calendar: ExchangeCalendar) -> Engine:
        market = self.witness.over(Unsteady(self.prices, lambda: "prices are down" in self.notes), MARKET)
        quotes = self.witness.over(self.prices, QUOTES)
        spare = [self.witness.over(Spare(self.prices), MARKET)] if self.scene.spare else []
        engine = build_engine(
            self.settings,
            self.place,
            self.database,
            Clocks(self.clock, self.clock),
            Hooks(self.health.report, self.health.components, checkpoint=self.checkpoint),
            [market, *spare],
            calendar,
            quotes=quotes,
            overlap=0,
            rules=Rules() if self.scene.spare else None,
        )
        brokers = dict(engine.desk.brokers)
        if self.scene.venue == "scripted":
            brokers[SIMULATED] = self.venue
        desk = replace(
            engine.desk,
            brokers={name: self.witness.over(broker, BROKER) for name, broker in brokers.items()},
            rules=lambda: self.scene.policy,
            predictor=lambda: SteadyPredictor(self.scene.probability),
        )
        return replace(engine, desk=desk)

    def _jobs(self, calendar: ExchangeCalendar) -> None:
        worker = self.witness.over(Lessons(), WORKER)
        work = market_work(
            self.engine,
            Retraining(self.engine, worker, self.settings),
            self.health.tell,
            contest=Contesting(self.engine, worker, self.settings),
        )
        sign_of_life = self.witness.over(SimpleNamespace(ping=lambda: True), PING)
        channel = self.witness.over(SimpleNamespace(name="ntfy", send=lambda _title, _text: None), ALARM)
        house = HouseWork(
            attest=lambda: ask_weekly(self.desk),
            renew_lease=lambda: self.lease.renew(self.clock.now()).holder,
            expire=lambda: (
                f"{expire_instructions(self.desk)} expired, {remind(self.desk)} reminders; {away.look(self.desk)}"
            ),
            check_health=self.health.check,
            maintain=lambda: maintain(
                self.database,
                self.clock.now() + timedelta(days=1),
                self.health.report,
                forget_bars=lambda: self.database.bars.forget(
                    {BarSize.M5: self.clock.now() - timedelta(hours=2)}, "imported"
                ),
            ),
            watch=Watchdog(self.desk, self.health.report, lambda: 1.0, sign_of_life).look,
            second_line=SecondLine(self.desk, [channel], self.health.report).look,
        )
        table = (*market_jobs(work, self.writer, calendar), *house_jobs(house, self.writer))
        self.jobs = {job.name: job for job in table}
        self.runner = JobRunner(self.database.unit_of_work, self.clock, self.clock, self.health.report, _raise)

    def _line(self) -> None:
        self.chat = Chat(self.outside, self.notes, self._row_in_hand)
        self.hands = Hands(self.writer)
        self.pairing = Pairing(self.clock, lambda _code, _until: None, lambda: "ABCDEFGH")
        ledger = self.desk.ledger
        self.gate = Gate(
            ledger, self.hands, self.clock, self.clock, self.pairing, OWNER if self.scene.is_paired else None
        )
        bot = self.witness.over(self.chat, BOT)
        self.transport = TelegramTransport(bot, self.gate.chat, "", self.checkpoint)
        self.delivery = Delivery(
            self.transport,
            ledger,
            self.writer,
            self.clock,
            lambda: self.settings.zone,
            health=self.health.report,
            status=lambda: Message("how things are"),
        )
        live = LiveStatusDesk(ledger, self.clock, self.clock)
        models = ModelDesk(ledger, self.database.reading, self.engine.models, self.clock, lambda: None)
        self.talk = Talk(self.owner, self.hands, self.clock, self.engine.book, ledger, live, self.clock, models=models)

    # what a process does

    def start(self) -> None:
        """As a live run does: runs cut short are closed, accounts reconciled, the owner greeted."""
        self.writer.start()
        self.runner.close_crashed()
        self.health.check()
        self.write(open_accounts, self.desk, CASH if self.place.play_money else Decimal(0))
        kept_seed(self.database.unit_of_work, 7)
        asyncio.run(self.gate.open())
        self.write(greet, self.desk, 1.0)

    def live(self) -> None:
        for number in range(self.done, len(self.scene.steps)):
            self.clock.move_to(self.scene.time_of(number))
            self.step = number
            self.scene.steps[number].do(self)
            append(self.outside / "steps.jsonl", {"done": number})
        self._come_to_rest()
        self.deliver()

    def _come_to_rest(self) -> None:
        """What a kill has left in doubt at the last step has its grace, minute by minute, before it is judged."""
        for _ in range(GRACE_MINUTES):
            if not self.read(lambda work: [each for each in work.live_orders() if each.state in UNDER_WAY]):
                return
            self.clock.advance(timedelta(minutes=1))
            self.job(GUARD)

    def close(self) -> None:
        self.writer.stop()
        self.hands.close()
        self.engine.close()

    # what a step may do

    def job(self, name: str) -> None:
        """Runs a job as due now."""
        due = self.clock.now()
        self.runner.run(self.jobs[name], due)

    def tap(self, deed: Callable[..., OwnerAnswer], *arguments: Any) -> OwnerAnswer:
        return self.write(deed, *arguments)

    def write(self, task: Callable[..., T], *arguments: Any) -> T:
        return self.writer.submit(Urgency.OWNER, task, *arguments).result()

    def deliver(self) -> None:
        self.delivery.retry_now()
        asyncio.run(self.delivery.drain())

    def once(self, deed: Callable[[LastingVenue], object]) -> None:
        """Something goes on at the venue without our doing, in this step."""
        self.venue.happens(f"step {self.step}", deed)

    def chat_goes_wrong(self, *mishaps: str) -> None:
        if f"mishaps {self.step}" not in self.notes:
            self.notes["chat mishaps"] = list(mishaps)
            self.notes[f"mishaps {self.step}"] = True

    def card(self) -> tuple[int, int]:
        """Number and version on the newest open card, one to approve first, as the owner saw them when he first tapped
        in this step."""
        return tuple(self.notes.get(f"card {self.step}", lambda: [self._card().number, self._card().version]))

    def question(self) -> tuple[int, int]:
        return tuple(self.notes.get(f"card {self.step}", lambda: [self._asked().number, self._asked().version]))

    def _card(self) -> Instruction:
        return max(self.owner.pending(), key=lambda card: (card.needs_approval, card.number))

    def _asked(self) -> Question:
        return max(self.owner.questions(), key=lambda asked: asked.number)

    def read(self, question: Callable[[Any], T]) -> T:
        with self.database.reading() as work:
            return question(work)

    def _row_in_hand(self) -> int:
        with self.database.reading() as work:
            rows = work.messages_in(OutboxState.SENDING)
        return next((row.id for row in rows if row.carrier_id is None), 0)


def _raise(fatal: Fatal) -> None:
    raise fatal
