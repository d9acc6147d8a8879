"""The composition root: with bot.price_sources the only place that knows which adapter stands behind which port."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bot.price_sources import actions_of
from bot.worlds import Place
from core.adapters.calendars import ExchangeCalendar
from core.adapters.mail import Mail
from core.adapters.model_files import ModelFiles
from core.adapters.ntfy import Ntfy
from core.adapters.simulated_actions import ActionsBetween
from core.adapters.simulated_broker import SimulatedBroker, stocks_only
from core.adapters.simulated_market import SimulatedMarket
from core.adapters.simulated_profiles import ALPACA
from core.adapters.simulated_venue_journal import newest_time
from core.checkpoints import Checkpoint, nowhere
from core.collect import OVERLAP, Collector
from core.domain.accounts import Account, AccountKind, Mode, World
from core.domain.bars import BarSize
from core.domain.instruments import Universe
from core.domain.orders import OrderNamespace
from core.domain.views import ComponentHealth, Health
from core.errors import Fatal
from core.execution.desk import Desk
from core.execution.manual_broker import ManualBroker
from core.execution.real_money import Connected, RealMoney
from core.feed.backfill import BackFiller
from core.feed.standing import Rules
from core.ports import Broker, Clock, MarketData, ModelStore, Quotes, SecondChannel, TradeNews
from core.series import BarSeries
from core.settings import Settings
from core.settings.book import SettingsBook
from core.storage.advice import in_words
from core.storage.backup import back_up, backups_of
from core.storage.engine import database_path
from core.storage.soundness import faults_at_start, page_faults
from core.storage.store import Database, open_database
from core.strategy.predictor import ForestPredictor
from jobs.champion import Champion

if TYPE_CHECKING:
    from core.adapters.alpaca import Alpaca
    from core.adapters.alpaca_broker import AlpacaBroker

SIMULATED, MANUAL = AccountKind.SIMULATED.value, AccountKind.MANUAL.value
EVERY_BAR = 1_000_000


@dataclass(frozen=True, slots=True)
class Clocks:
    system: Clock
    market: Clock


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the running system is told and asked by its lower floors."""

    health: Callable[[str, Health, str], None]
    components: Callable[[], tuple[ComponentHealth, ...]] = lambda: ()
    speed: Callable[[], float] = lambda: 1.0
    next_cycle_at: Callable[[], datetime | None] = lambda: None
    checkpoint: Checkpoint = nowhere
    fence: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Engine:
    """The trading engine with its adapters in place, the same for live and replay. `news` of trades is by account."""

    database: Database
    calendar: ExchangeCalendar
    desk: Desk
    collector: Collector
    filler: BackFiller | None
    champion: Champion
    models: ModelStore
    clocks: Clocks
    venue: SimulatedBroker | None
    sizes: tuple[BarSize, ...]
    book: SettingsBook
    news: Mapping[str, TradeNews] = field(default_factory=dict)

    def close(self) -> None:
        self.collector.close()
        if self.filler is not None:
            self.filler.close()
        if self.venue is not None:
            self.venue.close()
        self.database.close()


def open_ledger(
    place: Place,
    clock: Clock,
    *,
    durable: bool = True,
    installation_id: str | None = None,
    checkpoint: Checkpoint = nowhere,
) -> Database:
    """The ledger of `place`, made where there was never one. `installation_id` names a new one, else it is random.

    An existing file is looked at before it is touched: one that is not whole is refused with what to do. Raises Fatal.
    """
    path = database_path(place.database)
    wrong = faults_at_start(path)
    if wrong:
        raise Fatal(in_words(path, wrong[0]))
    return open_database(
        place.database,
        durable=durable,
        clock=clock,
        world=place.world,
        installation_id=installation_id,
        checkpoint=checkpoint,
    )


def make_models(settings: Settings) -> ModelStore:
    """The installation's model files, each handed out only where it is what the ledger registered."""
    return ModelFiles(settings.models_dir, ForestPredictor.from_bytes)


