"""A backup put back, for real: trade, back up, trade on, restore, start, and hold the ledger against the venue."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.cycle import recover
from core.domain.events import (
    DailyReport,
    HealthChanged,
    InstructionIssued,
    LedgerRestored,
    OrderFilled,
    OrderRefused,
    PositionUnguarded,
    QuestionAsked,
)
from core.domain.orders import Purpose
from core.domain.portfolio import GuardKind
from core.domain.records import (
    MAY_HAVE_ARRIVED,
    Instruction,
    InstructionState,
    OutboxState,
    QuestionChoice,
    QuestionKind,
    QuestionState,
)
from core.domain.values import ZERO
from core.domain.views import AnswerKind, ReportedFill
from core.errors import Fatal
from core.execution import questions, restored
from core.execution.escalation import REMINDED
from core.storage.backup import back_up
from core.storage.process import Holder
from core.storage.restore import ASIDE, Restored, restore
from core.storage.soundness import faults_at_start, identity_of
from core.storage.store import Database, open_database
from tests.builders import COIN, Bench, an_entry, an_exit

ETH, SOL = "ETH-USD", "SOL-USD"
STRANGER = Holder("another-host", "boot-9", "pid:[1]", 200, "7000")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, symbols=(COIN, ETH, SOL)).start()
    bench.declare_cash("10000")
    yield bench
    bench.close()


def settled(bench: Bench) -> Callable[[Database, datetime, int], None]:
    def settle(database: Database, taken_at: datetime, epoch: int) -> None:
        with database.unit_of_work() as work:
            restored.settle(work, bench.world, taken_at, epoch, bench.system.now())
            work.commit("restored")

    return settle


def put_back(bench: Bench, copy: Path) -> Restored:
    """The process ends, the backup is put in the ledger's place, and the next process starts as every start does."""
    bench.close()
    done = restore(bench.database.path, copy, bench.system, settled(bench))
    bench.open()
    recover(bench.desk, bench.clock.now())
    return done


def bought(bench: Bench, symbol: str) -> None:
    for other in (COIN, ETH, SOL):
        if other != symbol:
            bench.bars.write(bench.bars.read(other, bench.confirm_size, bench.clock.now(), 1), "test")
    bench.place(an_entry(bench, symbol=symbol))
    next_minutes(bench)


def next_minutes(bench: Bench, price: float = 100.0) -> None:
    now = bench.clock.now()
    for symbol in (ETH, SOL):
        bench.bar(price, symbol=symbol)
        bench.clock._now = bench.system._now = now
    bench.bar(price, symbol=COIN)
    bench.reconcile()


def holdings(bench: Bench) -> dict[str, Decimal]:
    portfolio = bench.read(lambda work: work.portfolio("simulated"))
    return {symbol: position.quantity for symbol, position in portfolio.positions.items()}


def agrees_with_the_venue(bench: Bench) -> None:
    """DESIGN section 3, after the first look."""
    state = bench.venue.state()
    assert (bench.read(lambda work: work.portfolio("simulated")).cash, holdings(bench)) == (
        state.cash,
        dict(state.positions),
    )
    live = [order for order in bench.read(lambda work: work.live_orders()) if order.account == "simulated"]
    at_venue = {order.client_order_id: order for order in bench.venue.orders()}
    assert {order.client_order_id for order in live} == at_venue.keys()
    for order in live:
        twin = at_venue[order.client_order_id]
        assert (order.symbol, order.side, order.quantity) == (twin.symbol, twin.side, twin.quantity)
    guards = {guard.symbol: guard for guard in bench.read(lambda work: work.guards("simulated"))}
    assert guards.keys() == holdings(bench).keys()
    for symbol, quantity in holdings(bench).items():
        assert guards[symbol].kind is GuardKind.VENUE
        assert guards[symbol].stop is not None
        resting = [order for order in at_venue.values() if (order.symbol, order.purpose) == (symbol, Purpose.STOP)]
        assert [order.quantity for order in resting] == [quantity]
    assert bench.read(lambda work: work.brakes()) == []
    assert bench.events(PositionUnguarded) == []
    assert bench.database.verify() == []


