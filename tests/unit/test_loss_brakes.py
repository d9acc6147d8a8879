"""Loss brakes on the real ledger: seen by the tick, told once, ended by time, by the owner or by a correction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.adapters.calendars import ExchangeCalendar
from core.domain.accounts import Mode
from core.domain.bars import Bar, BarSize
from core.domain.decisions import Brake, BrakeKind
from core.domain.events import BrakeReleased, BrakeSet, ModeChanged, OrderFilled
from core.domain.orders import Order, OrderState, Purpose, Side
from core.domain.portfolio import AdjustmentKind, CashKind, CashMovement, Fill, PositionAdjustment
from core.domain.views import Correction, OwnTrade
from core.execution.loss_brakes import check
from core.execution.watch import guard
from core.series import BarSeries
from core.strategy.policy import Policy
from tests.builders import COIN, FIVE, Bench, SteadyPredictor

pytestmark = pytest.mark.feature("S8")

OTHER = "ETH-USD"
TIGHT = replace(
    Policy(),
    daily_loss_fraction=Decimal("0.01"),
    stop_fraction=Decimal("0.5"),
    target_fraction=Decimal(5),
    min_trade_gap=timedelta(0),
)
"""A quarter of the account in one asset: 4 % of its price are the 1 % that brakes."""


class Chosen(SteadyPredictor):
    """Sure of the named symbols, doubtful of all others."""

    def __init__(self, symbols: Collection[str]) -> None:
        super().__init__()
        self.symbols = set(symbols)

    def predict(self, daily: BarSeries) -> Any:
        said = super().predict(daily)
        return said and replace(said, probability=0.9 if daily.symbol in self.symbols else 0.1)


def bars(bench: Bench, coin: float, other: float = 100.0) -> None:
    """The next five minutes of both coins."""
    now = bench.clock.now()
    flat = Bar(OTHER, BarSize.M5, now, now + FIVE, other, other, other, other, volume=1000.0)
    bench.bars.write(BarSeries.of(OTHER, BarSize.M5, [flat]), "test")
    bench.bar(coin)


def holding(folder: Path, policy: Policy = TIGHT, **settings: Any) -> Bench:
    """A bench that has bought a quarter's worth of the first coin at about 100 USD."""
    bench = Bench(folder, symbols=(COIN, OTHER), policy=policy, **settings).start()
    bench.predictor = Chosen({COIN})
    bench.tick()
    bars(bench, 100.0)
    bench.tick()
    assert bench.read(lambda work: work.portfolio("simulated")).quantity(COIN) > 0
    return bench


def brakes(bench: Bench) -> list[tuple[str, str]]:
    return [(brake.kind.value, brake.scope) for brake in bench.read(lambda work: work.brakes())]


def entries(bench: Bench, symbol: str = OTHER) -> list[Order]:
    found = bench.read(lambda work: work.orders("simulated"))
    return [order for order in found if order.purpose is Purpose.ENTRY and order.symbol == symbol]


def veto(bench: Bench, symbol: str = OTHER) -> tuple[str, str]:
    signal = bench.read(lambda work: work.last_signals())[symbol]
    assert signal.veto is not None
    return signal.veto.gate, signal.veto.reason


def after_a_loss(folder: Path, **settings: Any) -> Bench:
    """The bench at the tick that saw the day's loss reach its limit, with a second coin that would be bought."""
    bench = holding(folder, **settings)
    bench.predictor = Chosen({OTHER})
    bars(bench, 95.0)
    bench.tick()
    return bench


def test_the_tick_that_sees_the_loss_brakes_before_it_decides_and_tells_it_once(tmp_path: Path) -> None:
    bench = after_a_loss(tmp_path)
    assert brakes(bench) == [("daily_loss", "simulated")]
    assert entries(bench) == []
    gate, reason = veto(bench)
    assert gate == "brakes"
    assert reason.startswith("daily loss: 1.") and "lost today (limit 1 %)" in reason
    for _ in range(3):
        bars(bench, 94.0)
        bench.tick()
        guard(bench.desk, bench.clock.now())
    (told,) = bench.events(BrakeSet)
    assert (told.kind, told.scope, told.until) == (
        BrakeKind.DAILY_LOSS,
        "simulated",
        datetime(2024, 3, 5, tzinfo=UTC),
    )


