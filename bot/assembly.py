"""Puts a live installation together out of the engine, the jobs and the owner's side."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.bootstrap import (
    Clocks,
    Engine,
    Hooks,
    account_at,
    build_engine,
    make_second_channels,
    open_ledger,
)
from bot.contesting import Contesting
from bot.data_health import report_refusals
from bot.deadman import DeadManPing
from bot.housekeeping import keep_house
from bot.listening import TRADE_STREAM, Listening
from bot.live import Live, LiveParts
from bot.live_status import LiveStatusDesk
from bot.market_work import MARKET_DATA, MARKET_TIME, Retraining, market_work, recipe_of
from bot.model_desk import ModelDesk
from bot.opening import kept_seed
from bot.price_sources import (
    Prices,
    lookup_of,
    make_alpaca,
    make_calendar,
    make_simulated_market,
    make_yahoo,
    real_prices,
    simulated_prices,
)
from bot.scouting import Search, looked_back, scout_market
from bot.second_line import SecondLine
from bot.telephone import Telephone
from bot.watchdog import Watchdog
from bot.worlds import Place, is_local, place_of
from core.checkpoints import Checkpoint, nowhere
from core.clock import ScaledClock, SystemClock
from core.domain.accounts import AccountKind, World
from core.domain.instruments import DEFAULT_SYMBOLS, instrument_for
from core.domain.values import ZERO
from core.execution import away
from core.execution.attesting import ask_weekly
from core.execution.desk import Desk
from core.execution.escalation import remind
from core.execution.live_skill import SKILL
from core.execution.owner import OwnerDesk
from core.execution.unanswered import expire_instructions
from core.feed.coverage import Coverage, covered
from core.feed.standing import Rules
from core.ports import Broker, LeaseKeeper, TradeNews
from core.settings import Settings
from core.storage.engine import database_path
from core.storage.lease import TTL
from core.storage.store import Database
from jobs.health import HealthDesk
from jobs.runner import JobRunner
from jobs.schedule import TICK_PERIOD, Job, every
from jobs.table import HouseWork, house_jobs, market_jobs, train_now
from jobs.worker import SpawnedWorker
from jobs.writer import Writer

log = logging.getLogger("autotrader.start")

YAHOO_PROBE_SECONDS = 8.0
SCOUTED_DAYS = timedelta(days=60)
SCOUTED_SPANS = 3
"""A forest that has found nothing may be silent for months: of twelve markets one was for more than sixty days."""
SCOUT_DEADLINE = 300.0
PARALLEL_FETCHES = 4


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line adds to the settings."""

    speed: float
    world: str
    seed: int
    local_phone: bool


