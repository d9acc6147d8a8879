"""Exact fills of the simulated venue, bar by bar: gaps, double touches, half days and clock changes.

Stocks lose 3 basis points a side (half a spread of 1, slippage of 2), coins 10, and a coin's fee is 25.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from core.adapters.calendars import ExchangeCalendar
from core.adapters.simulated_broker import SimulatedBroker
from core.adapters.simulated_profiles import ALPACA, DOLLARS, VenueProfile
from core.clock import VirtualClock
from core.domain.bars import Bar, BarSize
from core.domain.corporate import CorporateAction
from core.domain.orders import OrderState, OrderType, Side
from core.domain.values import plain
from core.domain.venue import Accepted, OrderRequest, Refused
from tests.fakes_venue import BarShelf, bar_of, flat_bars, request_of, venue_over

Prices = tuple[float, float, float, float]
OPEN = datetime(2024, 3, 5, 14, 30, tzinfo=UTC)
FIVE = timedelta(minutes=5)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def calendar() -> ExchangeCalendar:
    return ExchangeCalendar(date(2023, 6, 1), date(2025, 6, 30))


class Scene:
    """A venue on Tuesday 2024-03-05 with SPY at 100 before the open, fed bar after bar."""

    def __init__(self, calendar: ExchangeCalendar, symbol: str = "SPY", profile: VenueProfile = DOLLARS) -> None:
        self.symbol = symbol
        self.shelf = BarShelf(*flat_bars(symbol, 100.0, datetime(2024, 3, 4, 20, 55, tzinfo=UTC), 1))
        self.clock = VirtualClock(OPEN)
        self.venue: SimulatedBroker = venue_over(self.shelf, self.clock, calendar=calendar, profile=profile)

    def send(self, request: OrderRequest) -> None:
        assert isinstance(self.venue.submit(request), Accepted)

    def bars(self, *bars: Prices) -> None:
        for prices in bars:
            self.shelf.add(bar_of(self.symbol, self.clock.now(), prices))
            self.clock.advance(FIVE)

    def fills(self) -> list[str]:
        return told(self.venue)


def told(venue: SimulatedBroker) -> list[str]:
    return [
        f"{fill.at:%a %d %H:%M} {fill.side} {plain(fill.quantity)} {fill.symbol} at {plain(fill.price)}"
        f" fee {plain(fill.fee)} ({fill.client_order_id})"
        for fill in venue.fills_since(LONG_AGO)
    ]


@pytest.fixture
def scene(calendar: ExchangeCalendar) -> Iterator[Scene]:
    scene = Scene(calendar)
    yield scene
    scene.venue.close()


BRACKET = {"bracket_stop": "95", "bracket_target": "115"}


def test_a_market_order_fills_at_the_next_open_with_costs_and_not_before_the_bar_has_closed(scene: Scene) -> None:
    scene.send(request_of("e"))
    scene.shelf.add(bar_of("SPY", OPEN, (101.0, 101.5, 100.5, 101.2)))
    scene.clock.advance(FIVE - timedelta(seconds=1))
    assert scene.fills() == []
    scene.clock.advance(timedelta(seconds=1))
    assert scene.fills() == ["Tue 05 14:30 buy 10 SPY at 101.04 fee 0 (e)"]


def test_an_order_submitted_within_a_bar_waits_for_the_next_one(scene: Scene) -> None:
    scene.clock.advance(timedelta(milliseconds=1))
    scene.send(request_of("e"))
    scene.shelf.add(bar_of("SPY", OPEN, (101.0, 101.0, 101.0, 101.0)), bar_of("SPY", OPEN + FIVE, (102.0,) * 4))
    scene.clock.move_to(OPEN + 2 * FIVE)
    assert scene.fills() == ["Tue 05 14:35 buy 10 SPY at 102.04 fee 0 (e)"]


def test_a_gap_through_the_stop_fills_at_the_open(scene: Scene) -> None:
    scene.send(request_of("e", **BRACKET))
    scene.bars((100.0, 101.0, 99.0, 100.0), (90.0, 93.0, 89.0, 92.0))
    assert scene.fills() == [
        "Tue 05 14:30 buy 10 SPY at 100.03 fee 0 (e)",
        "Tue 05 14:35 sell 10 SPY at 89.97 fee 0 (e-s)",
    ]


def test_a_touched_stop_fills_at_the_stop_less_slippage_when_the_bar_closes(scene: Scene) -> None:
    scene.send(request_of("e", **BRACKET))
    scene.bars((100.0, 101.0, 99.0, 100.0), (97.0, 98.0, 95.0, 97.5))
    assert scene.fills()[1:] == ["Tue 05 14:40 sell 10 SPY at 94.97 fee 0 (e-s)"]


def test_with_stop_and_target_in_the_same_bar_the_stop_is_taken_and_the_target_cancelled(scene: Scene) -> None:
    scene.send(request_of("e", **BRACKET))
    scene.bars((100.0, 101.0, 99.0, 100.0), (100.0, 120.0, 90.0, 118.0), (118.0, 125.0, 117.0, 120.0))
    assert scene.fills() == [
        "Tue 05 14:30 buy 10 SPY at 100.03 fee 0 (e)",
        "Tue 05 14:40 sell 10 SPY at 94.97 fee 0 (e-s)",
    ]
    target = scene.venue.find("e-t")
    assert target is not None and target.state is OrderState.CANCELED
    assert scene.venue.orders() == []


def test_entry_and_stop_in_the_same_bar(scene: Scene) -> None:
    scene.send(request_of("e", **BRACKET))
    scene.bars((100.0, 116.0, 94.0, 96.0))
    assert scene.fills() == [
        "Tue 05 14:30 buy 10 SPY at 100.03 fee 0 (e)",
        "Tue 05 14:35 sell 10 SPY at 94.97 fee 0 (e-s)",
    ]


def test_entry_and_target_in_the_same_bar(scene: Scene) -> None:
    scene.send(request_of("e", **BRACKET))
    scene.bars((100.0, 116.0, 96.0, 110.0))
    assert scene.fills()[1:] == ["Tue 05 14:35 sell 10 SPY at 115 fee 0 (e-t)"]


def test_an_entry_that_opens_under_its_own_stop_is_sold_at_that_open(scene: Scene) -> None:
    scene.send(request_of("e", **BRACKET))
    scene.bars((94.0, 96.0, 93.0, 95.0))
    assert scene.fills() == [
        "Tue 05 14:30 buy 10 SPY at 94.03 fee 0 (e)",
        "Tue 05 14:30 sell 10 SPY at 93.97 fee 0 (e-s)",
    ]


def test_a_gap_over_the_target_fills_at_the_better_open(scene: Scene) -> None:
    scene.send(request_of("e", **BRACKET))
    scene.bars((100.0, 101.0, 99.0, 100.0), (120.0, 121.0, 119.0, 120.0))
    assert scene.fills()[1:] == ["Tue 05 14:35 sell 10 SPY at 119.96 fee 0 (e-t)"]


def test_a_target_opened_at_exactly_is_never_sold_under_its_limit(scene: Scene) -> None:
    scene.send(request_of("e", **BRACKET))
    scene.bars((100.0, 101.0, 99.0, 100.0), (115.0, 115.0, 112.0, 113.0))
    assert scene.fills()[1:] == ["Tue 05 14:35 sell 10 SPY at 115 fee 0 (e-t)"]


def test_a_limit_that_is_not_reached_rests_on(scene: Scene) -> None:
    scene.send(request_of("l", kind=OrderType.LIMIT, limit_price="98"))
    scene.bars((100.0, 101.0, 98.01, 100.0), (99.0, 99.5, 98.5, 99.0))
    assert scene.fills() == []
    assert [order.client_order_id for order in scene.venue.orders()] == ["l"]
    scene.bars((99.0, 99.0, 98.0, 98.5))
    assert scene.fills() == ["Tue 05 14:45 buy 10 SPY at 98 fee 0 (l)"]


def test_a_limit_fills_at_a_better_open_and_never_worse_than_its_price(scene: Scene) -> None:
    scene.send(request_of("l", kind=OrderType.LIMIT, limit_price="98"))
    scene.send(request_of("m", kind=OrderType.LIMIT, limit_price="96.01"))
    scene.bars((96.0, 97.0, 95.0, 96.0))
    assert scene.fills() == [
        "Tue 05 14:30 buy 10 SPY at 96.03 fee 0 (l)",
        "Tue 05 14:30 buy 10 SPY at 96.01 fee 0 (m)",
    ]


def test_of_a_bracket_born_between_open_and_close_only_the_stop_counts_in_that_bar(scene: Scene) -> None:
    scene.send(request_of("l", kind=OrderType.LIMIT, limit_price="98", bracket_stop="95", bracket_target="102"))
    scene.bars((100.0, 103.0, 97.0, 99.0))
    assert scene.fills() == ["Tue 05 14:35 buy 10 SPY at 98 fee 0 (l)"]
    scene.bars((99.0, 102.5, 98.0, 102.0))
    assert scene.fills()[1:] == ["Tue 05 14:40 sell 10 SPY at 102 fee 0 (l-t)"]


def test_a_limit_entry_and_its_stop_in_the_same_bar(scene: Scene) -> None:
    scene.send(request_of("l", kind=OrderType.LIMIT, limit_price="98", bracket_stop="95", bracket_target="102"))
    scene.bars((100.0, 103.0, 94.0, 99.0))
    assert scene.fills() == [
        "Tue 05 14:35 buy 10 SPY at 98 fee 0 (l)",
        "Tue 05 14:35 sell 10 SPY at 94.97 fee 0 (l-s)",
    ]


def test_a_stop_above_the_limit_of_its_purchase_sells_for_what_that_was_bought_at_and_no_dearer(
    calendar: ExchangeCalendar,
) -> None:
    """Rounded to the tick, a split puts the stop of this bracket over its limit: 21.26 and 21.25."""
    scene = Scene(calendar)
    scene.venue.close()
    scene.venue = venue_over(
        scene.shelf,
        scene.clock,
        calendar=calendar,
        actions=[CorporateAction("SPY", OPEN + FIVE, Decimal(0), Decimal(4), Decimal(25))],
    )
    scene.send(request_of("l", kind=OrderType.LIMIT, limit_price="85.02", bracket_stop="85.01", bracket_target="104"))
    scene.bars((100.0, 100.0, 100.0, 100.0), (25.0, 25.0, 25.0, 25.0), (21.27, 21.27, 21.25, 21.25))
    assert scene.fills() == [
        "Tue 05 14:45 buy 40 SPY at 21.25 fee 0 (l)",
        "Tue 05 14:45 sell 40 SPY at 21.24 fee 0 (l-s)",
    ]
    scene.venue.close()


def test_an_order_that_costs_more_than_the_cash_at_the_open_is_turned_down_with_words(scene: Scene) -> None:
    scene.send(request_of("e", quantity="99"))
    scene.bars((102.0, 103.0, 101.0, 102.0))
    assert scene.fills() == []
    order = scene.venue.find("e")
    assert order is not None and order.state is OrderState.REJECTED
    assert order.reason == "not enough cash when its time came: 10101.96 USD needed, 10000.00 USD there"


def test_a_coin_pays_its_spread_and_a_fee_rounded_up_to_the_cent(calendar: ExchangeCalendar) -> None:
    scene = Scene(calendar, "BTC-USD")
    scene.send(request_of("c", quantity="0.123457", symbol="BTC-USD", bracket_stop="95", bracket_target="115"))
    scene.bars((100.0, 101.0, 99.0, 100.0), (100.0, 101.0, 94.0, 95.0))
    assert scene.fills() == [
        "Tue 05 14:30 buy 0.123457 BTC-USD at 100.1 fee 0.04 (c)",
        "Tue 05 14:40 sell 0.123457 BTC-USD at 94.905 fee 0.03 (c-s)",
    ]
    assert plain(scene.venue.state().cash) == "9999.288640885"
    scene.venue.close()


def test_money_from_a_later_sale_in_the_same_bar_does_not_pay_for_a_purchase_at_its_open(
    calendar: ExchangeCalendar,
) -> None:
    scene = Scene(calendar)
    scene.shelf.add(*flat_bars("AAA", 100.0, datetime(2024, 3, 4, 20, 55, tzinfo=UTC), 1))
    scene.send(request_of("a", quantity="50", symbol="AAA", bracket_stop="95", bracket_target="110"))
    scene.shelf.add(bar_of("AAA", OPEN, (100.0, 101.0, 99.0, 100.0)))
    scene.bars((100.0, 101.0, 99.0, 100.0))
    scene.send(request_of("s", quantity="49"))
    scene.shelf.add(bar_of("AAA", scene.clock.now(), (100.0, 111.0, 99.0, 111.0)))
    scene.bars((103.0, 104.0, 102.0, 103.0))
    assert [line.split(" ", 3)[3] for line in scene.fills()] == [
        "buy 50 AAA at 100.03 fee 0 (a)",
        "sell 50 AAA at 110 fee 0 (a-t)",
    ]
    order = scene.venue.find("s")
    assert order is not None and order.state is OrderState.REJECTED
    scene.venue.close()


def test_after_a_long_silence_the_symbols_are_still_matched_in_the_order_of_time(calendar: ExchangeCalendar) -> None:
    """The limit on AAA, reached last, is paid by the target of SPY; BTC-USD, filled first, must not wait for either."""
    scene = Scene(calendar)
    scene.shelf.add(*flat_bars("AAA", 105.0, datetime(2024, 3, 4, 20, 55, tzinfo=UTC), 1))
    scene.shelf.add(*flat_bars("BTC-USD", 100.0, OPEN - FIVE, 1))
    scene.send(request_of("s", quantity="50", bracket_stop="90", bracket_target="110"))
    scene.bars((100.0, 101.0, 99.0, 100.0))
    assert len(scene.fills()) == 1
    scene.send(request_of("b", quantity="20", symbol="BTC-USD"))
    scene.send(request_of("a", quantity="29", symbol="AAA", kind=OrderType.LIMIT, limit_price="100"))
    scene.shelf.add(*flat_bars("BTC-USD", 150.0, OPEN + FIVE, 3), *flat_bars("AAA", 105.0, OPEN + FIVE, 2))
    scene.shelf.add(*flat_bars("AAA", 100.0, OPEN + 3 * FIVE, 1))
    scene.bars((100.0, 101.0, 99.0, 100.0), (100.0, 111.0, 99.0, 110.0), (110.0, 111.0, 109.0, 110.0))
    assert scene.fills()[1:] == [
        "Tue 05 14:35 buy 20 BTC-USD at 150.15 fee 7.51 (b)",
        "Tue 05 14:45 sell 50 SPY at 110 fee 0 (s-t)",
        "Tue 05 14:45 buy 29 AAA at 100 fee 0 (a)",
    ]
    scene.venue.close()


def session_bars(calendar: ExchangeCalendar, symbol: str, days: Sequence[date], prices: Sequence[float]) -> list[Bar]:
    """Daily bars with the real sessions' bounds, flat at one price a day."""
    bars = []
    for day, price in zip(days, prices, strict=True):
        sessions, opens, closes = calendar.sessions_between(day, day)
        bars += [
            bar_of(
                symbol,
                datetime.fromtimestamp(int(opened), UTC),
                (price,) * 4,
                BarSize.D1,
                datetime.fromtimestamp(int(closed), UTC),
            )
            for _, opened, closed in zip(sessions, opens, closes, strict=True)
        ]
    return bars