def build_engine(
    settings: Settings,
    place: Place,
    database: Database,
    clocks: Clocks,
    hooks: Hooks,
    sources: Sequence[MarketData],
    calendar: ExchangeCalendar,
    *,
    confirm_size: BarSize = BarSize.M5,
    quotes: Quotes | None = None,
    parallel: int | None = None,
    overlap: int = OVERLAP,
    symbols: Sequence[str] | None = None,
    rules: Rules | None = None,
    broker: Broker | None = None,
    news: TradeNews | None = None,
) -> Engine:
    """Wires ledger, venues, market data and model into a desk. Play money means: the simulated broker trades; else the
    `broker` does, an account at a real venue, where there is one, and `news` tells of its trades.
    `sources` of bars, the best first: by `rules` another one continues where one fails."""
    listened = {broker.account.id: news} if broker is not None and news is not None else {}
    book = SettingsBook(settings, database.unit_of_work, clocks.system)
    universe = Universe.of(symbols) if symbols else Universe(lambda: book.current.symbols)
    models = make_models(settings)
    champion = Champion(database.reading, models, hooks.health)
    venue = None
    if place.play_money:
        actions = actions_of(sources, universe)
        venue = _venue(settings, place, database, clocks, hooks, calendar, confirm_size, actions)
    trading = venue or broker
    gate = _gate(settings, broker)
    installation = database.installation()
    desk = Desk(
        ledger=database.unit_of_work,
        reader=database.reading,
        brokers=_brokers(place, database, clocks.system, trading, gate),
        bars=database.bars,
        calendar=calendar,
        market_clock=clocks.market,
        system_clock=clocks.system,
        namespace=OrderNamespace(installation.installation_id, installation.epoch),
        rules=book.policy,
        universe=universe,
        world=place.world,
        signals_folder=settings.signals_dir,
        trading_account=trading.account.id if trading is not None else None,
        confirm_size=confirm_size,
        quotes=quotes,
        predictor=champion,
        health=hooks.health,
        components=hooks.components,
        looked=partial(_looked, listened),
        sent=partial(_sent, listened),
        checkpoint=hooks.checkpoint,
        fence=hooks.fence,
        speed=hooks.speed,
        next_cycle_at=hooks.next_cycle_at,
        default_mode=settings.mode or (Mode.AUTO if trading is not None and gate is None else Mode.MANUAL),
        zone=lambda: book.current.zone,
        real_money=gate,
    )
    collector, filler = _feed(sources, database, calendar, parallel, overlap, rules, hooks.checkpoint)
    sizes = tuple(dict.fromkeys((BarSize.D1, confirm_size)))
    return Engine(database, calendar, desk, collector, filler, champion, models, clocks, venue, sizes, book, listened)


def _feed(
    sources: Sequence[MarketData],
    database: Database,
    calendar: ExchangeCalendar,
    parallel: int | None,
    overlap: int,
    rules: Rules | None,
    checkpoint: Checkpoint,
) -> tuple[Collector, BackFiller | None]:
    """What fetches new bars and, where sources may change, what fills gaps."""
    collector = Collector(
        sources, database.bars, calendar, parallel=parallel, overlap=overlap, checkpoint=checkpoint, rules=rules
    )
    if rules is None:
        return collector, None
    return collector, BackFiller(sources, database.bars, calendar, parallel=parallel, checkpoint=checkpoint)


def account_at(alpaca: Alpaca | None, settings: Settings) -> tuple[AlpacaBroker, TradeNews] | None:
    """The account that the keys are for, and word of its trades; None without keys. Asks nobody."""
    if alpaca is None:
        return None
    kind = AccountKind.ALPACA_PAPER if settings.alpaca_paper else AccountKind.ALPACA_LIVE
    account = Account(kind.value, kind, World.REAL)
    return alpaca.broker(account), alpaca.trade_news(account)