class LiveAssembly:
    """Opens everything a live run needs, in a thread of its own; nothing is traded yet."""

    def __init__(
        self,
        settings: Settings,
        options: RunOptions,
        live: Live,
        checkpoint: Checkpoint = nowhere,
        lease_life: timedelta = TTL,
    ) -> None:
        self._settings = settings
        self._options = options
        self._live = live
        self._checkpoint = checkpoint
        self._lease_life = lease_life
        self._system = SystemClock()
        self._calendar = make_calendar()
        self._worker = SpawnedWorker()
        live.stop_worker = self._worker.stop
        self._local = is_local(settings, asked_for=options.local_phone)

    def build(self) -> LiveParts:
        """Raises Fatal: another process holds the ledger, or a setting or file cannot be used."""
        settings = self._settings
        settings.make_folders()
        yahoo = make_yahoo(self._calendar, self._system, settings.data_dir / "yahoo")
        place = self._place(lambda: yahoo.trouble(YAHOO_PROBE_SECONDS))
        database = open_ledger(place, self._system, checkpoint=self._checkpoint)
        lease = database.lease(life=self._lease_life)
        try:
            lease.acquire(self._system.now())
            self._live.lease = lease
            seed = self._seed(database) if place.world is World.SIMULATED else None
            clock = self._market_clock(database, seed)
            if seed is not None:
                prices = simulated_prices(make_simulated_market(seed, self._calendar))
                return self._assemble(place, database, lease, prices, clock)
            alpaca = make_alpaca(settings, self._calendar, self._system)
            prices = real_prices(settings, yahoo, alpaca)
            return self._assemble(place, database, lease, prices, clock, account_at(alpaca, settings))
        except BaseException:
            self._live.lease = None
            lease.release()
            database.close()
            raise

    def _place(self, yahoo_trouble: Callable[[], str]) -> Place:
        settings = self._settings
        place = place_of(settings, self._options.world, yahoo_trouble)
        log.info("%s prices%s", place.world, f": {place.reason}" if place.reason else "")
        if place.left_behind is not None and not database_path(place.database).exists():
            log.info("the try-out stays in %s; a new ledger begins with what is real", place.left_behind)
        if settings.trades_real_money:
            number = settings.allow_real_money
            log.warning("LIVE: real money of Alpaca's account %s, once you have allowed it in the chat", number)
        elif settings.alpaca_keys is not None and place.world is World.REAL:
            log.info("PAPER: orders go to your paper account at Alpaca")
        return place

    def _seed(self, database: Database) -> int:
        """A simulated world keeps the seed it began with: another one would be another market."""
        seed = kept_seed(database.unit_of_work, self._options.seed)
        if seed != self._options.seed:
            log.info("this simulated market began with seed %s and keeps it", seed)
        return seed

    def _market_clock(self, database: Database, seed: int | None) -> SystemClock | ScaledClock:
        """Real prices follow real time. Simulated time resumes where it stopped, and begins where it is lively."""
        if seed is None:
            return self._system
        with database.reading() as work:
            stored = work.value(MARKET_TIME)
        start = datetime.fromisoformat(stored) if stored else self._first_moment(seed)
        return ScaledClock(self._system, start, 0.0)

    def _first_moment(self, seed: int) -> datetime:
        latest = every(TICK_PERIOD)(self._system.now() - TICK_PERIOD)
        earliest = latest - SCOUTED_DAYS
        instruments = tuple(instrument_for(each) for each in self._settings.symbols if each in DEFAULT_SYMBOLS)
        if not instruments:
            return latest
        log.info("looking through the simulated market's last %d days for a lively start", SCOUTED_DAYS.days)
        search = Search(seed, instruments, self._settings.policy(), self._settings.start_cash, earliest, latest)
        recipe = recipe_of(self._settings)

        def look(part: Search) -> datetime | None:
            return self._worker.run(scout_market, part, recipe, deadline=SCOUT_DEADLINE)

        return looked_back(search, look, SCOUTED_SPANS) or latest

    def _assemble(
        self,
        place: Place,
        database: Database,
        lease: LeaseKeeper,
        prices: Prices,
        clock: SystemClock | ScaledClock,
        account: tuple[Broker, TradeNews] | None = None,
    ) -> LiveParts:
        settings, system = self._settings, self._system
        health = self._health(database, clock)
        hooks = Hooks(
            health.report, health.components, clock.speed, self._live.next_cycle_at, self._checkpoint, self._live.fence
        )
        engine = build_engine(
            settings,
            place,
            database,
            Clocks(system, clock),
            hooks,
            prices.sources,
            self._calendar,
            quotes=prices.quotes,
            parallel=None if place.world is World.SIMULATED else PARALLEL_FETCHES,
            rules=Rules(),
            broker=account[0] if account is not None else None,
            news=account[1] if account is not None else None,
        )
        writer = Writer()
        telephone = self._telephone(engine, prices, clock)
        listening = Listening(engine.desk, engine.news, prices.live, system)
        retraining = Retraining(engine, self._worker, settings)
        jobs = self._jobs(place, engine, writer, lease, health, telephone, prices, listening, retraining)
        runner = JobRunner(database.unit_of_work, system, clock, health.report, self._live.fail)
        return LiveParts(
            engine=engine,
            owner=OwnerDesk(engine.desk),
            telephone=telephone,
            listening=listening,
            jobs=jobs,
            runner=runner,
            models=ModelDesk(
                database.unit_of_work,
                database.reading,
                engine.models,
                clock,
                lambda: train_now(jobs, retraining.whatever_is_new, runner, clock),
            ),
            health=health,
            writer=writer,
            system_clock=system,
            market_clock=clock,
            speed=self._options.speed if place.world is World.SIMULATED else 1.0,
            play_money=settings.start_cash if place.play_money else ZERO,
            left_behind=place.left_behind.name if place.left_behind is not None else "",
            release_prices=prices.close,
        )

    def _health(self, database: Database, clock: SystemClock | ScaledClock) -> HealthDesk:
        return HealthDesk(
            database.unit_of_work,
            self._system,
            clock,
            self._settings.heartbeat_file,
            os.getpid(),
            self._checkpoint,
            # What goes on all the same is no alarm: /status says it. Skill has news of its own.
            frozenset({MARKET_DATA, TRADE_STREAM, SKILL, *(kind.value for kind in AccountKind)}),
        )

    def _telephone(self, engine: Engine, prices: Prices, clock: SystemClock | ScaledClock) -> Telephone:
        def coverage() -> list[Coverage]:
            traded = [instrument.symbol for instrument in engine.desk.instruments]
            return covered(engine.database.bars, self._calendar, traded)

        return Telephone(
            self._settings,
            self._settings.data_dir / "phone.sqlite",
            self._system,
            clock,
            local=self._local,
            checkpoint=self._checkpoint,
            lookup=lookup_of(prices, clock),
            coverage=coverage,
        )

    def _sign_of_life(self, health: HealthDesk) -> DeadManPing | None:
        url = self._settings.dead_man_url
        return DeadManPing(url.get_secret_value(), health.report) if url is not None else None

    def _second_line(self, engine: Engine, health: HealthDesk) -> Callable[[], str] | None:
        channels = make_second_channels(self._settings, self._system)
        if not channels:
            return None
        return SecondLine(engine.desk, channels, health.report).look

    def _jobs(
        self,
        place: Place,
        engine: Engine,
        writer: Writer,
        lease: LeaseKeeper,
        health: HealthDesk,
        telephone: Telephone,
        prices: Prices,
        listening: Listening,
        retraining: Retraining,
    ) -> dict[str, Job]:
        """The whole table by name. After each cycle the owner is told what changed at once."""
        status = LiveStatusDesk(engine.database.unit_of_work, self._system, engine.desk.market_clock)

        def tell() -> None:
            health.tell()
            status.refresh()
            telephone.wake()

        def check_health() -> str:
            self._live.fence()
            engine.database.bear_witness()
            report_refusals(prices.refusals, health.report)
            listening.report(health.report)
            return health.check()

        contesting = Contesting(engine, self._worker, self._settings)
        work = market_work(engine, retraining, tell, after_look=listening.follow, contest=contesting)
        house = HouseWork(
            renew_lease=lambda: lease.renew(self._system.now()).holder,
            expire=lambda: _look_after_owner(engine.desk),
            check_health=check_health,
            maintain=lambda: keep_house(engine, place, self._settings, health.report, self._system.now()),
            attest=lambda: ask_weekly(engine.desk),
            watch=Watchdog(engine.desk, health.report, engine.desk.speed, self._sign_of_life(health)).look,
            second_line=self._second_line(engine, health),
        )
        table = (*market_jobs(work, writer, self._calendar), *house_jobs(house, writer))
        return {job.name: job for job in table}


def _look_after_owner(desk: Desk) -> str:
    """What waits for the owner's word, and for how long."""
    if desk.real_money is not None:
        desk.real_money.look(desk)
    return f"{expire_instructions(desk)} expired, {remind(desk)} reminders; {away.look(desk)}"