@pytest.mark.feature("S14")
def test_a_restored_ledger_takes_everything_that_was_lost_from_the_venue_again(bench: Bench) -> None:
    """Before the backup COIN is bought. In the time that is lost COIN is sold, ETH bought, and SOL ordered."""
    bought(bench, COIN)
    copy = bench.database.back_up()
    bench.place(an_exit(bench))
    next_minutes(bench)
    bought(bench, ETH)
    bench.place(an_entry(bench, symbol=SOL))
    lost_ids = {order.client_order_id for order in bench.read(lambda work: work.orders(limit=1_000))}
    sent_before = len(bench.venue._book.orders)
    done = put_back(bench, copy)
    assert (done.epoch, bench.namespace.epoch) == (2, 2)
    assert holdings(bench) == {ETH: Decimal(10)}
    agrees_with_the_venue(bench)
    assert len(bench.venue._book.orders) == sent_before, "an order was sent again"
    assert {
        order.client_order_id for order in bench.read(lambda work: work.orders("simulated", limit=1_000))
    } == lost_ids
    assert bench.events(OrderRefused) == []
    next_minutes(bench)
    assert holdings(bench) == {ETH: Decimal(10), SOL: Decimal(10)}
    agrees_with_the_venue(bench)
    fills = [(event.symbol, event.purpose) for event in bench.events(OrderFilled)]
    assert sorted(fills) == sorted(set(fills)), "a fill was booked twice"
    (told,) = bench.events(LedgerRestored)
    assert (told.epoch, told.taken_at) == (2, done.taken_at)


def test_an_entry_that_was_open_at_the_backup_and_replaced_since_does_not_stop_the_start(bench: Bench) -> None:
    bench.place(an_entry(bench))
    copy = bench.database.back_up()
    (first,) = bench.read(lambda work: work.live_orders("simulated"))
    bench.venue.cancel(first.client_order_id)
    bench.reconcile()
    bench.place(an_entry(bench, origin="later"))
    (second,) = bench.read(lambda work: work.live_orders("simulated"))
    put_back(bench, copy)
    assert [order.client_order_id for order in bench.read(lambda work: work.live_orders("simulated"))] == [
        second.client_order_id
    ]
    next_minutes(bench)
    agrees_with_the_venue(bench)


def test_what_is_decided_after_a_restore_cannot_meet_what_was_lost(bench: Bench) -> None:
    copy = bench.database.back_up()
    lost = an_entry(bench)
    bench.place(lost)
    put_back(bench, copy)
    again = an_entry(bench, created_at=lost.created_at, origin=lost.origin)
    assert again.client_order_id != lost.client_order_id
    assert again.client_order_id.startswith(bench.namespace.prefix) and lost.client_order_id.startswith(
        bench.namespace.prefix
    )


def test_two_restores_of_one_backup_count_two_epochs(bench: Bench) -> None:
    copy = bench.database.back_up()
    assert [put_back(bench, copy).epoch for _ in range(3)] == [2, 3, 4]


def test_a_button_of_the_lost_time_does_nothing_even_where_a_new_card_would_have_its_number(bench: Bench) -> None:
    copy = bench.database.back_up()
    old = bench.instruct()
    put_back(bench, copy)
    new = bench.instruct(origin="anew")
    assert (old.number, old.version) == (1, 1)
    assert new.number == 10_001
    assert new.version != old.version
    for number in (old.number, new.number):
        answer = bench.owner.execute(number, old.version, f"card:executed:{number}:{old.version}")
        assert answer.kind in (AnswerKind.STALE, AnswerKind.REFUSED)
    assert bench.read(lambda work: work.portfolio("manual")).positions == {}
    assert bench.owner.execute(new.number, new.version, "tap").kind is AnswerKind.DONE


def test_versions_of_cards_never_come_back_however_often_one_backup_is_restored(bench: Bench) -> None:
    bench.instruct()
    copy = bench.database.back_up()
    seen: list[tuple[int, int]] = []
    for _ in range(3):
        put_back(bench, copy)
        known = bench.read(lambda work: work.instructions())
        new = bench.instruct(origin="anew")
        seen += [(card.number, card.version) for card in (*known, new)]
    assert len(set(seen)) == len(seen) == 6


def test_open_cards_and_questions_of_the_backup_are_void_and_say_so(bench: Bench) -> None:
    card = bench.instruct()
    with bench.database.unit_of_work() as work:
        asked = questions.ask(
            work,
            bench.desk,
            QuestionKind.DIFFERENCE,
            "simulated",
            COIN,
            ours=ZERO,
            theirs=Decimal(1),
            text="why?",
            now=bench.clock.now(),
        )
        work.commit("owner")
    copy = bench.database.back_up()
    put_back(bench, copy)
    assert bench.owner.pending() == ()
    assert bench.owner.questions() == ()
    voided = bench.read(lambda work: (work.instruction(card.number), work.question(asked.number)))
    assert (voided[0].state, voided[1].state) == (InstructionState.SUPERSEDED, QuestionState.OBSOLETE)
    assert bench.order(card.client_order_id).reason == restored.VOID
    assert bench.events(LedgerRestored)[0].cards_voided == 2
    answer = bench.owner.answer(asked.number, asked.version, QuestionChoice.ADOPT, "tap")
    assert answer.kind is AnswerKind.STALE
    assert bench.read(lambda work: work.value(REMINDED)) is None


