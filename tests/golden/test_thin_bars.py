"""Exact fills of the simulated venue where a bar is too thin for an order, and what a venue's fees come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.adapters.simulated_broker import SimulatedBroker
from core.adapters.simulated_profiles import ALPACA, DOLLARS, PROFILES, VenueProfile, order_fee
from core.clock import VirtualClock
from core.domain.instruments import AssetClass
from core.domain.orders import OrderState, OrderType, Side
from core.domain.values import plain
from core.domain.venue import Accepted, OrderRequest
from tests.fakes_venue import BarShelf, bar_of, flat_bars, request_of, venue_over

OPEN = datetime(2024, 3, 5, 14, 30, tzinfo=UTC)
FIVE = timedelta(minutes=5)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
BRACKET = {"bracket_stop": "95", "bracket_target": "115"}
Prices = tuple[float, float, float, float]


class Scene:
    """A venue at 100 USD before Tuesday's open, fed bar after bar with a volume each."""

    def __init__(
        self,
        symbol: str = "SPY",
        profile: VenueProfile = DOLLARS,
        tells_volume: Callable[[str], bool] = lambda symbol: True,
        cash: str = "100000",
    ) -> None:
        self.symbol = symbol
        self.shelf = BarShelf(*flat_bars(symbol, 100.0, OPEN - FIVE, 1))
        self.clock = VirtualClock(OPEN)
        self.venue: SimulatedBroker = venue_over(
            self.shelf, self.clock, cash=cash, profile=profile, tells_volume=tells_volume
        )

    def send(self, request: OrderRequest) -> None:
        assert isinstance(self.venue.submit(request), Accepted)

    def bar(self, volume: float, *prices: float) -> None:
        four: Prices = (prices[0],) * 4 if len(prices) == 1 else (prices[0], prices[1], prices[2], prices[3])
        self.shelf.add(bar_of(self.symbol, self.clock.now(), four, volume=volume))
        self.clock.advance(FIVE)

    def fills(self) -> list[str]:
        return [
            f"{fill.at:%H:%M} {fill.side} {plain(fill.quantity)} at {plain(fill.price)} fee {plain(fill.fee)} "
            f"{fill.fee_currency} ({fill.id})"
            for fill in self.venue.fills_since(LONG_AGO)
        ]

    def live(self) -> list[str]:
        return [
            f"{order.client_order_id} {plain(order.quantity - order.filled_quantity)}" for order in self.venue.orders()
        ]


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.venue.close()


def test_a_market_order_takes_a_tenth_of_each_bar_at_its_open(scene: Scene) -> None:
    scene.send(request_of("e", quantity="25"))
    scene.bar(100, 100.0)
    scene.bar(109, 101.0)
    scene.bar(1000, 102.0)
    assert scene.fills() == [
        "14:30 buy 10 at 100.03 fee 0 USD (e/1)",
        "14:35 buy 10 at 101.04 fee 0 USD (e/2)",
        "14:40 buy 5 at 102.04 fee 0 USD (e/3)",
    ]
    order = scene.venue.find("e")
    assert order is not None and order.state is OrderState.FILLED


def test_a_bar_that_is_too_thin_for_one_unit_fills_nothing(scene: Scene) -> None:
    scene.send(request_of("e", quantity="2"))
    scene.bar(9, 100.0)
    assert (scene.fills(), scene.live()) == ([], ["e 2"])
    scene.bar(10, 100.0)
    assert scene.fills() == ["14:35 buy 1 at 100.03 fee 0 USD (e/1)"]


def test_a_bar_with_volume_zero_tells_nothing_and_fills_whole(scene: Scene) -> None:
    """Yahoo gives zero for the first bar of a day at times, and for coins."""
    scene.send(request_of("e", quantity="500"))
    scene.bar(0, 100.0)
    assert scene.fills() == ["14:30 buy 500 at 100.03 fee 0 USD (e/1)"]


def test_a_volume_in_a_unit_that_is_not_known_limits_nothing() -> None:
    """By default a coin's: Yahoo's daily figure is in USD. 10 USD of volume must not hold up half a coin."""
    told = venue_over(BarShelf(*flat_bars("BTC-USD", 100.0, OPEN - FIVE, 2)), clock := VirtualClock(OPEN))
    told.submit(request_of("c", symbol="BTC-USD", quantity="99"))
    clock.advance(FIVE)
    assert [fill.quantity for fill in told.fills_since(LONG_AGO)] == [99]
    told.close()
    scene = Scene("BTC-USD")
    scene.send(request_of("c", symbol="BTC-USD", quantity="2"))
    scene.bar(12.345678, 100.0)
    assert scene.fills() == ["14:30 buy 1.234567 at 100.1 fee 0.31 USD (c/1)"]
    scene.venue.close()


def test_all_orders_of_a_symbol_share_one_share_of_the_bar(scene: Scene) -> None:
    scene.send(request_of("a", quantity="7"))
    scene.send(request_of("b", quantity="7"))
    scene.bar(100, 100.0)
    assert (len(scene.fills()), scene.live()) == (2, ["b 4"])


def test_a_limit_reached_in_a_thin_bar_rests_on_with_the_rest(scene: Scene) -> None:
    scene.send(request_of("l", quantity="15", kind=OrderType.LIMIT, limit_price="98"))
    scene.bar(100, 99.0, 99.0, 97.0, 99.0)
    scene.bar(100, 99.0)
    scene.bar(100, 97.0)
    assert scene.fills() == [
        "14:35 buy 10 at 98 fee 0 USD (l/1)",
        "14:40 buy 5 at 97.03 fee 0 USD (l/2)",
    ]