@pytest.mark.feature("S9")
def test_an_order_after_a_half_day_waits_for_the_next_sessions_open(calendar: ExchangeCalendar) -> None:
    days = [date(2024, 11, 27), date(2024, 11, 29), date(2024, 12, 2)]
    shelf = BarShelf(*session_bars(calendar, "SPY", days, [598.0, 602.0, 603.0]))
    clock = VirtualClock(datetime(2024, 11, 29, 18, 0, tzinfo=UTC))
    venue = venue_over(shelf, clock, calendar=calendar)
    venue.submit(request_of("h", quantity="1"))
    clock.move_to(datetime(2024, 12, 2, 20, 59, tzinfo=UTC))
    assert told(venue) == []
    clock.move_to(datetime(2024, 12, 2, 21, 0, tzinfo=UTC))
    assert told(venue) == ["Mon 02 14:30 buy 1 SPY at 603.19 fee 0 (h)"]
    venue.close()


@pytest.mark.feature("S9")
def test_over_the_spring_clock_change_friday_s_order_fills_at_monday_s_new_open(calendar: ExchangeCalendar) -> None:
    days = [date(2024, 3, 8), date(2024, 3, 11)]
    shelf = BarShelf(*session_bars(calendar, "SPY", days, [511.0, 512.0]))
    clock = VirtualClock(datetime(2024, 3, 8, 21, 0, tzinfo=UTC))
    venue = venue_over(shelf, clock, calendar=calendar)
    venue.submit(request_of("d", quantity="1"))
    clock.move_to(datetime(2024, 3, 11, 20, 0, tzinfo=UTC))
    assert told(venue) == ["Mon 11 13:30 buy 1 SPY at 512.16 fee 0 (d)"]
    venue.close()