def test_without_a_limit_so_near_the_same_tick_would_have_bought(tmp_path: Path) -> None:
    bench = after_a_loss(tmp_path, policy=replace(TIGHT, daily_loss_fraction=Decimal("0.04")))
    assert brakes(bench) == []
    assert len(entries(bench)) == 1


def test_a_brake_survives_a_restart_and_is_not_told_again(tmp_path: Path) -> None:
    bench = after_a_loss(tmp_path)
    bench.restart()
    bench.predictor = Chosen({OTHER})
    bars(bench, 95.0)
    bench.tick()
    assert brakes(bench) == [("daily_loss", "simulated")]
    assert len(bench.events(BrakeSet)) == 1
    assert entries(bench) == []


@pytest.mark.feature("S13")
def test_a_brake_holds_no_exit_back(tmp_path: Path) -> None:
    bench = after_a_loss(tmp_path)
    bars(bench, 40.0)
    bench.tick()
    bars(bench, 40.0)
    bench.tick()
    assert bench.events(OrderFilled)[-1].purpose is Purpose.STOP
    assert bench.read(lambda work: work.portfolio("simulated")).positions == {}


@pytest.mark.feature("T1")
def test_a_card_that_is_approved_while_a_brake_holds_is_not_sent(tmp_path: Path) -> None:
    bench = holding(tmp_path)
    bench.owner.set_mode(Mode.CONFIRM, "owner")
    bench.predictor = Chosen({OTHER})
    bars(bench, 100.0)
    bench.tick()
    (card,) = bench.owner.pending()
    bars(bench, 95.0)
    assert guard(bench.desk, bench.clock.now()) == "1 brakes set"
    answer = bench.owner.execute(card.number, card.version, "tap-1")
    (order,) = entries(bench)
    assert order.state is OrderState.CANCELED
    assert "not sent: daily loss: " in answer.text
    assert all(each.symbol != OTHER for each in bench.venue.orders())


def test_the_minute_guard_sees_a_loss_that_was_just_realised(tmp_path: Path) -> None:
    bench = holding(tmp_path, policy=replace(TIGHT, stop_fraction=Decimal("0.05")))
    bars(bench, 94.0)
    assert guard(bench.desk, bench.clock.now()) == "1 brakes set"
    assert bench.read(lambda work: work.portfolio("simulated")).positions == {}
    assert guard(bench.desk, bench.clock.now()) == "no position needs watching"


@pytest.mark.feature("C7")
def test_a_released_brake_does_not_snap_shut_at_once_but_at_the_next_loss_of_that_size(tmp_path: Path) -> None:
    bench = after_a_loss(tmp_path)
    answer = bench.owner.unlock(BrakeKind.DAILY_LOSS, "simulated", "owner")
    assert "count anew" in answer.text
    bars(bench, 95.0)
    bench.tick()
    assert brakes(bench) == []
    assert len(entries(bench)) == 1
    bars(bench, 92.0)
    bench.tick()
    assert brakes(bench) == []
    bars(bench, 90.0)
    bench.tick()
    assert brakes(bench) == [("daily_loss", "simulated")]
    assert "since its release at 2024-03-04" in bench.events(BrakeSet)[-1].reason


@pytest.mark.feature("C7")
def test_a_release_counts_from_the_next_value_even_where_nothing_has_changed_since(tmp_path: Path) -> None:
    bench = after_a_loss(tmp_path)
    bench.owner.unlock(BrakeKind.DAILY_LOSS, "simulated", "owner")
    bench.tick()
    bars(bench, 90.0)
    bench.tick()
    assert brakes(bench) == [("daily_loss", "simulated")]


