"""A day of the whole engine on Alpaca: what it holds is what Alpaca holds at every look, and everything is guarded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.domain.accounts import Account, AccountKind, World
from core.domain.bars import Bar, BarSize
from core.domain.corporate import CorporateAction
from core.domain.dust import without_dust
from core.domain.events import OrderFilled, UnitsAdjusted
from core.domain.instruments import instrument_for
from core.domain.orders import Purpose, Side
from core.domain.portfolio import Fill, Guard, GuardKind
from core.domain.records import QuestionChoice
from core.domain.values import floor_to
from core.execution.cash_differences import TOLERANCE
from core.execution.watch import guard
from core.series import BarSeries
from tests import builders
from tests.alpaca_broker_stand import Watch, broker_at
from tests.builders import COIN, FIVE, Bench, an_entry
from tests.servers.alpaca_trading_rules import PaperAsset
from tests.servers.alpaca_trading_server import AlpacaTradingServer

OPEN = datetime(2026, 11, 2, 15, 0, tzinfo=UTC)
SHARE = "SPY"
NAMES = {SHARE: "SPY", COIN: "BTC/USD"}
ACCOUNT = Account("simulated", AccountKind.SIMULATED, World.REAL)
"""Under the name by which the bench knows its broker."""


class AlpacaDay:
    """An installation whose venue is Alpaca; both symbols stand at 100 USD."""

    def __init__(self, folder: Path) -> None:
        self.time = OPEN - timedelta(hours=1)
        self.actions: list[CorporateAction] = []
        self.server = AlpacaTradingServer(self.now)
        self.server.__enter__()
        for name in NAMES.values():
            self.server.set_price(name, 100)
        self.time = OPEN
        self.bench = Bench(folder, symbols=(SHARE, COIN), wrap=self._connected, cash="100000")
        self.bench.start()

    def now(self) -> datetime:
        return self.time

    def _connected(self, _former: Any) -> Any:
        return broker_at(self.server.address, ACCOUNT, Watch(self.now), actions=lambda *_: self.actions)

    def price(self, usd: float, *symbols: str) -> None:
        """Where the market stands from now on, and five minutes later the bars of all symbols."""
        for symbol in symbols or NAMES:
            self.server.set_price(NAMES[symbol], usd)
        for symbol, name in NAMES.items():
            at = float(self.server.venue.prices[name])
            bar = Bar(symbol, BarSize.M5, self.time, self.time + FIVE, at, at, at, at, volume=1000.0)
            self.bench.bars.write(BarSeries.of(symbol, BarSize.M5, [bar]), "test")
        self.time += FIVE
        self.bench.clock.advance(FIVE)
        self.bench.system.advance(FIVE)

    def look(self) -> str:
        """What the guard's minute did, after which both sides agree and whatever is held is guarded."""
        did = guard(self.bench.desk, self.time)
        self.agrees()
        return did

    def agrees(self) -> None:
        bench, venue = self.bench, self.bench.desk.brokers["simulated"].state()
        ours = bench.read(lambda work: work.portfolio("simulated"))
        assert {symbol: held.quantity for symbol, held in ours.positions.items()} == dict(venue.positions)
        assert abs(ours.cash - venue.cash) <= TOLERANCE
        assert bench.read(lambda work: work.open_questions()) == []
        assert self.guards().keys() == without_dust(ours.positions).keys()

    def guards(self) -> dict[str, Guard]:
        return {each.symbol: each for each in self.bench.read(lambda work: work.guards("simulated"))}

    def held(self, symbol: str) -> Decimal:
        held: Decimal = self.bench.read(lambda work: work.portfolio("simulated").quantity(symbol))
        return held

    def resting(self, symbol: str) -> dict[Purpose, tuple[Decimal, Decimal | None, Decimal | None]]:
        """By purpose what rests at Alpaca: units, stop and limit, the same for all orders of that purpose."""
        units: Counter[tuple[Purpose, Decimal | None, Decimal | None]] = Counter()
        for each in self.bench.desk.brokers["simulated"].orders():
            if each.symbol == symbol:
                units[each.purpose, each.stop_price, each.limit_price] += each.quantity - each.filled_quantity  # type: ignore[assignment]
        assert len({purpose for purpose, _, _ in units}) == len(units), units
        return {purpose: (Decimal(count), stop, limit) for (purpose, stop, limit), count in units.items()}

    def close(self) -> None:
        self.bench.close()
        self.server.__exit__()