@pytest.mark.feature("S9")
def test_over_the_autumn_clock_change_a_coin_trades_on_and_a_stock_waits(calendar: ExchangeCalendar) -> None:
    friday_close = datetime(2024, 11, 1, 20, 0, tzinfo=UTC)
    shelf = BarShelf(*session_bars(calendar, "SPY", [date(2024, 11, 1), date(2024, 11, 4)], [571.0, 570.0]))
    shelf.add(*flat_bars("BTC-USD", 1000.0, friday_close - timedelta(hours=1), 80, BarSize.H1))
    clock = VirtualClock(friday_close)
    venue = venue_over(shelf, clock, calendar=calendar)
    venue.submit(request_of("s", quantity="1"))
    venue.submit(request_of("c", quantity="1", symbol="BTC-USD"))
    clock.move_to(datetime(2024, 11, 4, 21, 0, tzinfo=UTC))
    assert told(venue) == [
        "Fri 01 20:00 buy 1 BTC-USD at 1001 fee 2.51 (c)",
        "Mon 04 14:30 buy 1 SPY at 570.18 fee 0 (s)",
    ]
    venue.close()


@pytest.mark.feature("S9")
def test_a_stock_order_does_not_fill_on_bars_outside_the_session(calendar: ExchangeCalendar) -> None:
    before_open = datetime(2024, 3, 5, 13, 30, tzinfo=UTC)
    shelf = BarShelf(*flat_bars("SPY", 100.0, before_open, 14))
    clock = VirtualClock(before_open + FIVE)
    venue = venue_over(shelf, clock, calendar=calendar)
    venue.submit(request_of("e"))
    clock.move_to(OPEN + FIVE)
    assert told(venue) == ["Tue 05 14:30 buy 10 SPY at 100.03 fee 0 (e)"]
    venue.close()