def exits_asked_for(bench: Bench) -> list[Instruction]:
    return [card for card in bench.owner.pending() if card.purpose is not Purpose.ENTRY]


def test_an_exit_that_still_waited_for_the_owner_is_asked_for_anew(bench: Bench) -> None:
    card = bench.instruct()
    bench.owner.execute(card.number, card.version, "tap")
    bench.bar(90.0)
    bench.tick()
    (asked,) = exits_asked_for(bench)
    copy = bench.database.back_up()
    put_back(bench, copy)
    assert bench.owner.pending() == ()
    bench.bar(90.0)
    bench.tick()
    (anew,) = exits_asked_for(bench)
    assert (anew.purpose, anew.quantity) == (asked.purpose, asked.quantity)
    assert anew.number > asked.number


def test_the_manual_account_stands_as_it_was_and_the_owner_reports_again(bench: Bench) -> None:
    copy = bench.database.back_up()
    card = bench.instruct()
    bench.owner.execute(card.number, card.version, "tap-1")
    bench.owner.declare_cash(Decimal(777), "owner", "message:1:2")
    put_back(bench, copy)
    manual = bench.read(lambda work: work.portfolio("manual"))
    assert (manual.cash, manual.positions) == (Decimal(10_000), {})
    refused = bench.owner.report_fill(ReportedFill(None, None, None, None, card.number), "message:1:9")
    assert refused.kind is AnswerKind.REFUSED
    again = bench.instruct(origin="anew")
    assert bench.owner.execute(again.number, again.version, "tap-2").kind is AnswerKind.DONE


def test_what_waited_to_be_told_is_marked_where_it_matters_and_left_where_it_does_not(bench: Bench) -> None:
    critical = PositionUnguarded("manual", COIN, Decimal(1), "no stop", bench.desk.badges("manual"))
    chatter = HealthChanged("yahoo", "DEGRADED", "no answer")
    with bench.database.unit_of_work() as work:
        ids = [work.publish(event, market_time=bench.clock.now()) for event in (critical, chatter)]
        work.save_message(ids[0], OutboxState.SENDING, at=bench.system.now())
        work.commit("owner")
    card = bench.instruct()
    copy = bench.database.back_up()
    bench.close()
    restore(bench.database.path, copy, bench.system, settled(bench))
    bench.open()
    rows = {row.id: row for row in bench.read(lambda work: work.messages(1_000))}
    assert (rows[ids[0]].state, rows[ids[1]].state) == (OutboxState.PENDING, OutboxState.UNCERTAIN)
    assert rows[ids[0]].last_error.startswith(MAY_HAVE_ARRIVED)
    issued = next(row for row in rows.values() if isinstance(row.event, InstructionIssued))
    assert (issued.event.number, issued.state) == (card.number, OutboxState.UNCERTAIN)
    fresh = [row for row in rows.values() if row.state is OutboxState.PENDING and not row.last_error]
    assert {type(row.event).__name__ for row in fresh} == {"LedgerRestored", "InstructionSettled"}


def test_a_running_engine_is_not_restored_under_its_feet(bench: Bench) -> None:
    copy = bench.database.back_up()
    bench.database.lease(STRANGER).acquire(bench.system.now())
    before = bench.database.path.read_bytes()
    with pytest.raises(Fatal, match="process 200 on host another-host"):
        restore(bench.database.path, copy, bench.system, settled(bench))
    assert bench.database.path.read_bytes() == before


def test_a_process_that_slept_through_the_restore_finds_that_it_lost_the_ledger(bench: Bench) -> None:
    sleeper = open_database(bench.database.path, durable=False, clock=bench.system)
    keeper = sleeper.lease(STRANGER)
    keeper.acquire(bench.system.now())
    copy = bench.database.back_up()
    bench.system.advance(timedelta(minutes=5))
    put_back(bench, copy)
    with pytest.raises(Fatal, match="another process took over"):
        keeper.check(bench.system.now())
    # From now on it would open the restored file.
    sleeper._connections.close()
    with pytest.raises(Fatal, match="another process took over"):
        keeper.check(bench.system.now())
    with sleeper.unit_of_work() as work:
        work.set_value("key", "value")
        with pytest.raises(Fatal, match="another process took over"):
            work.commit("owner")
    sleeper.close()


