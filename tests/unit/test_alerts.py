"""Warnings of a price near its stop and of bars that do not come (I6), with the real ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.markup import visible
from bot.preferences import Loudness, Preferences, QuietHours
from bot.render import render
from core.adapters.calendars import ExchangeCalendar
from core.domain.bars import Bar, BarSize
from core.domain.events import BarsStale, NearStop, OrderFilled
from core.domain.portfolio import GuardKind
from core.execution import alerts, watch
from core.feed.standing import Standing
from core.feed.telling import STANDINGS, to_text
from core.series import BarSeries
from core.strategy.policy import Policy
from tests.builders import COIN, FIVE, Bench, an_entry

ZONE = ZoneInfo("America/New_York")
ONE_PERCENT = Policy(near_stop_atr=None)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Ten units bought at 100, with a stop at 95."""
    bench = Bench(tmp_path, policy=ONE_PERCENT).start()
    bench.place(an_entry(bench))
    bench.bar(100.0)
    bench.reconcile()
    yield bench
    bench.close()


def minutes(bench: Bench, *prices: float) -> None:
    """The guard looks once after each five minutes."""
    for price in prices:
        bench.bar(price)
        watch.guard(bench.desk, bench.clock.now())


def told(bench: Bench) -> list[bool]:
    return [event.over for event in bench.events(NearStop)]


@pytest.mark.feature("I6")
def test_a_price_that_comes_near_its_stop_is_told_once_and_once_more_when_it_is_well_away(bench: Bench) -> None:
    minutes(bench, 97.0, 95.9, 95.5, 95.9, 96.2, 95.9)
    (event,) = bench.events(NearStop)
    assert (event.symbol, event.price, event.stop, event.over) == (COIN, Decimal("95.9"), Decimal(95), False)
    assert event.guard is GuardKind.VENUE
    minutes(bench, 97.0, 97.0, 95.9, 97.0, 97.0, 97.0)
    assert told(bench) == [False]
    minutes(bench, 97.0)
    assert told(bench) == [False, True]


@pytest.mark.feature("I6")
def test_what_was_told_outlives_a_restart(bench: Bench) -> None:
    minutes(bench, 95.9)
    bench.restart()
    minutes(bench, 95.8)
    assert told(bench) == [False]
    minutes(bench, 97.0, 97.0, 97.0)
    bench.restart()
    minutes(bench, 97.0)
    assert told(bench) == [False, True]


def test_a_sale_ends_a_warning_without_a_word_and_the_next_position_is_warned_of_anew(bench: Bench) -> None:
    minutes(bench, 95.9, 94.0)
    assert len(bench.events(OrderFilled)) == 2
    watch.guard(bench.desk, bench.clock.now())
    assert told(bench) == [False]
    assert bench.read(lambda work: work.value(alerts.NEAR)) is None
    minutes(bench, 100.0)
    bench.place(an_entry(bench))
    minutes(bench, 100.0, 95.5)
    assert told(bench) == [False, False]


def test_a_restless_asset_is_warned_of_from_further_away(tmp_path: Path) -> None:
    bench = Bench(tmp_path, policy=Policy(near_stop_fraction=None, near_stop_atr=Decimal(1))).start()
    bench.place(an_entry(bench))
    bench.bar(100.0)
    bench.reconcile()
    range_ = alerts._day_range(bench.desk, COIN, bench.clock.now())
    assert range_ is not None
    minutes(bench, float(95 + range_ * Decimal("1.1")))
    assert told(bench) == []
    minutes(bench, float(95 + range_ * Decimal("0.9")))
    assert told(bench) == [False]
    assert "Usual day" in visible(render(bench.events(NearStop)[0], ZONE).text)
    bench.close()


@pytest.mark.parametrize("policy", [Policy(near_stop_fraction=None, near_stop_atr=None)])
def test_both_rules_can_be_off(tmp_path: Path, policy: Policy) -> None:
    bench = Bench(tmp_path, policy=policy).start()
    bench.place(an_entry(bench))
    bench.bar(100.0)
    bench.reconcile()
    minutes(bench, 95.1, 95.05)
    assert told(bench) == []
    bench.close()


# bars that do not come


def silence(bench: Bench, count: int) -> None:
    """Ticks without a new bar."""
    for _ in range(count):
        bench.clock.advance(FIVE)
        bench.system.advance(FIVE)
        alerts.look_at_bars(bench.desk, bench.clock.now())