@pytest.mark.feature("C7")
def test_the_drawdown_holds_over_days_until_released_and_counts_from_there(tmp_path: Path) -> None:
    policy = replace(TIGHT, daily_loss_fraction=Decimal(1), drawdown_fraction=Decimal("0.01"))
    bench = after_a_loss(tmp_path, policy=policy)
    assert brakes(bench) == [("drawdown", "simulated")]
    bench.clock.advance(timedelta(days=3))
    bench.system.advance(timedelta(days=3))
    bars(bench, 95.0)
    bench.tick()
    assert brakes(bench) == [("drawdown", "simulated")]
    bench.owner.unlock(BrakeKind.DRAWDOWN, "simulated", "owner")
    for price, expected in ((95.0, []), (92.0, []), (90.0, [("drawdown", "simulated")])):
        bars(bench, price)
        bench.tick()
        assert brakes(bench) == expected
    assert [event.kind for event in bench.events(BrakeSet)] == [BrakeKind.DRAWDOWN] * 2


@pytest.mark.feature("M14")
@pytest.mark.parametrize("kind", [CashKind.WITHDRAWAL, CashKind.DEPOSIT])
def test_money_moved_in_or_out_neither_sets_a_brake_nor_hides_a_loss(tmp_path: Path, kind: CashKind) -> None:
    bench = holding(tmp_path)
    bars(bench, 96.5)
    bench.tick()
    amount = Decimal(-5000 if kind is CashKind.WITHDRAWAL else 10_000)
    move = CashMovement("move", "simulated", kind, amount, bench.clock.now())
    with bench.database.unit_of_work() as work:
        work.book(move, recorded_at=bench.system.now())
        work.commit("reconcile")
    bench.tick()
    assert brakes(bench) == []
    bars(bench, 94.0)
    bench.tick()
    assert brakes(bench) == [("daily_loss", "simulated")]


def test_units_taken_over_from_the_venue_are_neither_gain_nor_loss(tmp_path: Path) -> None:
    bench = holding(tmp_path)
    gone = PositionAdjustment(
        "gone", "simulated", COIN, AdjustmentKind.ADOPTION, Decimal(-10), Decimal(-1000), bench.clock.now()
    )
    with bench.database.unit_of_work() as work:
        work.book(gone, recorded_at=bench.system.now())
        work.commit("reconcile")
    check(bench.desk, bench.clock.now(), {COIN: Decimal(100)})
    assert brakes(bench) == []


def lose(bench: Bench, times: int, symbol: str = COIN, account: str = "manual", start: int = 0) -> None:
    """Round trips that each lose 10 USD, an hour apart, booked as the owner's own."""
    for number in range(start, start + times):
        for side, price in ((Side.BUY, 100), (Side.SELL, 90)):
            bench.clock.advance(timedelta(minutes=20))
            bench.system.advance(timedelta(minutes=20))
            trade = OwnTrade(symbol, side, Decimal(1), Decimal(price), Decimal(0), None, insist=True)
            assert bench.owner.book_trade(trade, "owner", f"{account} {number} {side}").kind.value == "done"


def with_own_account(folder: Path) -> Bench:
    policy = replace(TIGHT, daily_loss_fraction=Decimal(1), drawdown_fraction=Decimal(1), loss_streak=3)
    bench = Bench(folder, symbols=(COIN, OTHER), policy=policy).start()
    bench.predictor = Chosen(())
    bench.declare_cash("10000")
    bench.tick()
    return bench


def look(bench: Bench) -> int:
    return check(bench.desk, bench.clock.now(), {})


def test_a_row_of_losing_trades_rests_the_account_and_ends_by_itself(tmp_path: Path) -> None:
    bench = with_own_account(tmp_path)
    lose(bench, 2)
    assert look(bench) == 0
    lose(bench, 1, start=2)
    assert (look(bench), look(bench)) == (1, 0)
    (brake,) = bench.read(lambda work: work.brakes())
    assert (brake.kind, brake.scope, brake.until) == (
        BrakeKind.LOSS_STREAK,
        "manual",
        bench.clock.now() + timedelta(hours=24),
    )
    lose(bench, 2, start=3)
    bench.clock.move_to(brake.until)
    assert look(bench) == 0
    assert brakes(bench) == []
    (ended,) = bench.events(BrakeReleased)
    assert (ended.kind, ended.by) == (BrakeKind.LOSS_STREAK, "the clock")
    lose(bench, 2, start=5)
    assert look(bench) == 0
    lose(bench, 1, start=7)
    assert look(bench) == 1