def test_what_stood_there_is_kept_and_the_way_back_is_open(bench: Bench) -> None:
    copy = bench.database.back_up()
    bought(bench, COIN)
    done = put_back(bench, copy)
    assert done.aside is not None and done.aside.parent.name == ASIDE
    kept = identity_of(done.aside)
    assert kept is not None and kept.epoch == 1
    back = put_back(bench, done.aside)
    assert back.epoch == 3
    assert holdings(bench) == {COIN: Decimal(10)}
    agrees_with_the_venue(bench)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(b"nothing of ours" * 500), "not a ledger of this program"),
        (lambda path: path.write_bytes(path.read_bytes()[:20_000]), "not a ledger|cut short"),
        (lambda path: path.unlink(), "no such file"),
    ],
    ids=["no ledger", "cut short", "missing"],
)
def test_a_file_that_is_no_whole_ledger_is_refused_and_nothing_changes(
    bench: Bench, spoil: Callable[[Path], object], words: str
) -> None:
    copy = bench.database.back_up()
    spoil(copy)
    before = bench.read(lambda work: work.chain_head())
    with pytest.raises(Fatal, match=words):
        restore(bench.database.path, copy, bench.system, settled(bench))
    assert bench.read(lambda work: work.chain_head()) == before
    assert bench.database.installation().epoch == 1
    assert not list(bench.folder.glob("*.restoring*"))


def test_another_installations_ledger_is_refused(bench: Bench, tmp_path: Path) -> None:
    other = open_database(tmp_path / "other" / "ledger.db", clock=bench.system)
    copy = other.back_up()
    other.close()
    with pytest.raises(Fatal, match="another installation"):
        restore(bench.database.path, copy, bench.system, settled(bench))


def test_a_backup_whose_record_was_edited_is_refused(bench: Bench) -> None:
    copy = bench.database.back_up()
    with sqlite3.connect(copy) as file:
        for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            file.execute(f"DROP TRIGGER {name}")
        file.execute("UPDATE cash_movements SET amount = '1'")
    file.close()
    with pytest.raises(Fatal, match=r"not whole.*amount"):
        restore(bench.database.path, copy, bench.system, settled(bench))


@pytest.mark.parametrize("logs", ["with its log", "without its log"])
def test_a_damaged_ledger_is_replaced_and_its_log_never_meets_the_restored_file(bench: Bench, logs: str) -> None:
    bought(bench, COIN)
    copy = bench.database.back_up()
    bought(bench, ETH)
    path = bench.database.path
    log = path.with_name(f"{path.name}-wal")
    kept = log.read_bytes()
    bench.close()
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 8192)
    if logs == "with its log":
        log.write_bytes(kept)
    assert faults_at_start(path)
    put_back(bench, copy)
    assert bench.namespace.epoch > 1_000_000, "nothing told how many restores there were, so the clock did"
    assert holdings(bench) == {COIN: Decimal(10), ETH: Decimal(10)}
    agrees_with_the_venue(bench)


def test_a_restore_that_is_cut_off_anywhere_leaves_a_whole_ledger(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bought(bench, COIN)
    copy = bench.database.back_up()
    bench.close()
    path = bench.database.path

    class Cut(BaseException):
        """The machine goes off."""

    calls: list[str] = []

    def cut_at(number: int) -> Callable[..., None]:
        def counted(original: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object, **more: object) -> object:
                calls.append(original.__name__)
                if len(calls) == number:
                    raise Cut
                return original(*arguments, **more)

            return call

        for name in ("replace", "unlink", "hardlink_to", "mkdir"):
            monkeypatch.setattr(Path, name, counted(getattr(Path, name)))
        return lambda: None

    number = 0
    while True:
        number += 1
        calls.clear()
        with monkeypatch.context():
            cut_at(number)
            try:
                restore(path, copy, bench.system, settled(bench))
            except Cut:
                ended = False
            else:
                ended = True
            monkeypatch.undo()
        who = identity_of(path)
        assert who is not None and faults_at_start(path) == [], f"cut at step {number}, {calls[-1]}"
        assert open_and_verify(path) == []
        if ended:
            break
    print(f"\ncut off at {number - 1} steps: {sorted(set(calls))}")
    assert number > 4
    bench.open()


def open_and_verify(path: Path) -> list[str]:
    database = open_database(path)
    try:
        return database.verify()
    finally:
        database.close()


def test_a_backup_of_an_older_schema_is_brought_forward(bench: Bench, tmp_path: Path) -> None:
    path = bench.database.path
    copy = back_up(path, bench.system.now(), before="9999")
    assert copy.name.endswith("-before-9999.db")
    assert bench.events(DailyReport) == [] and bench.events(QuestionAsked) == []
    put_back(bench, copy)
    assert bench.database.verify() == []
