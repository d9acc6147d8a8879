"""The story of a key that is revoked at 10:31 and a new one at 14:00, as the owner saw it, message by message: the real
adapter before a loopback Alpaca, the real cycle and the real renderers, on virtual time.

Run: python -m tests.story_revoked_key"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from bot.markup import visible
from bot.opening import greet, note_watched
from bot.render import render
from core.adapters.alpaca_broker import AlpacaBroker
from core.adapters.alpaca_transport import AlpacaKeys
from core.adapters.calendars import ExchangeCalendar
from core.clock import VirtualClock
from core.cycle import recover, run_cycle
from core.domain.accounts import Account, AccountKind, World
from core.domain.bars import BarSize
from core.domain.decisions import Prediction
from core.domain.instruments import Universe
from core.domain.orders import OrderNamespace, Purpose
from core.domain.records import JobOutcome, QuestionChoice
from core.execution.desk import Desk
from core.execution.manual_broker import ManualBroker
from core.execution.owner import OwnerDesk
from core.execution.watch import guard
from core.ports import Broker
from core.series import BarSeries
from core.storage.store import open_database
from core.strategy.policy import Policy
from tests.alpaca_broker_stand import trading_at
from tests.builders import rising_days, rising_minutes
from tests.fakes_bars import MemoryBarStore
from tests.ledger_builders import lay_out
from tests.servers.alpaca_http import KEY_ID, SECRET
from tests.servers.alpaca_trading_server import AlpacaTradingServer

NEW_YORK = ZoneInfo("America/New_York")
PAPER = Account(AccountKind.ALPACA_PAPER.value, AccountKind.ALPACA_PAPER, World.REAL)
MANUAL = Account(AccountKind.MANUAL.value, AccountKind.MANUAL, World.REAL)
NEW_KEYS = AlpacaKeys("PKNEWKEYID1234567890", "nEwSeCrEtOfTheNewKeyThatNobodySees123456")
LEVELS = {"SPY": 600, "QQQ": 500, "BTC-USD": 60_000}
DAY = datetime(2026, 11, 2, tzinfo=UTC)


def at(clock: str) -> datetime:
    """That time of the day in New York."""
    hour, minute = (int(part) for part in clock.split(":"))
    return datetime(2026, 11, 2, hour, minute, tzinfo=NEW_YORK).astimezone(UTC)


class Choosy:
    """The Predictor port: likes the symbols that it is told to like."""

    version = "model-1"

    def __init__(self) -> None:
        self.likes: set[str] = set()

    def predict(self, daily: BarSeries) -> Prediction:
        closed_at = daily.bar(len(daily) - 1).closed_at
        likelihood = 0.68 if daily.symbol in self.likes else 0.52
        return Prediction(daily.symbol, likelihood, "close higher after 10 bars", self.version, closed_at)


@dataclass(frozen=True, slots=True)
class Told:
    """One message as the owner saw it."""

    at: datetime
    text: str

    @property
    def first_line(self) -> str:
        return f"{self.at.astimezone(NEW_YORK):%H:%M} {self.text.splitlines()[0]}"


class House:
    """One installation on Alpaca paper; `open` is what a start does."""

    def __init__(self, folder: Path, server: AlpacaTradingServer, clock: VirtualClock) -> None:
        self.folder, self.server, self.clock = folder, server, clock
        self.bars, self.predictor = _bars(), Choosy()
        lay_out(folder / "ledger.db")

    def open(self, keys: AlpacaKeys) -> None:
        self.database = open_database(
            self.folder / "ledger.db", durable=False, clock=self.clock, installation_id="story"
        )
        known = self.database.installation()
        trading = trading_at(self.server.address, _Ticking(self.clock), keys=keys)
        brokers: dict[str, Broker] = {
            MANUAL.id: ManualBroker(MANUAL, self.database.unit_of_work, self.clock),
            PAPER.id: AlpacaBroker(PAPER, trading, _Ticking(self.clock)),
        }
        self.desk = Desk(
            ledger=self.database.unit_of_work,
            reader=self.database.reading,
            brokers=brokers,
            bars=self.bars,
            calendar=ExchangeCalendar(),
            market_clock=self.clock,
            system_clock=self.clock,
            namespace=OrderNamespace(known.installation_id, known.epoch),
            rules=Policy,
            universe=Universe.of(tuple(LEVELS)),
            world=World.REAL,
            signals_folder=self.folder / "signals",
            trading_account=PAPER.id,
            predictor=lambda: self.predictor,
        )
        self.owner = OwnerDesk(self.desk)
        recover(self.desk, self.clock.now())
        greet(self.desk, 1.0)

    def price(self, symbol: str) -> Decimal:
        """What a unit costs now, to the cent."""
        newest = self.bars.read(symbol, BarSize.M5, self.clock.now(), 1)
        return Decimal(str(round(float(newest.close[-1]), 2)))

    def quote(self) -> None:
        """Alpaca's market stands where the bars end."""
        for symbol in LEVELS:
            self.server.set_price(symbol.replace("-", "/"), self.price(symbol))

    def close(self) -> None:
        self.database.close()

    def until(self, clock: str) -> None:
        self.clock.advance(at(clock) - self.clock.now())
        self.quote()

    def guards(self, *clocks: str) -> None:
        for each in clocks:
            self.until(each)
            guard(self.desk, self.clock.now())
            note_watched(self.desk)

    def tick(self, clock: str, *likes: str) -> None:
        self.until(clock)
        self.predictor.likes = set(likes)
        run = self._run()
        with self.database.unit_of_work() as work:
            work.finish_job(run, self.clock.now(), JobOutcome.DONE, "")
            work.commit("job.end")

    def _run(self) -> int:
        with self.database.unit_of_work() as work:
            run = work.start_job(self.desk.tick_job, self.clock.now(), self.clock.now())
            work.commit("job.start")
        run_cycle(self.clock.now(), self.desk, self.clock.now())
        return run

    def messages(self) -> list[Told]:
        with self.database.reading() as work:
            rows = sorted(work.messages(limit=1_000), key=lambda row: row.id)
        return [Told(row.market_time, visible(render(row.event, NEW_YORK).text)) for row in rows]