@pytest.fixture
def day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AlpacaDay]:
    monkeypatch.setattr(builders, "MONDAY", OPEN)
    day = AlpacaDay(tmp_path)
    yield day
    day.close()


@pytest.mark.feature("S10")
@pytest.mark.feature("S13")
def test_a_day_from_entries_to_a_stop_and_a_flatten(day: AlpacaDay) -> None:
    assert day.bench.tick().submitted == 2
    day.price(100)
    day.look()
    day.price(100)
    assert day.look() == "no stop or target reached"
    assert {symbol: held.kind for symbol, held in day.guards().items()} == {
        SHARE: GuardKind.VENUE,
        COIN: GuardKind.VENUE,
    }
    shares, coins = day.held(SHARE), day.held(COIN)
    assert day.resting(SHARE) == {
        Purpose.STOP: (shares, Decimal(95), None),
        Purpose.TARGET: (shares, None, Decimal(115)),
    }
    ((units, stop, limit),) = day.resting(COIN).values()
    assert units == floor_to(coins, instrument_for(COIN).quantity_step)
    assert stop is not None and limit is not None and 0 < limit < stop < 100

    day.price(94, SHARE)
    day.look()
    assert day.held(SHARE) == 0
    sold = day.bench.events(OrderFilled)[-1]
    assert (sold.symbol, sold.purpose) == (SHARE, Purpose.STOP)

    day.bench.owner.flatten("test")
    day.bench.owner.exit_all()
    day.price(100, COIN)
    day.look()
    assert without_dust(day.bench.read(lambda work: work.portfolio("simulated").positions)) == {}
    assert day.bench.desk.brokers["simulated"].orders() == []


@pytest.mark.feature("S13")
def test_a_bracket_whose_entry_is_filled_in_parts_protects_all_of_it_in_the_end(day: AlpacaDay) -> None:
    day.server.venue.habits.portions["SPY"] = [Decimal(4), Decimal(0), Decimal(6)]
    day.bench.place(an_entry(day.bench, symbol=SHARE))
    day.look()
    assert (day.held(SHARE), day.guards()[SHARE].kind) == (4, GuardKind.ENGINE)
    day.price(100)
    day.price(100)
    day.look()
    assert (day.held(SHARE), day.guards()[SHARE].kind) == (10, GuardKind.VENUE)
    assert day.resting(SHARE).keys() == {Purpose.STOP, Purpose.TARGET}


@pytest.mark.feature("S13")
def test_an_entry_that_is_cancelled_with_a_part_filled_gets_a_pair_for_that_part(day: AlpacaDay) -> None:
    day.server.venue.habits.portions["SPY"] = [Decimal(4), *[Decimal(0)] * 5]
    entry = an_entry(day.bench, symbol=SHARE)
    day.bench.place(entry)
    day.look()
    day.server.cancel_outside(entry.client_order_id)
    day.price(100)
    day.look()
    day.price(100)
    day.look()
    assert day.held(SHARE) == 4
    assert {purpose: left for purpose, (left, _, _) in day.resting(SHARE).items()} == {
        Purpose.STOP: 4,
        Purpose.TARGET: 4,
    }
    assert day.guards()[SHARE].kind is GuardKind.VENUE