@pytest.mark.feature("S9")
def test_a_daily_bar_named_by_its_date_alone_opens_with_its_session(calendar: ExchangeCalendar) -> None:
    close = datetime(2024, 3, 5, 21, tzinfo=UTC)
    shelf = BarShelf(
        bar_of("SPY", datetime(2024, 3, 4, tzinfo=UTC), (100.0,) * 4, BarSize.D1, close - timedelta(days=1)),
        bar_of("SPY", datetime(2024, 3, 5, tzinfo=UTC), (101.0,) * 4, BarSize.D1, close),
    )
    clock = VirtualClock(datetime(2024, 3, 5, 13, 0, tzinfo=UTC))
    venue = venue_over(shelf, clock, calendar=calendar)
    venue.submit(request_of("e"))
    clock.move_to(close)
    assert told(venue) == ["Tue 05 14:30 buy 10 SPY at 101.04 fee 0 (e)"]
    venue.close()


@pytest.mark.parametrize("broken", [(float("nan"),) * 4, (0.0, 101.0, 0.0, 100.0), (-5.0, 101.0, -5.0, 100.0)])
def test_a_bar_that_is_no_price_matches_nothing(scene: Scene, broken: Prices) -> None:
    scene.send(request_of("e", side=Side.BUY))
    scene.bars(broken, (101.0, 101.0, 101.0, 101.0))
    assert scene.fills() == ["Tue 05 14:35 buy 10 SPY at 101.04 fee 0 (e)"]


