"""A closed trade is shown beside the forecast that led to it, in the day's report and by /why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from bot import render_report, render_skill, render_why
from bot.markup import visible
from core.domain.events import ClosedForecast, DailyReport
from core.domain.orders import OrderState, Purpose, Side
from core.domain.skill import ALL, Standing, TrackedPrediction, Trust, Waiting
from core.execution.trade_forecasts import closed_between, closed_of
from core.execution.views import publish_daily_report, report
from core.learning.outcomes import weighed
from core.strategy.policy import Policy, Strategy
from core.strategy.skill import course, record_of
from tests.builders import COIN, MONDAY, Bench
from tests.fakes_owner import REPORT
from tests.ledger_builders import SIMULATED, START, a_decision, a_deposit, a_fill, a_signal, an_order, ledger
from tests.unit.test_live_skill import record

pytestmark = pytest.mark.feature("S6")

ZONE = ZoneInfo("UTC")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    opened = Bench(tmp_path).start()
    yield opened
    opened.close()


def trade(bench: Bench) -> None:
    """Bought by a forecast, and stopped out."""
    assert bench.tick().submitted == 1
    bench.bar(100.0)
    bench.tick()
    bench.bar(94.0, 94.0, 90.0, 92.0)
    bench.tick()


def test_a_closed_trade_knows_the_forecast_that_led_to_it_and_later_what_came_of_that(bench: Bench) -> None:
    trade(bench)
    (told,) = bench.read(lambda work: closed_of(work, COIN))
    (made,) = bench.read(lambda work: work.unscored_predictions(MONDAY - timedelta(days=9)))
    assert (told.symbol, told.purpose, told.probability, told.event) == (
        COIN,
        Purpose.STOP,
        made.probability,
        made.event,
    )
    assert told.profit < 0
    assert told.came_true is None
    with bench.database.unit_of_work() as work:
        work.add_prediction_score(TrackedPrediction(made, True, MONDAY, MONDAY, 0.5))
        work.commit()
    assert bench.owner.closed_trades(COIN) == (replace(told, came_true=True),)
    assert bench.owner.closed_trades("SPY") == ()


def test_the_report_of_a_day_holds_the_trades_of_that_day_alone(bench: Bench) -> None:
    trade(bench)
    assert [each.symbol for each in report(bench.desk, bench.clock.now()).closed] == [COIN]
    day_end = bench.desk.calendar.day_end(bench.clock.now())
    assert publish_daily_report(bench.desk, day_end)
    (told,) = bench.events(DailyReport)
    assert [each.symbol for each in told.closed] == [COIN]
    assert report(bench.desk, day_end + timedelta(minutes=5)).closed == ()


def test_an_entry_of_the_plain_rule_has_no_forecast_to_show(tmp_path: Path) -> None:
    bench = Bench(tmp_path, policy=Policy(strategy=Strategy.RULE)).start()
    trade(bench)
    (told,) = bench.owner.closed_trades(COIN)
    assert (told.probability, told.event, told.came_true) == (None, "", None)
    bench.close()


def test_each_trade_has_the_forecast_of_its_own_purchase_and_one_by_hand_has_none(tmp_path: Path) -> None:
    database = ledger(tmp_path)
    with database.unit_of_work() as work:
        work.add_account(SIMULATED)
        work.book(a_deposit(), recorded_at=START)
        for day, probability in enumerate((0.61, 0.72, None)):
            at, name = START + timedelta(days=day), f"at-{day}"
            if probability is not None:
                made = replace(a_signal(at=at).prediction, probability=probability)
                bought = an_order(name, created_at=at, state=OrderState.FILLED, filled_quantity=Decimal(4))
                signals = (replace(a_signal(at=at), prediction=made),)
                work.record_decision(a_decision(at=at, signals=signals, orders=(bought,)), recorded_at=at)
                work.add_order(bought)
            filled = at + timedelta(minutes=1)
            work.book(a_fill(f"b-{day}", client_order_id=name if probability else "", at=filled), recorded_at=at)
            sold = a_fill(f"s-{day}", client_order_id=f"x-{day}", side=Side.SELL, purpose=Purpose.EXIT)
            work.book(replace(sold, at=at + timedelta(hours=2)), recorded_at=at)
        assert [each.probability for each in closed_of(work, "SPY")] == [None, 0.72, 0.61]
        assert [each.probability for each in closed_between(work, START, START + timedelta(days=1))] == [0.61]
        work.commit()
    database.close()


def test_the_message_says_forecast_outcome_and_profit() -> None:
    sold = ClosedForecast(
        "simulated", "SPY", Decimal("-61.20"), Decimal("-0.0241"), MONDAY, Purpose.STOP, 0.63, "it gains", True
    )
    by_hand = ClosedForecast("manual", "QQQ", Decimal("12"), None, MONDAY, Purpose.EXIT)
    shown = visible(render_report.report(replace(REPORT, closed=(sold, by_hand)), ZONE).text)
    assert "SPY −$61.20 (−2.41%), stop" in shown
    assert "Forecast 63.0%: it gains. It came true." in shown
    assert "No forecast led to it." in shown
    why = visible(render_why.why(a_signal(), (), MONDAY, ZONE, None, (replace(sold, came_true=None),)).text)
    assert "Its last trades" in why
    assert "Forecast 63.0%: it gains. Not known yet." in why
    assert visible(render_skill.closed([sold] * 12, ZONE)).endswith("and 2 more")


def test_the_report_shows_the_live_record_what_is_doubted_and_what_waits() -> None:
    outcomes = weighed(record([0.62] * 40, [True] * 22 + [False] * 18), MONDAY.replace(year=2030))
    *_, last = course(outcomes)
    found = record_of(ALL, outcomes, last.tallies[ALL])
    doubted = (Standing("ETH-USD", Trust.THROTTLED, "odds against them 150 to 1", MONDAY),)
    waiting = (Waiting(112, "not due yet"), Waiting(8, "GONE: there are no daily bars of it"))
    shown = visible(render_report.report(replace(REPORT, skill=found, doubted=doubted, waiting=waiting), ZONE).text)
    loss = -(22 * np.log(0.62) + 18 * np.log(0.38)) / 40
    gain = f"{np.log(2) - loss:.3f}".replace("-", "−")
    assert f"Log loss {loss:.3f}, of always saying the base rate 0.693: {gain} nats" in shown
    assert "that may be luck" in shown
    assert "in 40 forecasts of a year that came due, no more than 40 independent outcomes" in shown
    assert "60%–65%  55% came true, of 40" in shown
    assert "ETH-USD: half the size, because of odds against them 150 to 1." in shown
    assert "Waiting: 112 not due yet; 8 GONE: there are no daily bars of it." in shown


def test_a_record_whose_outcomes_cannot_be_counted_is_told_all_the_same() -> None:
    """What a ledger of another version holds must not keep the report from the owner."""
    found = weighed(record([0.7] * 4, [True] * 4), START + timedelta(days=99))
    one = record_of(ALL, found, list(course(found))[-1].tallies[ALL])
    assert "– outcomes" in render_skill.live(replace(one, independent=float("inf")), (), ())