@pytest.mark.feature("M13")
@pytest.mark.feature("S13")
def test_a_sale_that_its_owner_leaves_at_alpaca_keeps_its_shares_until_he_gives_it_up(day: AlpacaDay) -> None:
    day.bench.place(an_entry(day.bench, symbol=SHARE))
    day.look()
    # One leg takes the other with it.
    day.server.cancel_outside(next(iter(day.server.venue.live())).client_order_id)
    day.server.order_outside(symbol="SPY", side="sell", qty=4, type="limit", limit_price=120, time_in_force="gtc")
    for _ in range(3):
        day.price(100)
        guard(day.bench.desk, day.time)
    by_hand = {Purpose.EXIT: (Decimal(4), None, Decimal(120))}
    pair = {Purpose.STOP: (Decimal(6), Decimal(95), None), Purpose.TARGET: (Decimal(6), None, Decimal(115))}
    assert (day.resting(SHARE), day.guards()[SHARE].kind) == (by_hand | pair, GuardKind.VENUE)
    (asked,) = day.bench.owner.questions()
    day.bench.owner.answer(asked.number, asked.version, QuestionChoice.CANCEL, "tap")
    for _ in range(3):
        day.price(100)
        guard(day.bench.desk, day.time)
    day.agrees()
    orders = day.bench.desk.brokers["simulated"].orders()
    assert sum(each.quantity for each in orders if each.purpose is Purpose.STOP) == 10
    assert day.guards()[SHARE].kind is GuardKind.VENUE


@pytest.mark.feature("S10")
def test_a_coin_fee_that_alpaca_tells_of_a_day_later_is_booked_by_what_it_holds_until_then(day: AlpacaDay) -> None:
    late = HeldBack(day.server)
    day.bench.place(an_entry(day.bench, quantity=Decimal("0.5")))
    day.price(100)
    day.look()
    assert day.held(COIN) == Decimal("0.49875")
    (adjusted,) = day.bench.events(UnitsAdjusted)
    assert (adjusted.before, adjusted.after) == (Decimal("0.5"), Decimal("0.49875"))
    late.tell(day.now())
    day.price(100)
    day.look()
    assert day.held(COIN) == Decimal("0.49875")
    assert day.bench.events(UnitsAdjusted) == [adjusted]


