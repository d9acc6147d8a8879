"""One tick through the real ledger, the real decision and the simulated venue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.cycle import recover
from core.domain.accounts import Badge, Mode, World
from core.domain.decisions import BrakeKind
from core.domain.events import (
    InstructionIssued,
    OrderFilled,
    OrderRefused,
    OrderUncertain,
    PositionUnguarded,
    QuestionAsked,
    QuestionSettled,
    SignalRaised,
)
from core.domain.orders import Order, OrderState, Purpose
from core.domain.portfolio import AdjustmentKind, Fill, GuardKind, PositionAdjustment
from core.domain.venue import (
    Activity,
    OrderRequest,
    Replacement,
    Resting,
    SubmitResult,
    Unknown,
    VenueAccount,
    VenueOrder,
)
from core.domain.views import Health
from core.errors import Transient
from core.execution.watch import guard
from core.strategy.policy import Policy
from tests.builders import COIN, MONDAY, Bench, an_entry, an_exit


class Fickle:
    """A venue whose connection fails as told: `deaf` before and `mute` after a submission, `gone` for questions."""

    def __init__(self, venue: Any) -> None:
        self.venue = venue
        self.account = venue.account
        self.rests = Resting.PAIR
        self.shows_within = timedelta(minutes=1)
        self.can_replace = True
        self.deaf = self.mute = self.gone = self.blind = False
        self.extra: dict[str, Decimal] = {}

    def resting(self, symbol: str, quantity: Decimal) -> Resting:
        return self.rests

    def sale_step(self, symbol: str) -> Decimal:
        step: Decimal = self.venue.sale_step(symbol)
        return step

    def submit(self, request: OrderRequest) -> SubmitResult:
        if self.deaf:
            raise Transient("connection refused")
        answer: SubmitResult = self.venue.submit(request)
        return Unknown("no answer within 10 s") if self.mute else answer

    def replace(self, client_order_id: str, change: Replacement) -> SubmitResult:
        answer: SubmitResult = self.venue.replace(client_order_id, change)
        return answer

    def cancel(self, client_order_id: str) -> None:
        self.venue.cancel(client_order_id)

    def find(self, client_order_id: str) -> VenueOrder | None:
        if self.blind:
            raise Transient("look-up timed out")
        found: VenueOrder | None = self.venue.find(client_order_id)
        return found

    def orders(self) -> Sequence[VenueOrder]:
        if self.gone:
            raise Transient("out of reach")
        orders: Sequence[VenueOrder] = self.venue.orders()
        return [] if self.blind else orders

    def fills_since(self, at: datetime) -> Sequence[Fill]:
        fills: Sequence[Fill] = self.venue.fills_since(at)
        return [] if self.blind else fills

    def activities_since(self, at: datetime) -> Sequence[Activity]:
        found: Sequence[Activity] = self.venue.activities_since(at)
        return found

    def state(self) -> VenueAccount:
        account: VenueAccount = self.venue.state()
        return VenueAccount(account.cash, {**account.positions, **self.extra})


def a_bench(folder: Path, **settings: Any) -> Bench:
    return Bench(folder, **settings).start()


def fickle_bench(folder: Path) -> tuple[Bench, Fickle]:
    bench = Bench(folder, wrap=Fickle).start()
    return bench, bench.desk.brokers["simulated"]  # type: ignore[return-value]


def entries(bench: Bench, account: str = "simulated") -> list[Order]:
    return [order for order in bench.read(lambda work: work.orders(account)) if order.purpose is Purpose.ENTRY]


def guards(bench: Bench) -> list[Any]:
    return list(bench.read(lambda work: work.guards()))


@pytest.mark.feature("S13")
@pytest.mark.feature("S20")
def test_a_signal_becomes_an_order_a_guarded_position_and_at_its_stop_a_loss(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    result = bench.tick()
    assert (result.buy_signals, result.submitted) == (1, 1)
    (signal,) = bench.events(SignalRaised)
    (order,) = entries(bench)
    assert (order.state, order.quantity) == (OrderState.ACCEPTED, signal.quantity)

    bench.bar(100.0)
    assert bench.tick().fills == 1
    (bought,) = bench.events(OrderFilled)
    (resting,) = guards(bench)
    assert (bought.guard, resting.kind, resting.stop, resting.target) == (GuardKind.VENUE, "VENUE", 95, 115)
    assert resting.venue_order_id is not None

    bench.bar(94.0, 94.0, 90.0, 92.0)
    assert bench.tick().fills == 1
    sold = bench.events(OrderFilled)[-1]
    assert (sold.purpose, sold.quantity) == (Purpose.STOP, order.quantity)
    assert sold.profit is not None and sold.profit < 0
    portfolio = bench.read(lambda work: work.portfolio("simulated"))
    assert sold.profit == portfolio.closed[0].profit == portfolio.cash - Decimal(10000)
    assert portfolio.cash == bench.venue.state().cash
    assert guards(bench) == []
    assert bench.read(lambda work: work.live_orders()) == []


@pytest.mark.feature("T1")
@pytest.mark.parametrize("mode", [Mode.CONFIRM, Mode.MANUAL])
def test_a_card_tells_of_its_signal_so_no_second_message_repeats_its_reasons(tmp_path: Path, mode: Mode) -> None:
    bench = Bench(tmp_path, mode=mode).start()
    bench.declare_cash()
    assert bench.tick().instructed
    card = bench.events(InstructionIssued)[0]
    (signal,) = bench.read(lambda work: work.last_signals()).values()
    assert bench.events(SignalRaised) == []
    assert signal.prediction is not None and card.probability == signal.prediction.probability
    told = [each.reason for each in signal.verdicts if each.gate in ("probability", "sma", "rsi", "macd")]
    assert len(told) == 4
    assert all(reason in card.why for reason in told)


def test_the_same_tick_run_twice_places_one_order(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    bench.tick(MONDAY)
    again = bench.tick(MONDAY)
    assert again.submitted == 0
    assert len(entries(bench)) == len(bench.venue.orders()) == 1
    assert len(bench.events(SignalRaised)) == 1


def test_an_order_that_exists_is_met_again_and_not_sent(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    order = an_entry(bench)
    assert bench.place(order).duplicates == 0
    again = bench.place(order)
    assert (again.duplicates, again.to_submit) == (1, ())
    assert len(bench.venue.orders()) == 1


def test_an_entry_that_may_have_arrived_blocks_its_symbol_and_is_adopted_when_found(tmp_path: Path) -> None:
    bench, venue = fickle_bench(tmp_path)
    venue.mute = venue.blind = True
    bench.tick()
    (order,) = entries(bench)
    assert order.state is OrderState.UNKNOWN
    assert len(bench.events(OrderUncertain)) == 1
    bench.bar(100.0)
    assert bench.tick().submitted == 0
    (signal,) = bench.read(lambda work: work.last_signals()).values()
    assert {verdict.gate for verdict in signal.verdicts if not verdict.passed} >= {"unknown", "pending"}
    venue.mute = venue.blind = False
    bench.tick()
    assert bench.order(order.client_order_id).state is OrderState.FILLED
    assert len(bench.events(OrderUncertain)) == 1
    assert [guard.kind for guard in guards(bench)] == [GuardKind.VENUE]


def test_an_entry_that_never_arrived_is_given_up_and_a_later_signal_trades(tmp_path: Path) -> None:
    bench, venue = fickle_bench(tmp_path)
    venue.deaf = True
    bench.tick()
    (order,) = entries(bench)
    assert order.state is OrderState.UNKNOWN
    venue.deaf = False
    bench.bar(100.0)
    assert bench.tick().submitted == 1
    first, second = sorted(entries(bench), key=lambda each: each.created_at)
    assert (first.state, second.state) == (OrderState.REJECTED, OrderState.ACCEPTED)
    assert "never reached" in bench.events(OrderRefused)[0].reason


def test_an_exit_that_never_arrived_goes_out_again_under_the_same_id(tmp_path: Path) -> None:
    bench, venue = fickle_bench(tmp_path)
    bench.tick()
    bench.bar(100.0)
    bench.reconcile()
    held = bench.read(lambda work: work.portfolio("simulated")).quantity(COIN)
    venue.deaf = True
    out = an_exit(bench, quantity=held)
    bench.place(out)
    assert bench.order(out.client_order_id).state is OrderState.UNKNOWN
    venue.deaf = False
    bench.reconcile()
    assert bench.order(out.client_order_id).state is OrderState.UNKNOWN, "it may still be on its way"
    bench.clock.advance(venue.shows_within)
    bench.reconcile()
    assert bench.order(out.client_order_id).state is OrderState.ACCEPTED
    bench.bar(101.0)
    bench.reconcile()
    assert bench.venue.state().positions == {}


def test_an_exit_takes_the_resting_legs_out_of_its_way(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    bench.tick()
    bench.bar(100.0)
    bench.reconcile()
    held = bench.read(lambda work: work.portfolio("simulated")).quantity(COIN)
    bench.place(an_exit(bench, quantity=held))
    bench.bar(101.0)
    bench.reconcile()
    assert bench.venue.orders() == []
    assert bench.read(lambda work: work.live_orders()) == []
    assert bench.events(OrderFilled)[-1].purpose is Purpose.EXIT


def test_a_refusal_is_told_with_its_reason(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    bench.place(an_entry(bench, quantity=Decimal(5000)))
    (event,) = bench.events(OrderRefused)
    assert "not enough cash" in event.reason


def test_an_exit_refused_every_minute_for_the_same_reason_is_told_once(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    for _ in range(3):
        bench.place(an_exit(bench))
        bench.bar(100.0)
    assert len(bench.events(OrderRefused)) == 1


def test_a_venue_out_of_reach_is_not_flat_and_takes_no_entries(tmp_path: Path) -> None:
    bench, venue = fickle_bench(tmp_path)
    bench.tick()
    bench.bar(100.0)
    bench.tick()
    venue.gone = True
    bench.bar(100.5)
    result = bench.tick()
    assert result.unreachable == ("simulated",)
    assert bench.health.states["simulated"][0] is Health.DEGRADED
    assert bench.read(lambda work: work.portfolio("simulated")).positions != {}
    assert [guard.kind for guard in guards(bench)] == [GuardKind.VENUE]
    venue.gone = False
    bench.tick()
    assert bench.health.states["simulated"][0] is Health.RUNNING


def test_a_position_that_nobody_can_explain_blocks_its_symbol_once_until_both_sides_agree(tmp_path: Path) -> None:
    bench, venue = fickle_bench(tmp_path)
    venue.extra = {COIN: Decimal(3)}
    for _ in range(2):
        assert bench.tick().submitted == 0
        bench.bar(100.0)
    (card,) = bench.events(QuestionAsked)
    assert (card.kind, card.ours, card.theirs) == ("difference", 0, 3)
    assert [brake.kind for brake in bench.read(lambda work: work.brakes())] == [BrakeKind.SYMBOL_BLOCKED]
    venue.extra = {}
    bench.reconcile()
    assert bench.read(lambda work: work.brakes()) == []
    (settled,) = bench.events(QuestionSettled)
    assert (settled.number, settled.detail) == (card.number, "both sides agree again")


@pytest.mark.feature("C1")
def test_a_pause_vetoes_entries_and_lets_exits_go(tmp_path: Path) -> None:
    bench = a_bench(tmp_path, has_broker=False)
    bench.declare_cash()
    card = bench.instruct()
    bench.owner.execute(card.number, card.version, "tap-1")
    bench.owner.pause(None, "owner")
    bench.clock.advance(timedelta(hours=2))
    bench.bar(94.0)
    result = bench.tick()
    assert result.instructed == 1
    (waiting,) = bench.owner.pending()
    assert (waiting.purpose, waiting.symbol) == (Purpose.EXIT, COIN)
    assert "stop-loss" in waiting.why


def test_a_pause_keeps_a_good_signal_from_becoming_an_order(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    bench.owner.pause(None, "owner")
    assert bench.tick().submitted == 0
    (signal,) = bench.read(lambda work: work.last_signals()).values()
    assert signal.veto is not None and signal.veto.gate == "pause"


@pytest.mark.feature("S12")
def test_in_manual_mode_a_signal_becomes_a_card_and_nothing_is_sent(tmp_path: Path) -> None:
    bench = a_bench(tmp_path, mode=Mode.MANUAL)
    bench.declare_cash()
    assert bench.tick().instructed == 1
    (card,) = bench.owner.pending()
    assert (card.account, card.needs_approval, card.probability) == ("manual", False, 0.7)
    assert bench.venue.orders() == []


def test_without_declared_cash_the_manual_account_takes_no_entries(tmp_path: Path) -> None:
    bench = a_bench(tmp_path, mode=Mode.MANUAL)
    assert bench.tick().instructed == 0
    (signal,) = bench.read(lambda work: work.last_signals()).values()
    assert signal.veto is not None and signal.veto.gate in ("cap", "cash")


def test_in_confirm_mode_the_order_waits_and_in_observe_mode_there_is_none(tmp_path: Path) -> None:
    for mode, waiting in ((Mode.CONFIRM, 1), (Mode.OBSERVE, 0)):
        folder = tmp_path / mode.value
        folder.mkdir()
        bench = a_bench(folder, mode=mode)
        bench.tick()
        assert len(bench.owner.pending()) == waiting
        assert bench.venue.orders() == []


def test_the_first_order_of_an_installation_comes_as_a_manual_card_too_and_only_once(tmp_path: Path) -> None:
    policy = replace(Policy(), daily_risk_fraction=Decimal("0.0075"))
    bench = a_bench(tmp_path, symbols=(COIN, "ETH-USD"), world=World.SIMULATED, policy=policy)
    bench.declare_cash("4000")
    assert bench.tick().instructed == 1
    (card,) = bench.owner.pending()
    assert card.account == "manual"
    # A quarter of the manual account's own 4,000 USD, whatever the broker's account holds.
    assert Decimal(990) < card.quantity * card.price <= Decimal(1000)
    (event,) = bench.events(InstructionIssued)
    assert event.badges == (Badge.MANUAL, Badge.SIMULATED)
    bench.owner.skip(card.number, card.version, "tap-1")
    bench.clock.advance(timedelta(hours=3))
    bench.system.advance(timedelta(hours=3))
    bench.bar(100.0)
    assert bench.tick().instructed == 0


def test_without_declared_cash_the_first_card_waits_for_a_later_order(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    assert bench.tick().instructed == 0
    assert bench.read(lambda work: work.value("first_card")) is None


class NoBrackets(Fickle):
    """A venue at which no stop can rest, as for coins at some brokers."""

    def __init__(self, venue: Any) -> None:
        super().__init__(venue)
        self.rests = Resting.NOTHING


@pytest.mark.feature("S13")
def test_where_no_stop_can_rest_the_engine_watches_and_sells_at_the_stop(tmp_path: Path) -> None:
    bench = Bench(tmp_path, wrap=NoBrackets).start()
    bench.tick()
    bench.bar(102.0)
    bench.reconcile()
    (watched,) = guards(bench)
    (bought,) = bench.events(OrderFilled)
    assert (watched.kind, bought.guard) == (GuardKind.ENGINE, GuardKind.ENGINE)
    assert watched.stop == (bought.price * Decimal("0.95")).quantize(Decimal("0.0001"))
    bench.bar(101.0)
    assert guard(bench.desk, bench.clock.now()) == "no stop or target reached"
    bench.bar(96.0)
    assert guard(bench.desk, bench.clock.now()) == "1 exits sent"
    assert guard(bench.desk, bench.clock.now()) == "no stop or target reached"
    bench.bar(96.0)
    bench.tick()
    sold = bench.events(OrderFilled)[-1]
    assert (sold.purpose, bench.venue.state().positions) == (Purpose.STOP, {})


def test_guard_leaves_a_position_alone_whose_stop_rests_at_the_venue(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    assert guard(bench.desk, bench.clock.now()) == "no position needs watching"
    bench.tick()
    bench.bar(100.0)
    assert guard(bench.desk, bench.clock.now()) == "no stop or target reached"


@pytest.mark.feature("S13")
def test_a_position_that_nothing_can_guard_is_told_once_and_counted(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    gift = PositionAdjustment(
        "gift", "manual", "GME", AdjustmentKind.TRANSFER, Decimal(5), Decimal(0), bench.clock.now()
    )
    with bench.database.unit_of_work() as work:
        work.book(gift, recorded_at=bench.system.now())
        work.commit()
    bench.tick()
    bench.tick()
    (event,) = bench.events(PositionUnguarded)
    assert (event.symbol, event.quantity) == ("GME", Decimal(5))
    assert bench.owner.status().unguarded == 1


def test_figures_count_growth_without_deposits(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    bench.declare_cash("1000")
    bench.tick()
    bench.bar(100.0)
    bench.tick()
    bench.bar(110.0)
    bench.declare_cash("5000")
    bench.tick()
    status = bench.owner.status()
    broker, manual = status.accounts
    portfolio = bench.read(lambda work: work.portfolio("simulated"))
    worth = portfolio.cash + portfolio.quantity(COIN) * 110
    assert (broker.equity, broker.day_profit) == (worth, worth - 10000)
    assert broker.total_fraction == broker.day_fraction == worth / 10000 - 1
    assert (manual.equity, manual.day_profit, manual.total_fraction) == (5000, 0, 0)
    assert broker.benchmark_fraction == Decimal("0.1")
    (held,) = bench.owner.positions().positions
    assert (held.guard, held.value) == (GuardKind.VENUE, portfolio.quantity(COIN) * 110)
    assert (broker.attested, manual.attested) == (False, True)


def test_a_day_begins_with_what_the_day_before_ended_with(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    bench.tick()
    bench.bar(100.0)
    bench.tick()
    before = bench.owner.status().accounts[0].equity
    while bench.clock.now() < MONDAY + timedelta(days=1):
        bench.bar(100.0)
    assert bench.owner.report().day == MONDAY.date()
    bench.bar(104.0)
    bench.tick()
    report = bench.owner.report()
    (account,) = report.accounts
    assert report.day == MONDAY.date() + timedelta(days=1)
    assert account.day_profit == account.equity - before
    assert report.ledger_head == bench.read(lambda work: work.chain_head())


def test_recovery_puts_the_owners_file_back_and_changes_nothing_else(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    bench.tick()
    head = bench.read(lambda work: work.chain_head())
    (bench.folder / "signals" / "manual_trades.json").unlink(missing_ok=True)
    bench.restart()
    recover(bench.desk, bench.clock.now())
    assert (bench.folder / "signals" / "manual_trades.json").exists()
    assert bench.read(lambda work: work.chain_head()) == head


def test_a_tick_without_a_new_bar_records_nothing(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    bench.owner.pause(None, "owner")
    bench.tick()
    head = bench.read(lambda work: work.chain_head())
    bench.tick(MONDAY + timedelta(minutes=1))
    assert bench.read(lambda work: work.chain_head()) == head


def test_an_instrument_without_new_bars_is_excluded_with_its_reason(tmp_path: Path) -> None:
    from core.cycle import run_cycle

    bench = a_bench(tmp_path)
    now = bench.clock.now()
    result = run_cycle(now, bench.desk, now, {COIN: "Yahoo knows no such symbol"})
    assert result.excluded == {COIN: "Yahoo knows no such symbol"}
    assert "Yahoo knows no such symbol" in result.summary()