@pytest.mark.feature("C7")
def test_a_released_row_counts_only_what_ends_after_the_release(tmp_path: Path) -> None:
    bench = with_own_account(tmp_path)
    lose(bench, 3)
    look(bench)
    bench.owner.unlock(BrakeKind.LOSS_STREAK, "manual", "owner")
    lose(bench, 2, start=3)
    assert look(bench) == 0
    lose(bench, 1, start=5)
    assert look(bench) == 1


@pytest.mark.feature("M7")
def test_a_losing_trade_that_is_taken_back_does_not_count(tmp_path: Path) -> None:
    bench = with_own_account(tmp_path)
    lose(bench, 3)
    bench.owner.undo("owner", "undo-1")
    assert look(bench) == 0
    assert brakes(bench) == []


@pytest.mark.feature("M8")
def test_a_brake_that_rests_on_a_mistake_goes_with_its_correction(tmp_path: Path) -> None:
    bench = with_own_account(tmp_path)
    lose(bench, 3)
    assert look(bench) == 1
    right = Correction(None, None, Decimal(110), None)
    assert bench.owner.correct(right, "owner", "correct-1").kind.value == "done"
    assert look(bench) == 0
    assert brakes(bench) == []
    (ended,) = bench.events(BrakeReleased)
    assert (ended.scope, ended.by) == ("manual", "the correction")


@pytest.mark.feature("M8")
def test_a_mistyped_price_leaves_no_false_highest_value_behind(tmp_path: Path) -> None:
    bench = Bench(tmp_path, policy=replace(TIGHT, drawdown_fraction=Decimal("0.2"))).start()
    bench.predictor = Chosen(())
    bench.declare_cash("10000")
    bench.tick()
    buy, sale = (
        OwnTrade(COIN, side, Decimal(10), price, Decimal(0), None, insist=True)
        for side, price in ((Side.BUY, Decimal(100)), (Side.SELL, Decimal(1000)))
    )
    bench.bar(100.0)
    bench.owner.book_trade(buy, "owner", "buy")
    bench.tick()
    bench.bar(100.0)
    bench.owner.book_trade(sale, "owner", "sale")
    bench.tick()
    assert bench.owner.status().accounts[-1].equity == 19_000
    bench.bar(100.0)
    bench.owner.correct(Correction(None, None, Decimal(100), None), "owner", "correct-1")
    bench.tick()
    assert brakes(bench) == []
    bench.bar(100.0)
    bench.tick()
    assert brakes(bench) == []


@pytest.mark.feature("S20")
def test_all_accounts_together_have_brakes_of_their_own(tmp_path: Path) -> None:
    bench = holding(tmp_path, policy=replace(TIGHT, daily_loss_fraction=Decimal("0.009")))
    bench.declare_cash("3000")
    bench.tick()
    bars(bench, 96.8)
    bench.tick()
    assert brakes(bench) == []
    bars(bench, 95.0)
    bench.tick()
    assert brakes(bench) == [("daily_loss", "*"), ("daily_loss", "simulated")]
    assert "all accounts together are worth" in bench.events(BrakeSet)[1].reason


@pytest.mark.feature("S20")
def test_a_single_account_with_money_is_not_braked_twice(tmp_path: Path) -> None:
    bench = after_a_loss(tmp_path)
    assert brakes(bench) == [("daily_loss", "simulated")]


@pytest.mark.feature("S15")
@pytest.mark.parametrize(
    ("friday", "summer"), [(datetime(2024, 3, 8, tzinfo=UTC), True), (datetime(2024, 11, 1, tzinfo=UTC), False)]
)
def test_the_days_loss_ends_with_the_trading_day_on_both_sides_of_a_clock_change(
    tmp_path: Path, friday: datetime, summer: bool
) -> None:
    bench = Bench(tmp_path, symbols=(COIN, OTHER), policy=TIGHT, calendar=ExchangeCalendar()).start()
    for day, ends_at in ((friday, timedelta(hours=21 if summer else 20)), (friday + timedelta(days=3), None)):
        close = day + (ends_at or timedelta(hours=20 if summer else 21))
        end = close + timedelta(minutes=15)
        bench.clock.move_to(max(bench.clock.now(), close - timedelta(hours=1)))
        a_loss(bench, f"{day}")
        (brake,) = bench.read(lambda work: work.brakes())
        assert brake.until == end
        bench.clock.move_to(end - timedelta(minutes=1))
        look_at_cash(bench)
        assert brakes(bench) == [("daily_loss", "simulated")]
        bench.clock.move_to(end)
        look_at_cash(bench)
        assert brakes(bench) == []
        bench.clock.advance(timedelta(minutes=1))
        look_at_cash(bench)
        assert brakes(bench) == []
    assert [event.by for event in bench.events(BrakeReleased)] == ["the clock"] * 2