# stops with a limit, which is what coins may have at Alpaca


STOP_LIMIT = {"stop_price": "95", "limit_price": "93"}


@pytest.fixture
def stopped(calendar: ExchangeCalendar) -> Iterator[Scene]:
    """Ten coins, and a stop at 95 that sells no lower than at 93."""
    scene = Scene(calendar, "BTC-USD", ALPACA)
    scene.send(request_of("e", quantity="10", symbol="BTC-USD"))
    scene.bars((100.0, 101.0, 99.0, 100.0))
    scene.send(request_of("s", Side.SELL, "9.97", "BTC-USD", OrderType.STOP, **STOP_LIMIT))
    yield scene
    scene.venue.close()


def test_a_stop_with_a_limit_that_is_touched_sells_at_the_stop_less_slippage(stopped: Scene) -> None:
    stopped.bars((97.0, 98.0, 90.0, 91.0))
    assert stopped.fills()[1:] == ["Tue 05 14:40 sell 9.97 BTC-USD at 94.905 fee 2.37 (s)"]


def test_a_gap_to_between_stop_and_limit_sells_at_the_open_and_never_below_the_limit(stopped: Scene) -> None:
    stopped.bars((93.01, 94.0, 90.0, 91.0))
    assert stopped.fills()[1:] == ["Tue 05 14:35 sell 9.97 BTC-USD at 93 fee 2.32 (s)"]