def _looked(news: Mapping[str, TradeNews], account: str, found: int) -> None:
    if account in news:
        news[account].looked(found)


def _sent(news: Mapping[str, TradeNews], account: str) -> None:
    if account in news:
        news[account].sent()


def _gate(settings: Settings, broker: Broker | None) -> RealMoney | None:
    """Before a live account."""
    if broker is None or broker.account.kind is not AccountKind.ALPACA_LIVE:
        return None
    return RealMoney(broker, settings.allow_real_money or "")


def _brokers(
    place: Place, database: Database, clock: Clock, trading: Broker | None, gate: RealMoney | None
) -> Mapping[str, Broker]:
    """By account; the owner's own hand is always one of them."""
    account = Account(MANUAL, AccountKind.MANUAL, place.world)
    manual = ManualBroker(account, database.unit_of_work, clock, database.reading)
    return Connected({**({trading.account.id: trading} if trading is not None else {}), MANUAL: manual}, gate)


def _venue(
    settings: Settings,
    place: Place,
    database: Database,
    clocks: Clocks,
    hooks: Hooks,
    calendar: ExchangeCalendar,
    size: BarSize,
    actions: ActionsBetween,
) -> SimulatedBroker:
    """It charges and fills as Alpaca does. Coins' volume is believed of the simulated market alone: Yahoo's is in USD
    or zero, files come in either unit."""

    def tells_volume(symbol: str) -> bool:
        return stocks_only(symbol) or database.bars.source_of(symbol, size) == SimulatedMarket.name

    _refuse_lost_venue(place, database)

    def bars_after(symbol: str, after: datetime, until: datetime) -> BarSeries:
        most = min(EVERY_BAR, (until - after) // size.span + 2)
        return database.bars.read(symbol, size, until, most).after(after)

    return SimulatedBroker(
        Account(SIMULATED, AccountKind.SIMULATED, place.world),
        clock=clocks.market,
        bars_after=bars_after,
        calendar=calendar,
        opening_cash=Decimal(settings.start_cash),
        path=place.venue_file,
        profile=ALPACA,
        tells_volume=tells_volume,
        actions=actions,
        checkpoint=hooks.checkpoint,
        fence=hooks.fence,
    )


def _refuse_lost_venue(place: Place, database: Database) -> None:
    """A venue that the ledger has traded at does not begin anew, with other money, because its journal is gone."""
    file = place.venue_file
    if file is None or file.exists():
        return
    with database.reading() as work:
        if all(account.id != SIMULATED for account in work.accounts()):
            return
    whole = next((copy for copy in backups_of(file) if not page_faults(copy)), None)
    way = f"copy {whole} there" if whole else f"move {database.path.name} away, too, to begin anew"
    raise Fatal(f"{file}, the journal of the simulated venue, is missing though the ledger has traded there: {way}")


def back_up_venue(place: Place, now: datetime) -> Path | None:
    """A copy of the simulated venue's journal, made after the ledger's so that it is never behind it; None without one.

    Restoring the ledger leaves the venue as it is: to the ledger it is the outside world. The copy is for a damaged
    journal. Raises BackupFailed.
    """
    if place.venue_file is None or not place.venue_file.exists():
        return None
    return back_up(place.venue_file, now, check=page_faults)


def newest_venue_time(place: Place) -> datetime | None:
    """The market time that the simulated venue has seen; None where there is no journal that can be read."""
    return newest_time(place.venue_file) if place.venue_file is not None else None


def make_second_channels(settings: Settings, clock: Clock) -> Sequence[SecondChannel]:
    """Those that are set."""
    channels: list[SecondChannel] = []
    if settings.ntfy_url is not None:
        channels.append(Ntfy(settings.ntfy_url.get_secret_value()))
    if settings.mail_url is not None:
        channels.append(Mail(settings.mail_url.get_secret_value(), clock))
    return channels
