"""The unit of work on a real SQLite file: what its callers may rely on."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import VirtualClock
from core.domain.accounts import Account, AccountKind, Mode, World
from core.domain.contests import Attempt, Contest
from core.domain.decisions import Brake, BrakeKind, ModelState, Prediction
from core.domain.events import HealthChanged, InstructionIssued, ModeChanged, ModelTrained, PositionUnguarded, Priority
from core.domain.orders import Bracket, OrderState, OrderType, Purpose, Side
from core.domain.portfolio import AdjustmentKind, Guard, GuardKind, Portfolio, PositionAdjustment
from core.domain.records import AuditRecord, EquityPoint, InstructionState, JobOutcome, OutboxState
from core.domain.skill import TrackedPrediction
from core.errors import Transient
from core.ports import DuplicateOrder, UnitOfWork
from core.storage import engine as engine_module
from core.storage.store import Database
from tests.ledger_builders import (
    MANUAL,
    SIMULATED,
    START,
    a_decision,
    a_deposit,
    a_fill,
    a_model,
    a_signal,
    an_instruction,
    an_order,
    ledger,
    write,
)

LATER = START + timedelta(minutes=5)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def database(tmp_path: Path, clock: VirtualClock) -> Iterator[Database]:
    opened = ledger(tmp_path, clock)
    yield opened
    opened.close()


@pytest.fixture
def uow(database: Database) -> Iterator[UnitOfWork]:
    with database.unit_of_work() as opened:
        yield opened


def test_only_an_explicit_commit_persists(database: Database) -> None:
    with database.unit_of_work() as uow:
        uow.book(a_deposit(), recorded_at=START)
        uow.set_value("mode", "auto")
    with database.reading() as uow:
        assert uow.value("mode") is None
        assert list(uow.entries()) == []
    write(database, lambda uow: uow.set_value("mode", "auto"))
    with database.reading() as uow:
        assert uow.value("mode") == "auto"


def test_an_error_in_the_block_takes_everything_back(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.unit_of_work() as uow:
        uow.add_order(an_order())
        _ = 1 / 0
    with database.reading() as uow:
        assert uow.order("at-1") is None


def test_after_a_commit_the_block_may_go_on_in_a_new_transaction(database: Database) -> None:
    with database.unit_of_work() as uow:
        uow.book(a_deposit(), recorded_at=START)
        uow.commit()
        uow.book(a_fill(), recorded_at=START)
    with database.reading() as uow:
        assert list(uow.entries()) == [a_deposit()]
        assert uow.portfolio("simulated").cash == Decimal(10_000)


def test_a_reader_sees_the_last_commit_while_a_writer_is_at_work(database: Database) -> None:
    with database.unit_of_work() as writer:
        writer.set_value("mode", "auto")
        seen: list[str | None] = []
        thread = threading.Thread(target=lambda: _read_mode(database, seen))
        thread.start()
        thread.join(5)
        writer.commit()
    assert seen == [None]


def _read_mode(database: Database, seen: list[str | None]) -> None:
    with database.reading() as uow:
        seen.append(uow.value("mode"))


def test_a_reader_can_neither_write_nor_commit(database: Database) -> None:
    with database.reading() as uow:
        with pytest.raises(RuntimeError):
            uow.set_value("mode", "auto")
        with pytest.raises(RuntimeError):
            uow.commit()


def test_writers_in_several_threads_wait_for_one_another_and_lose_nothing(database: Database) -> None:
    def count() -> None:
        for _ in range(20):
            with database.unit_of_work() as uow:
                uow.set_value("count", str(int(uow.value("count") or 0) + 1))
                uow.commit()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with database.reading() as uow:
        assert uow.value("count") == "80"


def test_a_file_that_another_process_writes_for_too_long_is_a_passing_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "BUSY_SECONDS", 0)
    database = ledger(tmp_path)
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Transient, match="another process is writing"), database.unit_of_work() as uow:
            uow.value("mode")
        with database.reading() as uow:
            assert uow.value("mode") is None
        other.execute("INSERT INTO named_values VALUES ('mode', 'observe')")
        other.execute("COMMIT")
    with database.unit_of_work() as uow:
        assert uow.value("mode") == "observe"
    database.close()


def test_a_second_unit_of_work_in_the_same_thread_is_refused_instead_of_waiting_for_itself(database: Database) -> None:
    with database.unit_of_work(), pytest.raises(RuntimeError), database.unit_of_work():
        raise AssertionError("not reached")
    write(database, lambda uow: uow.set_value("mode", "auto"))


def test_adding_an_account_again_changes_nothing_and_a_different_one_is_refused(uow: UnitOfWork) -> None:
    uow.add_account(SIMULATED)
    assert list(uow.accounts()) == [MANUAL, SIMULATED]
    with pytest.raises(ValueError, match="simulated"):
        uow.add_account(Account("simulated", AccountKind.SIMULATED, World.SIMULATED))


def test_an_order_comes_back_as_it_was_written(uow: UnitOfWork) -> None:
    order = an_order(
        type=OrderType.LIMIT,
        limit_price=Decimal("500.10"),
        bracket=Bracket(Decimal("475.24"), Decimal("575.29")),
        reference_price=Decimal("500.25"),
        tags=("first", "test"),
    )
    uow.add_order(order)
    assert uow.order("at-1") == order
    moved = order.moved(OrderState.ACCEPTED, LATER, venue_order_id="v-9").filled_by(Decimal("1.5"), LATER)
    uow.save_order(moved)
    assert uow.order("at-1") == moved


def test_an_order_that_was_never_added_cannot_be_saved(uow: UnitOfWork) -> None:
    with pytest.raises(KeyError):
        uow.save_order(an_order())


@pytest.mark.feature("T8")
def test_a_doubled_order_id_is_refused(uow: UnitOfWork) -> None:
    uow.add_order(an_order(purpose=Purpose.EXIT))
    with pytest.raises(DuplicateOrder):
        uow.add_order(an_order(symbol="QQQ"))


@pytest.mark.parametrize("state", sorted(set(OrderState) - {"filled", "canceled", "rejected", "expired"}))
def test_a_second_live_entry_of_an_account_and_symbol_is_refused(uow: UnitOfWork, state: OrderState) -> None:
    uow.add_order(an_order("at-1", state=state))
    with pytest.raises(DuplicateOrder):
        uow.add_order(an_order("at-2"))
    uow.add_order(an_order("at-3", symbol="QQQ"))
    uow.add_order(an_order("at-4", account="manual"))
    uow.add_order(an_order("at-5", purpose=Purpose.EXIT, side=Side.SELL))


def test_a_new_entry_may_follow_a_settled_one(uow: UnitOfWork) -> None:
    uow.add_order(an_order("at-1"))
    uow.save_order(an_order("at-1", state=OrderState.REJECTED))
    uow.add_order(an_order("at-2"))
    assert [order.client_order_id for order in uow.live_orders()] == ["at-2"]


def test_an_entry_revived_by_the_venue_is_written_though_its_successor_is_live(uow: UnitOfWork) -> None:
    uow.add_order(an_order("at-1"))
    uow.save_order(an_order("at-1", state=OrderState.CANCELED))
    uow.add_order(an_order("at-2"))
    uow.save_order(an_order("at-1", state=OrderState.PARTIALLY_FILLED, filled_quantity=Decimal(1)))
    assert [order.client_order_id for order in uow.live_orders("simulated")] == ["at-1", "at-2"]
    uow.save_order(an_order("at-2", state=OrderState.CANCELED))
    with pytest.raises(DuplicateOrder):
        uow.add_order(an_order("at-3"))


def test_orders_are_listed_newest_first_by_account_time_and_count(uow: UnitOfWork) -> None:
    for number in range(4):
        uow.add_order(
            an_order(
                f"at-{number}",
                symbol=f"S{number}",
                account="manual" if number == 3 else "simulated",
                created_at=START + timedelta(minutes=number),
            )
        )
    assert [order.symbol for order in uow.orders()] == ["S3", "S2", "S1", "S0"]
    assert [order.symbol for order in uow.orders("simulated", START + timedelta(minutes=1))] == ["S2", "S1"]
    assert [order.symbol for order in uow.orders(limit=1)] == ["S3"]


def test_booking_the_same_entry_again_changes_nothing(uow: UnitOfWork) -> None:
    assert uow.book(a_deposit(), recorded_at=START)
    head = uow.chain_head()
    assert not uow.book(a_deposit(), recorded_at=LATER)
    assert uow.chain_head() == head
    assert uow.book(a_deposit(account="manual"), recorded_at=START)


def test_the_three_kinds_of_entry_come_back_in_the_order_of_booking(uow: UnitOfWork) -> None:
    booked = [
        a_deposit(),
        a_fill(),
        PositionAdjustment("a-1", "simulated", "SPY", AdjustmentKind.SPLIT, Decimal(4), Decimal(0), LATER, "2 for 1"),
        a_fill("f-2", account="manual"),
        a_deposit("-5.5", "c-2"),
    ]
    for entry in booked:
        uow.book(entry, recorded_at=LATER)
    assert list(uow.entries()) == booked
    assert list(uow.entries("simulated")) == [entry for entry in booked if entry.account == "simulated"]


@pytest.mark.parametrize(
    "changes",
    [{"quantity": Decimal(0)}, {"quantity": Decimal("NaN")}, {"price": Decimal(-1)}, {"fee_currency": "BTC"}],
)
def test_a_fill_that_cannot_be_booked_right_is_refused(uow: UnitOfWork, changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="fill f-1"):
        uow.book(a_fill(**changes), recorded_at=START)


@pytest.mark.feature("S20")
def test_positions_and_cash_follow_from_the_entries_of_each_account(uow: UnitOfWork) -> None:
    uow.book(a_deposit(), recorded_at=START)
    uow.book(a_fill(), recorded_at=START)
    uow.book(a_deposit("50", "c-1", "manual"), recorded_at=START)
    assert uow.portfolio("simulated").cash == Decimal(10_000) - 4 * Decimal("500.25") - Decimal("1.10")
    assert uow.portfolio("simulated").quantity("SPY") == 4
    assert uow.portfolio("manual").cash == 50
    assert uow.portfolio("alpaca-paper") == Portfolio("alpaca-paper")


def test_a_portfolio_is_right_after_a_rollback(database: Database) -> None:
    write(database, lambda uow: uow.book(a_deposit(), recorded_at=START))
    with database.unit_of_work() as uow:
        uow.portfolio("simulated")
        uow.book(a_fill(), recorded_at=START)
        assert uow.portfolio("simulated").quantity("SPY") == 4
    with database.unit_of_work() as uow:
        assert uow.portfolio("simulated").quantity("SPY") == 0
        uow.book(a_fill("f-2", quantity=Decimal(1)), recorded_at=START)
        uow.commit()
        assert uow.portfolio("simulated").quantity("SPY") == 1


def test_a_reader_that_began_earlier_keeps_its_portfolio(database: Database) -> None:
    write(database, lambda uow: uow.book(a_deposit(), recorded_at=START))
    with database.reading() as reader:
        reader.chain_head()
        thread = threading.Thread(target=lambda: _book_and_look(database))
        thread.start()
        thread.join(5)
        assert reader.portfolio("simulated").cash == Decimal(10_000)
    with database.reading() as reader:
        assert reader.portfolio("simulated").quantity("SPY") == 4


def _book_and_look(database: Database) -> None:
    with database.unit_of_work() as uow:
        uow.book(a_fill(), recorded_at=START)
        uow.commit()
        uow.portfolio("simulated")


def test_the_newest_signal_of_each_symbol_is_found(uow: UnitOfWork) -> None:
    uow.record_decision(a_decision(), recorded_at=START)
    second = a_signal(passed=False, at=LATER)
    uow.record_decision(a_decision(LATER, signals=(second,)), recorded_at=LATER)
    elsewhere = a_signal("QQQ", at=LATER)
    uow.record_decision(a_decision(LATER, account="manual", signals=(elsewhere,)), recorded_at=LATER)
    assert uow.last_signals("simulated") == {"SPY": second, "BTC-USD": a_signal("BTC-USD", passed=False)}
    assert uow.last_signals() == {**uow.last_signals("simulated"), "QQQ": elsewhere}
    assert uow.last_signals("alpaca-paper") == {}


def test_the_newest_judged_bar_of_each_symbol_is_known_by_account(uow: UnitOfWork) -> None:
    signals = (replace(a_signal(), bar_closed_at=START), a_signal("BTC-USD"))
    uow.record_decision(a_decision(signals=signals), recorded_at=START)
    assert uow.judged_until("simulated") == {"SPY": START}
    later = replace(a_signal(at=LATER), bar_closed_at=LATER)
    uow.record_decision(a_decision(at=LATER, signals=(later,)), recorded_at=LATER)
    assert uow.judged_until("simulated") == {"SPY": LATER}
    assert uow.judged_until("manual") == {}


@pytest.mark.feature("S6")
def test_the_first_prediction_of_a_symbol_and_daily_bar_is_kept_until_it_is_scored(uow: UnitOfWork) -> None:
    first = a_signal()
    assert first.prediction is not None
    again = replace(first, prediction=replace(first.prediction, probability=0.1, model_version="m2"))
    silent = replace(a_signal("QQQ"), prediction=None)
    uow.record_decision(a_decision(signals=(first, silent)), recorded_at=START)
    uow.record_decision(a_decision(at=LATER, signals=(again, a_signal("BTC-USD"))), recorded_at=LATER)
    btc = a_signal("BTC-USD").prediction
    since = first.prediction.bar_closed_at
    assert uow.unscored_predictions(since) == [btc, first.prediction]
    assert uow.unscored_predictions(since + timedelta(seconds=1)) == []
    uow.add_prediction_score(TrackedPrediction(first.prediction, True))
    assert uow.unscored_predictions(since) == [btc]


def test_an_older_bar_may_be_foreseen_after_a_newer_one(uow: UnitOfWork) -> None:
    for at in (LATER, START, LATER, START):
        uow.record_decision(a_decision(at=at, signals=(a_signal(at=at),)), recorded_at=at)
    made = [prediction.bar_closed_at for prediction in uow.unscored_predictions(START - timedelta(days=2))]
    assert made == [START - timedelta(hours=18), LATER - timedelta(hours=18)]


def test_every_decision_and_entry_moves_the_head_of_the_chain(uow: UnitOfWork) -> None:
    heads = [uow.chain_head()]
    assert heads == ["0" * 64]
    uow.record_decision(a_decision(), recorded_at=START)
    heads.append(uow.chain_head())
    uow.book(a_deposit(), recorded_at=START)
    heads.append(uow.chain_head())
    assert len(set(heads)) == 3


def test_a_new_champion_archives_the_former_one(uow: UnitOfWork) -> None:
    assert uow.champion() is None
    uow.add_model(a_model("m1"))
    uow.add_model(a_model("m2", state=ModelState.REJECTED))
    assert uow.champion() == a_model("m1")
    uow.add_model(a_model("m3"))
    assert uow.champion() == a_model("m3")
    assert [(model.version, model.state) for model in uow.models()] == [
        ("m3", ModelState.CHAMPION),
        ("m2", ModelState.REJECTED),
        ("m1", ModelState.ARCHIVED),
    ]
    assert len(uow.models(limit=1)) == 1


@pytest.mark.feature("S5")
def test_an_earlier_model_can_be_the_champion_again(uow: UnitOfWork) -> None:
    uow.add_model(a_model("m1"))
    uow.add_model(a_model("m2"))
    uow.promote_model("m1")
    assert uow.champion() == a_model("m1")
    assert [(model.version, model.state) for model in uow.models()] == [
        ("m2", ModelState.ARCHIVED),
        ("m1", ModelState.CHAMPION),
    ]
    assert uow.model("m2") == a_model("m2", state=ModelState.ARCHIVED)
    assert uow.model("m9") is None
    with pytest.raises(KeyError):
        uow.promote_model("m9")


@pytest.mark.feature("S5")
def test_contests_stand_in_the_chain_among_entries_and_the_newest_comes_first(
    database: Database, clock: VirtualClock
) -> None:
    tried = (Attempt("scaled-asset", "scaled", 9, 0.001), Attempt("net-class", "net", why="passes the gate by itself"))
    first = Contest(1, START, "scaled-asset", START, LATER, "d" * 64, tried, "", "the champion stays")
    with database.unit_of_work() as uow:
        head = uow.chain_head()
        uow.record_contest(first, recorded_at=START)
        uow.book(a_deposit(), recorded_at=START)
        uow.record_contest(replace(first, number=2, winner="net-class", before=77), recorded_at=LATER)
        uow.commit()
        assert uow.chain_head() != head
        assert uow.portfolio("simulated").cash == a_deposit().amount
        newest, former = uow.contests()
        assert former == first
        assert (newest.number, newest.winner, newest.before) == (2, "net-class", 1)
        assert uow.contests(1) == [newest]
    assert database.verify() == []


@pytest.mark.feature("S6")
def test_predictions_are_scored_once_and_counted_since_a_time(uow: UnitOfWork) -> None:
    assert uow.prediction_scores(START) == (0, 0)
    spy, qqq = Prediction("SPY", 0.6, "up", "m1", START), Prediction("QQQ", 0.6, "up", "m1", LATER)
    uow.add_prediction_score(TrackedPrediction(spy, True))
    uow.add_prediction_score(TrackedPrediction(spy, False))
    uow.add_prediction_score(TrackedPrediction(qqq, False))
    assert uow.prediction_scores(START) == (1, 2)
    assert uow.prediction_scores(LATER) == (0, 1)
    with pytest.raises(ValueError, match="no outcome"):
        uow.add_prediction_score(TrackedPrediction(qqq))


@pytest.mark.feature("S6")
@pytest.mark.parametrize("probability", [0.49, 0.5, 0.51])
@pytest.mark.parametrize("came_true", [True, False])
def test_a_scored_prediction_is_tracked_with_its_outcome_under_the_recipe_of_its_model(
    uow: UnitOfWork, probability: float, came_true: bool
) -> None:
    uow.add_model(a_model("m1", recipe="scaled-asset"))
    named, old = a_signal(), a_signal("BTC-USD")
    assert named.prediction is not None
    assert old.prediction is not None
    made = replace(named.prediction, probability=probability)
    other = replace(old.prediction, model_version="m0")
    signals = (replace(named, prediction=made), replace(old, prediction=other))
    uow.record_decision(a_decision(signals=signals), recorded_at=START)
    assert uow.tracked_predictions("scaled-asset") == [TrackedPrediction(made, recipe="scaled-asset")]
    assert uow.tracked_predictions("") == [TrackedPrediction(other)]
    known = TrackedPrediction(made, came_true, START, LATER, 0.45, "scaled-asset")
    uow.add_prediction_score(known)
    assert uow.tracked_predictions("scaled-asset") == [known]
    assert uow.tracked(made) == known
    assert uow.tracked(replace(made, model_version="m9", probability=0.9)) == known
    assert uow.tracked(replace(made, event="down")) is None


@pytest.mark.feature("S13")
def test_a_guard_is_kept_replaced_and_dropped(uow: UnitOfWork) -> None:
    guard = Guard("simulated", "SPY", Decimal("475.24"), Decimal("575.29"), GuardKind.ENGINE, None, START)
    uow.set_guard(guard)
    at_venue = replace(guard, kind=GuardKind.VENUE, venue_order_id="v-1", last_seen_at=LATER)
    uow.set_guard(at_venue)
    assert list(uow.guards()) == list(uow.guards("simulated")) == [at_venue]
    assert list(uow.guards("manual")) == []
    uow.drop_guard("simulated", "SPY")
    assert list(uow.guards()) == []


@pytest.mark.feature("S12")
def test_instructions_are_numbered_versioned_and_found(database: Database) -> None:
    with database.unit_of_work() as uow:
        numbers = [uow.next_instruction_number(), uow.next_instruction_number()]
        assert numbers == [1, 2]
        uow.save_instruction(an_instruction(1))
        uow.save_instruction(an_instruction(2, client_order_id="at-1"))
        uow.commit()
        assert uow.next_instruction_number() == 3
        assert uow.instruction_of("at-1") == an_instruction(2, client_order_id="at-1")
        settled = an_instruction(1, version=2, state=InstructionState.SKIPPED)
        uow.save_instruction(settled)
        assert uow.instruction(1) == settled
        assert [one.number for one in uow.open_instructions()] == [2]
        assert [one.number for one in uow.instructions()] == [2, 1]
        assert uow.instruction(9) is None
        assert uow.instruction_of("at-9") is None


def test_a_brake_is_set_replaced_and_released(uow: UnitOfWork) -> None:
    pause = Brake(BrakeKind.PAUSED, "*", "the owner said so", START, LATER)
    uow.set_brake(pause)
    uow.set_brake(replace(pause, until=None))
    uow.set_brake(Brake(BrakeKind.SYMBOL_BLOCKED, "SPY", "order unknown", LATER))
    assert [brake.until for brake in uow.brakes()] == [None, None]
    assert uow.release_brake(BrakeKind.PAUSED, "*")
    assert not uow.release_brake(BrakeKind.PAUSED, "*")
    assert [brake.scope for brake in uow.brakes()] == ["SPY"]


def _card(number: int) -> InstructionIssued:
    one = an_instruction(number)
    return InstructionIssued(
        number, 1, one.account, one.client_order_id, one.symbol, one.side, one.purpose, one.quantity, one.price,
        one.band_low, one.band_high, one.stop, one.target, one.probability, one.expires_at, one.needs_approval,
        one.why, MANUAL.badges(),
    )  # fmt: skip


@pytest.mark.feature("D1")
def test_an_event_is_pending_from_the_commit_of_its_transaction_on(database: Database, clock: VirtualClock) -> None:
    clock.advance(timedelta(seconds=7))
    with database.unit_of_work() as uow:
        uow.publish(ModeChanged(Mode.AUTO, False, None, "owner"), market_time=LATER)
    with database.unit_of_work() as uow:
        assert list(uow.messages()) == []
        identity = uow.publish(_card(1), market_time=LATER)
        uow.commit()
        (message,) = uow.due_messages(clock.now(), 10)
    assert (message.id, message.event, message.priority) == (identity, _card(1), Priority.TRADE)
    assert (message.created_at, message.market_time) == (clock.now(), LATER)
    assert (message.state, message.attempts) == (OutboxState.PENDING, 0)


def test_due_messages_come_by_urgency_then_age_and_not_before_their_next_try(uow: UnitOfWork) -> None:
    chatter = uow.publish(
        ModelTrained("m1", 1, START, "up", 1, 0.5, 0.69, 0.69, 0.5, True, "first model"), market_time=START
    )
    first = uow.publish(HealthChanged("data", "DEGRADED", "late bars"), market_time=START)
    second = uow.publish(HealthChanged("data", "RUNNING", "bars again"), market_time=START)
    urgent = uow.publish(
        PositionUnguarded("simulated", "SPY", Decimal(4), "the stop was refused", SIMULATED.badges()), market_time=START
    )
    assert [message.id for message in uow.due_messages(START, 9)] == [urgent, first, second, chatter]
    assert [message.id for message in uow.due_messages(START, 2)] == [urgent, first]
    uow.save_message(urgent, OutboxState.PENDING, at=START, next_try_at=LATER, error="429")
    assert [message.id for message in uow.due_messages(START, 9)] == [first, second, chatter]
    assert [message.id for message in uow.due_messages(LATER, 9)] == [urgent, first, second, chatter]


def test_a_message_keeps_its_attempts_time_and_telegram_id(uow: UnitOfWork) -> None:
    identity = uow.publish(_card(1), market_time=START)
    uow.save_message(identity, OutboxState.SENDING, at=START)
    uow.save_message(identity, OutboxState.PENDING, at=START, next_try_at=LATER, error="time-out")
    assert uow.messages_in(OutboxState.PENDING)[0].last_error == "time-out"
    uow.save_message(identity, OutboxState.SENDING, at=LATER)
    assert [message.id for message in uow.messages_in(OutboxState.SENDING)] == [identity]
    uow.save_message(identity, OutboxState.SENT, at=LATER, telegram_message_id=2**40)
    (message,) = uow.messages()
    assert (message.attempts, message.sent_at, message.message_id) == (2, LATER, 2**40)
    assert (message.next_try_at, message.last_error) == (None, "")
    with pytest.raises(KeyError):
        uow.save_message(99, OutboxState.SENT, at=LATER)


def test_the_newest_card_of_an_instruction_is_found(uow: UnitOfWork) -> None:
    assert uow.card_message(1) is None
    uow.publish(_card(1), market_time=START)
    newest = uow.publish(_card(1), market_time=LATER)
    uow.publish(_card(2), market_time=LATER)
    found = uow.card_message(1)
    assert found is not None
    assert found.id == newest


def test_job_runs_are_found_by_job_and_outcome_and_unfinished_ones_are_listed(uow: UnitOfWork) -> None:
    first = uow.start_job("tick", START, START)
    uow.finish_job(first, LATER, JobOutcome.DONE, "2 signals")
    second = uow.start_job("tick", LATER, LATER)
    uow.record_job("report", START, START, JobOutcome.MISSED, "asleep")
    assert [run.id for run in uow.unfinished_jobs()] == [second]
    last, done = uow.last_run("tick"), uow.last_run("tick", JobOutcome.DONE)
    assert last is not None
    assert done is not None
    assert (last.id, last.outcome, last.finished_at) == (second, JobOutcome.RUNNING, None)
    assert (done.id, done.detail, done.finished_at) == (first, "2 signals", LATER)
    assert uow.last_run("retrain") is None
    with pytest.raises(KeyError):
        uow.finish_job(99, LATER, JobOutcome.DONE, "")


def test_a_value_is_set_replaced_and_removed(uow: UnitOfWork) -> None:
    uow.set_value("mode", "auto")
    uow.set_value("mode", "manual")
    assert uow.value("mode") == "manual"
    uow.set_value("mode", None)
    assert uow.value("mode") is None


@pytest.mark.feature("A7")
def test_the_audit_lists_the_newest_first(uow: UnitOfWork) -> None:
    records = [AuditRecord(START + timedelta(seconds=n), "owner", f"/pause {n}", "done") for n in range(3)]
    for record in records:
        uow.audit(record)
    assert list(uow.audit_trail(limit=2)) == [records[2], records[1]]


@pytest.mark.feature("T3")
def test_a_tap_is_new_once(database: Database) -> None:
    with database.unit_of_work() as uow:
        assert not uow.seen_tap("execute-1-1", START)
        assert uow.seen_tap("execute-1-1", LATER)
    assert not write(database, lambda uow: uow.seen_tap("execute-1-1", START))
    assert write(database, lambda uow: uow.seen_tap("execute-1-1", START))


def test_the_equity_curve_is_in_order_of_time_with_one_point_a_moment(uow: UnitOfWork) -> None:
    late = EquityPoint("simulated", LATER, Decimal("10010.5"), Decimal(8000), Decimal(0))
    early = EquityPoint("simulated", START, Decimal(10_000), Decimal(10_000), Decimal(10_000))
    uow.add_equity(late)
    uow.add_equity(replace(early, equity=Decimal(1)))
    uow.add_equity(early)
    assert list(uow.equity("simulated")) == [early, late]
    assert list(uow.equity("simulated", LATER)) == [late]
    assert list(uow.equity("manual")) == []
