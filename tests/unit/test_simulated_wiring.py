"""How the composition root sets up the simulated broker: as Alpaca charges, with no faults, and believing only volumes
whose unit is known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bot.bootstrap import Clocks, Engine, Hooks, build_engine, open_ledger
from bot.market_work import market_work
from bot.opening import open_accounts
from bot.price_sources import make_calendar, make_simulated_market
from bot.worlds import Place
from core.adapters.simulated_profiles import ALPACA
from core.clock import VirtualClock
from core.domain.accounts import Account, AccountKind, World
from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from core.domain.orders import OrderType, Purpose, Side
from core.domain.venue import OrderRequest
from core.execution.reconcile import reconcile
from core.settings import load_settings
from core.settings.editable import WATCHED
from tests.fakes_chaos import ChaosVenue

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
COINS = ("BTC-USD", "ETH-USD")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    settings = load_settings({"STATE_DIR": str(tmp_path)}, None)
    settings.make_folders()
    clock = VirtualClock(NOW)
    place = Place(World.SIMULATED, f"sqlite:///{tmp_path / 'ledger.sqlite'}", True, None, "test")
    database = open_ledger(place, clock, durable=False)
    engine = build_engine(
        settings, place, database, Clocks(clock, clock), Hooks(lambda *_: None), [], make_calendar(), symbols=COINS
    )
    yield engine
    engine.close()


def test_play_money_pays_as_at_alpaca_and_meets_no_injected_fault(engine: Engine) -> None:
    assert engine.venue is not None
    assert engine.venue._market.profile is ALPACA
    assert engine.venue._door is None


@pytest.mark.feature("M15")
def test_the_desk_lives_in_the_zone_that_the_owner_chose_last(engine: Engine) -> None:
    engine.book.change({"TIME_ZONE": "Asia/Tokyo"}, "owner")
    assert engine.desk.zone().key == "Asia/Tokyo"
    engine.book.change({"TIME_ZONE": "America/New_York"}, "owner")
    assert engine.desk.zone().key == "America/New_York"


def test_a_coins_volume_is_believed_of_the_simulated_market_alone(engine: Engine) -> None:
    assert engine.venue is not None
    market = make_simulated_market(1, engine.calendar)
    for symbol, source in zip(COINS, ("simulated", "yahoo"), strict=True):
        bars = market.bars(instrument_for(symbol), BarSize.M5, NOW, 3)
        engine.database.bars.write(bars, source)
    tells_volume = engine.venue._market.tells_volume
    assert [tells_volume(symbol) for symbol in (*COINS, "SPY", "ADA-USD")] == [True, False, True, False]


@pytest.mark.feature("S3")
def test_what_the_owner_watches_is_collected_and_judged_from_the_next_tick_on(tmp_path: Path) -> None:
    settings = load_settings({"STATE_DIR": str(tmp_path), "SYMBOLS": "BTC-USD"}, None)
    settings.make_folders()
    clock, calendar = VirtualClock(NOW), make_calendar()
    place = Place(World.SIMULATED, f"sqlite:///{tmp_path / 'ledger.sqlite'}", True, None, "test")
    database = open_ledger(place, clock, durable=False)
    market = make_simulated_market(1, calendar)
    world = (settings, place, database, Clocks(clock, clock), Hooks(lambda *_: None), [market], calendar)
    engine = build_engine(*world, quotes=market)
    open_accounts(engine.desk, Decimal(10_000))
    work = market_work(engine, lambda _due: "")

    def tick() -> set[str]:
        """The symbols whose judgement the tick has written."""
        clock.advance(timedelta(minutes=5))
        due = clock.now()
        collected = work.collect(due)
        work.cycle(due, collected)
        assert {entry.symbol for entry in collected.entries} == {each.symbol for each in engine.desk.instruments}
        with database.reading() as unit:
            return {symbol for symbol, signal in unit.last_signals().items() if signal.at == due}

    assert tick() == {"BTC-USD"}
    engine.book.change({WATCHED: "BTC-USD,ETH-USD"}, "owner")
    assert tick() == {"BTC-USD", "ETH-USD"}
    assert engine.desk.instrument("ETH-USD") is not None
    engine.book.change({WATCHED: "ETH-USD"}, "owner")
    assert tick() == {"ETH-USD"}
    assert engine.desk.instrument("BTC-USD") is None
    engine.close()
    # The next process begins with the owner's list.
    reopened = build_engine(settings, place, open_ledger(place, clock, durable=False), *world[3:])
    assert [each.symbol for each in reopened.desk.instruments] == ["ETH-USD"]
    reopened.close()


@pytest.mark.feature("S10")
def test_word_of_trades_is_told_what_each_look_at_its_account_has_found_and_what_was_sent(tmp_path: Path) -> None:
    class News:
        def __init__(self) -> None:
            self.told: list[int] = []
            self.sent_times = 0

        def sent(self) -> None:
            self.sent_times += 1

        def looked(self, found: int) -> None:
            self.told.append(found)

    settings, clock, news = load_settings({"STATE_DIR": str(tmp_path)}, None), VirtualClock(NOW), News()
    settings.make_folders()
    account = Account("alpaca-paper", AccountKind.ALPACA_PAPER, World.REAL)
    venue = ChaosVenue(clock, lambda _symbol: Decimal(100), account=account)
    place = Place(World.REAL, f"sqlite:///{tmp_path / 'ledger.sqlite'}", False, None, "test")
    world = (settings, place, open_ledger(place, clock, durable=False), Clocks(clock, clock), Hooks(lambda *_: None))
    engine = build_engine(*world, [], make_calendar(), symbols=COINS, broker=venue, news=news)  # type: ignore[arg-type]
    entry = OrderRequest("other-1", "BTC-USD", Side.BUY, Decimal(1), OrderType.MARKET, Purpose.ENTRY)
    reconcile(engine.desk, clock.now())
    venue.submit(entry)
    clock.advance(timedelta(minutes=1))
    venue.fill("other-1", Decimal(1), Decimal(100))
    reconcile(engine.desk, clock.now())
    venue.is_down = True
    reconcile(engine.desk, clock.now())
    assert news.told == [0, 1]
    engine.desk.sent(account.id)
    engine.desk.sent("manual")
    assert news.sent_times == 1
    engine.close()