def both(bench: Bench) -> None:
    """The next five minutes have a bar of each coin."""
    now = bench.clock.now()
    bar = Bar("ETH-USD", BarSize.M5, now, now + FIVE, 100.0, 100.0, 100.0, 100.0, 5.0)
    bench.bars.write(BarSeries.of("ETH-USD", BarSize.M5, [bar]), "test")
    bench.bar(100.0)


def stale(bench: Bench) -> list[tuple[bool, tuple[str, ...], tuple[str, ...]]]:
    return [(e.over, tuple(each.symbol for each in e.series), e.held) for e in bench.events(BarsStale)]


@pytest.mark.feature("I6")
def test_bars_that_do_not_come_in_an_open_session_are_told_once_all_together_and_once_when_they_come_again(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, symbols=(COIN, "ETH-USD")).start()
    bench.place(an_entry(bench))
    bench.bar(100.0)
    bench.reconcile()
    both(bench)
    silence(bench, 4)
    assert stale(bench) == []
    silence(bench, 1)
    bench.bar(100.0)
    silence(bench, 10)
    assert stale(bench) == [(False, ("ETH-USD",), ()), (False, (COIN,), (COIN,))]
    bench.restart()
    for _ in range(5):
        both(bench)
        alerts.look_at_bars(bench.desk, bench.clock.now())
    assert stale(bench)[2:] == [(True, (COIN, "ETH-USD"), (COIN,))]
    bench.close()


def test_where_the_owner_knows_that_no_source_answers_nothing_is_said_a_second_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path).start()
    with bench.database.unit_of_work() as work:
        work.set_value(STANDINGS, to_text({(COIN, BarSize.M5): Standing("yahoo", held=True)}, "yahoo"))
        work.commit("seed")
    silence(bench, 20)
    assert stale(bench) == []
    bench.close()


@pytest.mark.feature("I6")
def test_nights_weekends_and_holidays_are_no_silence(tmp_path: Path) -> None:
    bench = Bench(tmp_path, symbols=("SPY",), calendar=ExchangeCalendar()).start()
    friday = datetime(2024, 3, 8, 21, tzinfo=UTC)
    bar = Bar("SPY", BarSize.M5, friday - FIVE, friday, 100.0, 100.0, 100.0, 100.0, 5.0)
    bench.bars.write(BarSeries.of("SPY", BarSize.M5, [bar]), "test")

    def at(moment: datetime) -> int:
        return alerts.look_at_bars(bench.desk, moment)

    monday = datetime(2024, 3, 11, 13, 30, tzinfo=UTC)
    assert [at(friday + timedelta(hours=hours)) for hours in range(1, 64)] == [0] * 63
    assert [at(monday + timedelta(minutes=5 * count)) for count in range(6)] == [0] * 6
    assert at(monday + timedelta(minutes=30)) == 1
    # The close comes first: nothing is over by it, and nothing begins after it.
    assert at(datetime(2024, 3, 11, 23, tzinfo=UTC)) == 0
    assert stale(bench) == [(False, ("SPY",), ())]
    bench.close()


def test_a_warning_can_be_switched_off_and_keeps_quiet_at_night(bench: Bench) -> None:
    minutes(bench, 95.9)
    (event,) = bench.events(NearStop)
    noon, night = (datetime(2024, 3, 4, hour, tzinfo=UTC) for hour in (17, 5))
    hours = QuietHours.parse("22-7")
    assert Preferences(quiet=hours).loudness(event, noon, ZONE) is Loudness.ON
    assert Preferences(quiet=hours).loudness(event, night, ZONE) is Loudness.SILENT
    assert Preferences({"warnings": Loudness.OFF}).loudness(event, noon, ZONE) is Loudness.OFF


@pytest.mark.feature("I6")
def test_the_messages_say_how_far_it_is_who_guards_it_and_what_can_be_done(bench: Bench) -> None:
    minutes(bench, 95.9)
    message = render(bench.events(NearStop)[0], ZONE)
    text = visible(message.text)
    for words in (f"{COIN}: near its stop", "95.90", "95.00 (0.9% away)", "It rests at the broker"):
        assert words in text, text
    assert [button.token for button in message.keyboard[0]] == [f"m:stop-{COIN}", f"m:close-{COIN}"]
    for account, words in (("manual", "I send the card when it is reached"), ("simulated", "Only you can sell it now")):
        by_hand = replace(bench.events(NearStop)[0], account=account, guard=GuardKind.OWNER)
        assert words in visible(render(by_hand, ZONE).text)
    silence(bench, 12)
    text = visible(render(bench.events(BarsStale)[0], ZONE).text)
    for words in (f"No new bars: {COIN}", "last ", f"Held: {COIN}", "Nothing is bought on old prices"):
        assert words in text, text