@pytest.mark.feature("S13")
def test_a_coins_stop_is_moved_once_where_alpaca_trades_it_in_coarser_ticks_than_ours(
    day: AlpacaDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    coarse = {"price_increment": "0.01"}
    wire = PaperAsset.wire
    monkeypatch.setattr(PaperAsset, "wire", lambda asset: wire(asset) | (coarse if asset.is_coin else {}))
    day.bench.place(an_entry(day.bench, quantity=Decimal("0.5")))
    day.price(100)
    day.look()
    day.bench.owner.move_levels(COIN, Decimal("96.1234"), None, "test", "tap")
    for _ in range(3):
        day.price(100)
        day.look()
    assert day.guards()[COIN].kind is GuardKind.VENUE
    ((_, stop, _),) = day.resting(COIN).values()
    assert stop == Decimal("96.13")
    assert (sent(day, "POST"), sent(day, "PATCH")) == (2, 1)
    day.price(100)
    day.look()
    assert (sent(day, "POST"), sent(day, "PATCH")) == (2, 1)


def sent(day: AlpacaDay, method: str) -> int:
    return sum(call.method == method for call in day.server.calls)


@pytest.mark.feature("C4")
def test_levels_that_the_owner_moves_are_moved_at_alpaca_and_nothing_is_taken_away_for_it(day: AlpacaDay) -> None:
    day.bench.place(an_entry(day.bench, symbol=SHARE))
    day.price(100)
    day.look()
    answer = day.bench.owner.move_levels("SPY", Decimal("96.5"), Decimal(118), "test", "tap")
    assert answer.text == "SPY in simulated: stop 95 -> 96.5 USD, target 115 -> 118 USD."
    assert day.resting(SHARE) == {
        Purpose.STOP: (Decimal(10), Decimal("96.5"), None),
        Purpose.TARGET: (Decimal(10), None, Decimal(118)),
    }
    assert (sent(day, "POST"), sent(day, "PATCH"), sent(day, "DELETE")) == (1, 2, 0)
    guarded = day.guards()[SHARE]
    assert (guarded.kind, guarded.stop, guarded.target) == (GuardKind.VENUE, Decimal("96.5"), Decimal(118))
    day.bench.restart()
    day.price(96)
    day.price(96, SHARE)
    day.look()
    assert (day.held(SHARE), day.resting(SHARE), day.guards()) == (0, {}, {})


@pytest.mark.feature("T8")
def test_a_stop_that_sells_at_alpaca_while_it_is_being_moved_is_booked_once(day: AlpacaDay) -> None:
    day.bench.place(an_entry(day.bench, symbol=SHARE))
    day.price(100)
    day.look()
    day.server.venue.habits.replaces_slowly = True
    answer = day.bench.owner.move_levels("SPY", Decimal("96.5"), None, "test", "tap")
    assert "not confirmed the new order yet" in answer.text
    guarded = day.guards()[SHARE]
    assert (guarded.kind, guarded.stop) == (GuardKind.ENGINE, Decimal("96.5"))
    assert day.resting(SHARE)[Purpose.STOP] == (Decimal(10), Decimal(95), None)
    day.price(94, SHARE)
    for _ in range(2):
        day.look()
    assert (day.held(SHARE), day.resting(SHARE), day.guards()) == (0, {}, {})
    fills = [each for each in day.bench.read(lambda work: work.entries("simulated")) if isinstance(each, Fill)]
    assert [(fill.side, fill.quantity) for fill in fills] == [(Side.BUY, 10), (Side.SELL, 10)]


@pytest.mark.feature("S13")
def test_after_a_split_the_stop_rests_at_the_new_price_although_alpaca_leaves_its_orders_as_they_are(
    day: AlpacaDay,
) -> None:
    day.bench.place(an_entry(day.bench, symbol=SHARE))
    day.price(100)
    day.look()
    day.server.venue.habits.frozen.add("SPY")
    day.actions.append(CorporateAction(SHARE, day.now(), ratio=Decimal(4)))
    day.server.split("SPY", 4, 25)
    day.price(25, SHARE)
    for _ in range(2):
        day.look()
        day.price(25, SHARE)
    day.server.venue.habits.frozen.discard("SPY")
    day.price(25, SHARE)
    day.look()
    assert day.held(SHARE) == 40
    assert day.resting(SHARE) == {
        Purpose.STOP: (Decimal(40), Decimal("23.75"), None),
        Purpose.TARGET: (Decimal(40), None, Decimal("28.75")),
    }


@pytest.mark.feature("T8")
def test_a_target_that_sells_in_part_while_it_is_moved_never_sells_more_than_is_held(day: AlpacaDay) -> None:
    """Alpaca then has an order for as much as before, and more of it than is held is left (Alpaca-API issue 165)."""
    day.bench.place(an_entry(day.bench, symbol=SHARE))
    day.price(100)
    day.look()
    day.server.venue.habits.replaces_slowly = True
    day.bench.owner.move_levels("SPY", None, Decimal(118), "test", "tap")
    day.server.venue.habits.portions["SPY"] = [Decimal(4)]
    day.server.set_price("SPY", 115)
    day.server.venue.habits.replaces_slowly = False
    for _ in range(3):
        day.price(110, SHARE)
        day.look()
    assert day.held(SHARE) == 6
    assert day.resting(SHARE) == {
        Purpose.STOP: (Decimal(6), Decimal(95), None),
        Purpose.TARGET: (Decimal(6), None, Decimal(118)),
    }
    day.price(119, SHARE)
    day.look()
    assert (day.held(SHARE), day.resting(SHARE)) == (0, {})


class HeldBack:
    """Coin fees that Alpaca has taken and does not tell of."""

    def __init__(self, server: AlpacaTradingServer) -> None:
        self._account = server.venue.account
        self._told = self._account.non_trade
        self._waiting: list[tuple[Any, ...]] = []
        self._account.non_trade = self._kept  # type: ignore[method-assign]

    def _kept(self, kind: str, amount: Decimal, at: datetime, **fields: Any) -> Any:
        if kind != "CFEE":
            return self._told(kind, amount, at, **fields)
        self._waiting.append((kind, amount, fields))
        return {}

    def tell(self, at: datetime) -> None:
        for kind, amount, fields in self._waiting:
            self._told(kind, amount, at, **fields)
        self._waiting.clear()