def test_a_gap_over_the_limit_sells_nothing_until_the_price_is_back_at_it(stopped: Scene) -> None:
    stopped.bars((90.0, 92.0, 89.0, 91.0), (91.0, 92.99, 91.0, 92.0))
    assert stopped.fills()[1:] == []
    assert [order.client_order_id for order in stopped.venue.orders()] == ["s"]
    stopped.bars((92.0, 96.0, 92.0, 96.0))
    assert stopped.fills()[1:] == ["Tue 05 14:50 sell 9.97 BTC-USD at 93 fee 2.32 (s)"]


def test_a_stop_that_was_set_off_sells_at_the_open_above_it_too(stopped: Scene) -> None:
    stopped.bars((90.0, 92.0, 89.0, 91.0), (97.0, 98.0, 96.0, 97.0))
    assert stopped.fills()[1:] == ["Tue 05 14:40 sell 9.97 BTC-USD at 96.903 fee 2.42 (s)"]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (request_of("x", symbol="BTC-USD", quantity="1", **BRACKET), "coins take no bracket"),
        (
            request_of("x", Side.SELL, "1", "BTC-USD", OrderType.STOP, stop_price="90", bracket_target="120"),
            "coins take no bracket",
        ),
        (request_of("x", Side.SELL, "1", "BTC-USD", OrderType.STOP, stop_price="90"), "no plain stops"),
        (
            request_of("x", Side.SELL, "1", "BTC-USD", OrderType.STOP, stop_price="90", limit_price="91"),
            "must not be above its stop",
        ),
        (request_of("x", Side.SELL, "1", "BTC-USD"), "only 0.005 are free"),
        (request_of("x", symbol="SPY", quantity="1.5", **BRACKET), "fractions of a share take no bracket"),
        (
            request_of("x", symbol="SPY", quantity="1.5", kind=OrderType.LIMIT, limit_price="100"),
            "SPY trades in steps of 1, not 1.5",
        ),
    ],
)
def test_what_alpaca_lets_not_rest_does_not_rest_here(stopped: Scene, request_: OrderRequest, words: str) -> None:
    answer = stopped.venue.submit(request_)
    assert isinstance(answer, Refused)
    assert words in answer.reason


def test_a_fraction_of_a_share_is_sold_at_the_market(calendar: ExchangeCalendar) -> None:
    scene = Scene(calendar, profile=ALPACA)
    scene.send(request_of("e", quantity="3.5"))
    scene.bars((100.0, 101.0, 99.0, 100.0))
    scene.send(request_of("x", Side.SELL, quantity="3.5"))
    scene.bars((100.0, 101.0, 99.0, 100.0))
    assert scene.fills()[1:] == ["Tue 05 14:35 sell 3.5 SPY at 99.97 fee 0.02 (x)"]
    assert scene.venue.state().positions == {}
    scene.venue.close()