def a_loss(bench: Bench, name: str) -> None:
    """Two looks at the account's worth, with a fee of 3 % between them."""
    look_at_cash(bench)
    fee = CashMovement(name, "simulated", CashKind.FEE, Decimal(-300), bench.clock.now())
    with bench.database.unit_of_work() as work:
        work.book(fee, recorded_at=bench.system.now())
        work.commit("reconcile")
    bench.clock.advance(FIVE)
    look_at_cash(bench)


def look_at_cash(bench: Bench) -> None:
    """What a tick does about brakes and worth where nothing is held."""
    from core.execution.equity import record_equity

    now = bench.clock.now()
    check(bench.desk, now, {})
    with bench.database.unit_of_work() as work:
        record_equity(work, bench.desk, [work.portfolio("simulated"), work.portfolio("manual")], {}, now)
        work.commit("intents")


@pytest.mark.feature("C1")
def test_a_pause_that_is_over_leaves_the_table_and_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path).start()
    bench.predictor = Chosen(())
    bench.owner.pause(bench.clock.now() + timedelta(minutes=7), "owner")
    bench.bar(100.0)
    bench.tick()
    assert brakes(bench) == [("paused", "*")]
    bench.bar(100.0)
    bench.tick()
    assert brakes(bench) == []
    paused, over = bench.events(ModeChanged)
    assert (paused.paused, over.paused, over.by) == (True, False, "the clock")


def test_a_brake_without_an_end_stays(tmp_path: Path) -> None:
    bench = Bench(tmp_path).start()
    standing = Brake(BrakeKind.SYMBOL_BLOCKED, "SPY", "unknown", bench.clock.now())
    with bench.database.unit_of_work() as work:
        work.set_brake(standing)
        work.commit("protect")
    bench.clock.advance(timedelta(days=400))
    assert look(bench) == 0
    assert brakes(bench) == [("symbol_blocked", "SPY")]


def test_quiet_minutes_write_nothing(tmp_path: Path) -> None:
    bench = holding(tmp_path)
    passed: list[str] = []
    bench.checkpoint = passed.append
    guard(bench.desk, bench.clock.now())
    assert not any(name.startswith("brakes") for name in passed)


@pytest.mark.feature("S14")
@pytest.mark.parametrize("point", ["brakes.before_commit", "brakes.after_commit"])
def test_a_crash_while_a_brake_is_set_neither_loses_nor_repeats_it(tmp_path: Path, point: str) -> None:
    bench = holding(tmp_path)
    bars(bench, 95.0)

    def die(name: str) -> None:
        if name == point:
            raise KeyboardInterrupt

    bench.checkpoint = die
    with pytest.raises(KeyboardInterrupt):
        bench.tick()
    bench.checkpoint = lambda _name: None
    bench.restart()
    bench.predictor = Chosen(())
    bars(bench, 95.0)
    bench.tick()
    assert brakes(bench) == [("daily_loss", "simulated")]
    assert len(bench.events(BrakeSet)) == 1


def test_fills_of_one_sale_in_parts_are_one_losing_trade(tmp_path: Path) -> None:
    bench = with_own_account(tmp_path)
    at = bench.clock.now()
    with bench.database.unit_of_work() as work:
        for number, (side, quantity, price) in enumerate(
            [(Side.BUY, 4, 100), *((Side.SELL, 1, 90 - part) for part in range(4))]
        ):
            purpose = Purpose.ENTRY if side is Side.BUY else Purpose.STOP
            money = Decimal(price)
            fill = Fill(
                f"f{number}", "manual", "order", COIN, side, Decimal(quantity), money, Decimal(0), "USD", at, purpose
            )
            work.book(fill, recorded_at=at)
        work.commit("reconcile")
    assert look(bench) == 0