def tell(folder: Path, *, restarts: bool) -> list[Told]:
    """The day. `restarts`: the new key is another one, and the engine is started with it; otherwise the very key is
    allowed again, and the engine finds that out by itself."""
    with house_at(folder) as house:
        _morning(house)
        _out(house)
        house.guards("13:59")
        house.until("14:00")
        if restarts:
            house.server.restore_keys(NEW_KEYS.key_id, NEW_KEYS.secret)
            house.close()
            house.open(NEW_KEYS)
            house.guards("14:01", "14:02")
        else:
            house.server.restore_keys()
            house.guards(*(f"14:{minute:02}" for minute in range(1, 9)))
        house.tick("14:10")
        return house.messages()


def _morning(house: House) -> None:
    """Two purchases by the engine at Alpaca, each with its stop there; the owner declares what he has elsewhere."""
    house.open(AlpacaKeys(KEY_ID, SECRET))
    house.tick("10:00", "SPY", "BTC-USD")
    house.guards("10:01", "10:02")
    house.owner.declare_cash(Decimal(5000), "owner", "cash")
    house.tick("10:30")


def _out(house: House) -> None:
    """The key is revoked at 10:31. Meanwhile a purchase by hand, a stop that Alpaca executes without us, and a sale in
    Alpaca's own app."""
    house.server.revoke_keys()
    house.guards("10:31", "10:32", "10:33")
    house.tick("11:00", "QQQ")
    house.until("11:02")
    (card,) = house.owner.pending()
    house.owner.execute(card.number, card.version, "executed")
    (question,) = house.owner.questions()
    house.owner.answer(question.number, question.version, QuestionChoice.PLACED, "placed")
    house.until("11:20")
    house.server.set_price("SPY", house.price("SPY") * Decimal("0.94"))
    house.quote()
    house.guards("12:11")
    (card,) = house.owner.pending()
    house.until("12:15")
    with house.database.reading() as work:
        stops = [order for order in work.live_orders(PAPER.id) if order.purpose is Purpose.STOP]
    for stop in stops:
        if stop.symbol == "BTC-USD":
            house.server.cancel_outside(stop.client_order_id)
    held = house.server.venue.account.held(house.server.venue.asset("BTC/USD"))
    house.server.trade_outside("BTC/USD", "sell", held, house.price("BTC-USD"))
    house.owner.execute(card.number, card.version, "done")


@contextmanager
def house_at(folder: Path) -> Iterator[House]:
    clock = VirtualClock(at("9:55"))
    with AlpacaTradingServer(clock.now) as server:
        house = House(folder, server, clock)
        house.quote()
        try:
            yield house
        finally:
            house.close()


class _Ticking:
    """The RealClock of the adapter: time that is virtual, and does not stand still within a call."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.now().timestamp()


def _bars() -> MemoryBarStore:
    """A day on which all three rise with breath in it; the coin takes a leap past its target at noon."""
    store = MemoryBarStore()
    for symbol, level in LEVELS.items():
        for series in (rising_days(symbol, DAY), rising_minutes(symbol, at("14:30"))):
            scale = level / 100.0
            scaled = {name: getattr(series, name) * scale for name in ("open", "high", "low", "close")}
            if symbol == "BTC-USD" and series.size is BarSize.M5:
                leap = series.closed_at > int(at("12:05").timestamp())
                scaled = {name: values * (1.0 + 0.18 * leap) for name, values in scaled.items()}
            store.write(replace(series, **scaled), "story")
    return store


def main() -> None:
    for restarts, title in ((True, "A new key, and a restart with it"), (False, "The same key, allowed again")):
        print(f"\n=== {title} ===")
        with tempfile.TemporaryDirectory() as folder:
            for told in tell(Path(folder), restarts=restarts):
                print(f"\n--- {told.at.astimezone(NEW_YORK):%H:%M}\n{told.text}")


if __name__ == "__main__":
    main()