@pytest.mark.feature("S13")
def test_legs_wait_until_the_entry_is_whole_and_then_cover_all_of_it(scene: Scene) -> None:
    scene.send(request_of("e", quantity="15", **BRACKET))
    scene.bar(100, 100.0)
    assert scene.live() == ["e 5"]
    scene.bar(100, 100.0)
    assert scene.live() == ["e-s 15", "e-t 15"]


def test_a_touched_stop_sells_on_at_every_open_though_the_price_is_back(scene: Scene) -> None:
    scene.send(request_of("e", quantity="25", **BRACKET))
    scene.bar(1000, 100.0)
    scene.bar(100, 100.0, 100.0, 94.0, 99.0)
    assert scene.live() == ["e-s 15", "e-t 15"]
    scene.bar(100, 101.0)
    scene.bar(100, 102.0)
    assert scene.fills()[1:] == [
        "14:40 sell 10 at 94.97 fee 0 USD (e-s/1)",
        "14:40 sell 10 at 100.96 fee 0 USD (e-s/2)",
        "14:45 sell 5 at 101.96 fee 0 USD (e-s/3)",
    ]
    assert scene.live() == []


def test_a_stop_touched_in_a_bar_that_takes_nothing_is_sold_at_the_next_open(scene: Scene) -> None:
    scene.send(request_of("e", quantity="5", **BRACKET))
    scene.bar(1000, 100.0)
    scene.bar(5, 100.0, 100.0, 94.0, 99.0)
    scene.bar(1000, 103.0)
    assert scene.fills()[1:] == ["14:40 sell 5 at 102.96 fee 0 USD (e-s/1)"]


def test_a_target_filled_in_part_leaves_a_stop_for_the_rest(scene: Scene) -> None:
    scene.send(request_of("e", quantity="25", **BRACKET))
    scene.bar(1000, 100.0)
    scene.bar(100, 114.0, 116.0, 114.0, 114.0)
    assert scene.live() == ["e-s 15", "e-t 15"]
    scene.bar(1000, 90.0)
    assert scene.fills()[1:] == [
        "14:40 sell 10 at 115 fee 0 USD (e-t/1)",
        "14:40 sell 15 at 89.97 fee 0 USD (e-s/1)",
    ]
    assert scene.venue.state().positions == {}


def test_cash_is_freed_with_every_part_and_the_rest_is_dropped_when_it_runs_out() -> None:
    scene = Scene(cash="1050")
    scene.send(request_of("e", quantity="10", **BRACKET))
    scene.bar(40, 100.0)
    answer = scene.venue.submit(request_of("f", quantity="2"))
    assert not isinstance(answer, Accepted)
    scene.bar(1000, 110.0)
    order = scene.venue.find("e")
    assert order is not None and (order.state, order.filled_quantity) == (OrderState.CANCELED, 4)
    assert order.reason.startswith("not enough cash when its time came: 660.24 USD needed, 649.88 USD there")
    assert scene.live() == ["e-s 4", "e-t 4"]
    scene.venue.close()


def test_a_sale_of_shares_pays_the_regulators_and_a_purchase_nothing() -> None:
    scene = Scene(profile=ALPACA)
    scene.send(request_of("e", quantity="100"))
    scene.bar(10_000, 100.0)
    scene.send(request_of("x", Side.SELL, quantity="100"))
    scene.bar(10_000, 100.0)
    # 9997 USD at 27.80 a million is 0.2779, a hundred shares at 0.000166 are 0.0166: each rounded up.
    assert scene.fills() == [
        "14:30 buy 100 at 100.03 fee 0 USD (e/1)",
        "14:35 sell 100 at 99.97 fee 0.3 USD (x/1)",
    ]
    scene.venue.close()


def test_fees_are_rounded_up_once_an_order_however_many_parts_it_has() -> None:
    scene = Scene(profile=ALPACA)
    scene.send(request_of("e", quantity="100"))
    scene.bar(10_000, 100.0)
    scene.send(request_of("x", Side.SELL, quantity="100"))
    for _ in range(4):
        scene.bar(250, 100.0)
    assert [fill.fee for fill in scene.venue.fills_since(LONG_AGO)][1:] == [
        Decimal("0.08"),
        Decimal("0.07"),
        Decimal("0.08"),
        Decimal("0.07"),
    ]
    scene.venue.close()


def test_the_fee_on_many_shares_has_its_cap() -> None:
    stock = ALPACA.costs[AssetClass.STOCK]
    assert order_fee(Decimal(1_000_000), Decimal(0), Side.SELL, stock) == Decimal("8.30")


def test_a_coin_bought_pays_in_coin_and_a_coin_sold_in_dollars() -> None:
    scene = Scene("BTC-USD", ALPACA)
    scene.send(request_of("c", symbol="BTC-USD", quantity="0.123457"))
    scene.bar(1000, 100.0)
    assert scene.fills() == ["14:30 buy 0.123457 at 100.1 fee 0.000308643 BTC (c/1)"]
    assert scene.venue.state().positions == {"BTC-USD": Decimal("0.123148357")}
    stop = {"kind": OrderType.STOP, "stop_price": "95", "limit_price": "88"}
    scene.send(request_of("s", Side.SELL, "0.123148", "BTC-USD", **stop))  # type: ignore[arg-type]
    scene.bar(1000, 90.0)
    assert scene.fills()[1:] == ["14:35 sell 0.123148 at 89.91 fee 0.03 USD (s/1)"]
    assert scene.venue.state().positions == {"BTC-USD": Decimal("0.000000357")}
    scene.venue.close()


def test_profiles_are_found_by_their_names() -> None:
    assert PROFILES == {"alpaca": ALPACA, "dollars": DOLLARS}
