"""The simulated venue's journal, its injected faults, and what it does when its own disk fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.adapters.simulated_broker import SimulatedBroker
from core.adapters.simulated_faults import FaultPlan, outage_windows
from core.clock import VirtualClock
from core.domain.accounts import Account, AccountKind, World
from core.domain.corporate import CorporateAction
from core.domain.orders import OrderState, OrderType
from core.domain.venue import Accepted, Refused, Split, SubmitResult, Unknown
from core.errors import Fatal, LeaseLost, Transient
from tests.fakes_venue import MONDAY, AlwaysOpen, BarShelf, bar_of, flat_bars, request_of, venue_over

FIVE = timedelta(minutes=5)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Interruption(Exception):
    """Thrown at a checkpoint, as a full disk or a programming error would."""


class Switch:
    """A checkpoint that throws at one name once it is set."""

    def __init__(self) -> None:
        self.at = ""
        self.passed: list[str] = []

    def __call__(self, name: str) -> None:
        self.passed.append(name)
        if name == self.at:
            self.at = ""
            raise Interruption(name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "simulated_venue.sqlite"


@pytest.fixture
def shelf() -> BarShelf:
    return BarShelf(*flat_bars("SPY", 100.0, MONDAY - FIVE, 4))


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(MONDAY)


@pytest.fixture
def switch() -> Switch:
    return Switch()


@pytest.fixture
def venue(path: Path, shelf: BarShelf, clock: VirtualClock, switch: Switch) -> Iterator[SimulatedBroker]:
    broker = venue_over(shelf, clock, path=path, checkpoint=switch)
    yield broker
    broker.close()


def plan(seed: int = 1, **rates: Any) -> FaultPlan:
    return FaultPlan(np.random.default_rng(seed), **rates)


def test_the_checkpoints_stand_on_both_sides_of_every_commit(
    venue: SimulatedBroker, clock: VirtualClock, switch: Switch
) -> None:
    venue.submit(request_of("a"))
    venue.cancel("a")
    venue.submit(request_of("b"))
    clock.advance(FIVE)
    venue.state()
    steps = ["open", "submit", "cancel", "submit", "match"]
    assert switch.passed == [f"venue.{step}.{side}_commit" for step in steps for side in ("before", "after")]


def test_asking_without_a_new_bar_writes_nothing(venue: SimulatedBroker, clock: VirtualClock, switch: Switch) -> None:
    venue.submit(request_of("a"))
    clock.advance(FIVE)
    venue.state()
    written = len(switch.passed)
    venue.state()
    venue.fills_since(LONG_AGO)
    assert len(switch.passed) == written


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_failure_beside_the_commit_of_a_submission_leaves_memory_and_journal_agreed(
    venue: SimulatedBroker, switch: Switch, side: str
) -> None:
    switch.at = f"venue.submit.{side}_commit"
    with pytest.raises(Interruption):
        venue.submit(request_of("a"))
    assert (venue.find("a") is not None) == (side == "after")
    assert isinstance(venue.submit(request_of("a")), Accepted)
    assert len(venue.orders()) == 1


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_failure_beside_the_commit_of_a_match_neither_loses_nor_doubles_the_fill(
    venue: SimulatedBroker, clock: VirtualClock, switch: Switch, side: str
) -> None:
    venue.submit(request_of("a", bracket_stop="95", bracket_target="115"))
    clock.advance(FIVE)
    switch.at = f"venue.match.{side}_commit"
    with pytest.raises(Interruption):
        venue.state()
    assert [fill.client_order_id for fill in venue.fills_since(LONG_AGO)] == ["a"]
    assert venue.state().cash == Decimal(10000) - Decimal("1000.3")
    assert len(venue.orders()) == 2


def test_a_journal_that_cannot_be_written_now_is_transient_and_nothing_happened(
    venue: SimulatedBroker, path: Path
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    venue._journal._database.execute("PRAGMA busy_timeout = 1")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Transient, match="cannot be used now"):
        venue.submit(request_of("a"))
    other.execute("ROLLBACK")
    other.close()
    assert venue.find("a") is None
    assert isinstance(venue.submit(request_of("a")), Accepted)


def test_two_processes_at_one_venue_see_what_the_other_has_done(
    venue: SimulatedBroker, path: Path, shelf: BarShelf, clock: VirtualClock
) -> None:
    other = venue_over(shelf, clock, path=path)
    other.submit(request_of("a"))
    venue.submit(request_of("b"))
    assert [order.client_order_id for order in venue.orders()] == ["a", "b"]
    clock.advance(FIVE)
    assert venue.state() == other.state()
    assert [fill.client_order_id for fill in other.fills_since(LONG_AGO)] == ["a", "b"]
    other.close()


def test_of_two_that_write_in_the_same_moment_one_is_told_to_try_again(
    venue: SimulatedBroker, path: Path, shelf: BarShelf, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = venue_over(shelf, clock, path=path)
    other.submit(request_of("a"))
    monkeypatch.setattr(venue._journal, "version", lambda: venue._version)
    with pytest.raises(Transient, match="another process has written"):
        venue.submit(request_of("b"))
    assert venue.find("b") is None
    assert isinstance(venue.submit(request_of("b")), Accepted)
    assert [order.client_order_id for order in other.orders()] == ["a", "b"]
    other.close()


def test_nothing_is_written_at_the_venue_by_a_process_that_lost_the_ledger(
    path: Path, shelf: BarShelf, clock: VirtualClock
) -> None:
    def lost() -> None:
        raise LeaseLost("another process took over the ledger")

    venue_over(shelf, clock, path=path).close()
    venue = venue_over(shelf, clock, path=path, fence=lost)
    with pytest.raises(LeaseLost):
        venue.submit(request_of("a"))
    assert venue.orders() == []
    venue.close()


def test_what_is_written_can_neither_be_changed_nor_removed(venue: SimulatedBroker, path: Path) -> None:
    database = sqlite3.connect(path)
    for statement in ("UPDATE events SET body = '{}'", "DELETE FROM events"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute(statement)
    database.close()


def test_a_file_that_is_no_journal_is_refused_with_words(path: Path, shelf: BarShelf, clock: VirtualClock) -> None:
    path.write_bytes(b"This is a diary, not a database. " * 200)
    with pytest.raises(Fatal, match="not a journal of the simulated venue or is damaged"):
        venue_over(shelf, clock, path=path)


def test_another_programs_database_is_refused(path: Path, shelf: BarShelf, clock: VirtualClock) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE events (name TEXT)")
    database.close()
    with pytest.raises(Fatal, match="not a journal"):
        venue_over(shelf, clock, path=path)


def test_a_journal_of_a_later_version_is_refused(path: Path, shelf: BarShelf, clock: VirtualClock) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(Fatal, match="written by another version"):
        venue_over(shelf, clock, path=path)


def test_a_damaged_event_is_refused(venue: SimulatedBroker, path: Path, shelf: BarShelf, clock: VirtualClock) -> None:
    database = sqlite3.connect(path)
    database.execute("INSERT INTO events VALUES (2, 'filled', '2024-03-04T00:00:00+00:00', '{\"fill\": {}}')")
    database.commit()
    database.close()
    with pytest.raises(Fatal, match="event 2 cannot be read"):
        venue_over(shelf, clock, path=path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, shelf: BarShelf, clock: VirtualClock) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(Fatal, match="cannot be opened"):
        venue_over(shelf, clock, path=tmp_path / "data" / "simulated_venue.sqlite")


def test_a_journal_belongs_to_one_account(venue: SimulatedBroker, path: Path, clock: VirtualClock) -> None:
    stranger = Account("alpaca-paper", AccountKind.ALPACA_PAPER, World.REAL)
    with pytest.raises(Fatal, match="belongs to account simulated"):
        SimulatedBroker(
            stranger,
            clock=clock,
            bars_after=BarShelf(),
            calendar=AlwaysOpen(),
            opening_cash=Decimal(1),
            path=path,
        )


def test_the_opening_cash_counts_once(venue: SimulatedBroker, path: Path, shelf: BarShelf, clock: VirtualClock) -> None:
    again = venue_over(shelf, clock, path=path, cash="77")
    assert again.state().cash == Decimal(10000)
    again.close()


def test_a_clock_that_starts_earlier_than_before_does_not_turn_the_venue_back(
    venue: SimulatedBroker, path: Path, shelf: BarShelf, clock: VirtualClock
) -> None:
    clock.advance(2 * FIVE)
    venue.submit(request_of("a"))
    earlier = VirtualClock(MONDAY)
    restarted = venue_over(shelf, earlier, path=path)
    assert restarted.fills_since(LONG_AGO) == []
    restarted.submit(request_of("b"))
    earlier.move_to(MONDAY + 3 * FIVE)
    assert [fill.at for fill in restarted.fills_since(LONG_AGO)] == [MONDAY + 2 * FIVE] * 2
    restarted.close()


def test_a_bar_revised_after_a_restart_fills_nothing_in_hindsight(
    venue: SimulatedBroker, path: Path, shelf: BarShelf, clock: VirtualClock
) -> None:
    venue.submit(request_of("a", bracket_stop="95", bracket_target="115"))
    clock.advance(2 * FIVE)
    assert len(venue.orders()) == 2
    shelf.replace(bar_of("SPY", MONDAY + FIVE, (100.0, 100.0, 90.0, 100.0)))
    restarted = venue_over(shelf, clock, path=path)
    assert len(restarted.orders()) == 2
    restarted.close()


def test_the_same_history_is_the_same_journal(tmp_path: Path, shelf: BarShelf) -> None:
    def lived(name: str) -> list[tuple[object, ...]]:
        clock = VirtualClock(MONDAY)
        broker = venue_over(shelf, clock, path=tmp_path / name)
        broker.submit(request_of("a", bracket_stop="95", bracket_target="115"))
        clock.advance(FIVE)
        broker.cancel("a-s")
        broker.close()
        database = sqlite3.connect(tmp_path / name)
        rows = database.execute("SELECT * FROM events").fetchall()
        database.close()
        return rows

    assert lived("one.sqlite") == lived("two.sqlite")


def answers(faults: FaultPlan, shelf: BarShelf, clock: VirtualClock, count: int = 60) -> list[SubmitResult | str]:
    broker = venue_over(shelf, clock, cash="1000000", faults=faults)
    told: list[SubmitResult | str] = []
    for number in range(count):
        try:
            told.append(broker.submit(request_of(f"order{number}", quantity="1")))
        except Transient:
            told.append("out of reach")
    broker.close()
    return told


def test_faults_are_drawn_from_the_seed(shelf: BarShelf, clock: VirtualClock) -> None:
    rates = {"reject": 0.2, "timeout_before": 0.2, "timeout_after": 0.2, "outage": 0.2}
    first = answers(plan(7, **rates), shelf, clock)
    assert first == answers(plan(7, **rates), shelf, clock)
    assert first != answers(plan(8, **rates), shelf, clock)
    assert {type(answer) for answer in first} == {Accepted, Refused, Unknown, str}


@pytest.mark.parametrize(
    ("fault", "placed"), [("reject", False), ("timeout_before", False), ("timeout_after", True), ("outage", False)]
)
def test_only_a_timeout_after_acceptance_leaves_an_order(
    path: Path, shelf: BarShelf, clock: VirtualClock, fault: str, placed: bool
) -> None:
    broker = venue_over(shelf, clock, path=path, faults=plan(**{fault: 1.0}))
    if fault == "outage":
        with pytest.raises(Transient):
            broker.submit(request_of("a"))
        with pytest.raises(Transient):
            broker.find("a")
    else:
        answer = broker.submit(request_of("a"))
        assert isinstance(answer, Refused if fault == "reject" else Unknown)
    broker.close()
    healthy = venue_over(shelf, clock, path=path)
    order = healthy.find("a")
    assert (order is not None and order.state is OrderState.ACCEPTED) == placed
    assert isinstance(healthy.submit(request_of("a")), Accepted)
    assert len(healthy.orders()) == 1
    healthy.close()


def test_an_injected_rejection_never_denies_an_order_that_exists(
    venue: SimulatedBroker, path: Path, shelf: BarShelf, clock: VirtualClock
) -> None:
    venue.submit(request_of("a"))
    faulty = venue_over(shelf, clock, path=path, faults=plan(reject=1.0))
    assert isinstance(faulty.submit(request_of("a")), Accepted)
    faulty.close()


def test_rates_that_are_no_probabilities_are_refused() -> None:
    with pytest.raises(ValueError, match="fault rates"):
        plan(reject=0.6, outage=0.6)
    with pytest.raises(ValueError, match="fault rates"):
        plan(reject=-0.1)


def test_an_accepted_order_may_come_to_life_bars_later_and_a_restart_remembers_when(
    path: Path, shelf: BarShelf, clock: VirtualClock
) -> None:
    slow = venue_over(shelf, clock, path=path, faults=plan(delayed=1.0, most_bars=1))
    assert isinstance(slow.submit(request_of("a")), Accepted)
    slow.close()
    venue = venue_over(shelf, clock, path=path)
    clock.advance(FIVE)
    assert (venue.fills_since(LONG_AGO), len(venue.orders())) == ([], 1)
    clock.advance(FIVE)
    assert [fill.at for fill in venue.fills_since(LONG_AGO)] == [MONDAY + FIVE]
    venue.close()


def test_delays_are_drawn_from_the_seed_up_to_the_most_bars() -> None:
    def drawn(seed: int) -> list[timedelta | None]:
        faults = plan(seed, delayed=0.5, most_bars=3)
        return [faults.delay() for _ in range(50)]

    assert drawn(3) == drawn(3) != drawn(4)
    assert set(drawn(3)) == {None, FIVE, 2 * FIVE, 3 * FIVE}


def test_a_late_answer_is_unknown_at_first_then_found_and_never_said_to_be_missing(
    shelf: BarShelf, clock: VirtualClock
) -> None:
    broker = venue_over(shelf, clock, faults=plan(late=1.0, late_by=2 * FIVE))
    assert isinstance(broker.submit(request_of("a")), Unknown)
    assert broker.orders() == []
    clock.advance(FIVE)
    with pytest.raises(Transient, match="cannot say yet"):
        broker.find("a")
    assert broker.find("another") is None
    clock.advance(FIVE)
    order = broker.find("a")
    assert order is not None and order.state is OrderState.FILLED
    broker.close()


def test_within_an_outage_nobody_gets_through_and_trading_goes_on(shelf: BarShelf, clock: VirtualClock) -> None:
    broker = venue_over(shelf, clock, faults=plan(outages=[(MONDAY + FIVE, MONDAY + 2 * FIVE)]))
    broker.submit(request_of("a"))
    clock.advance(FIVE)
    for call in (broker.orders, broker.state, lambda: broker.find("a"), lambda: broker.submit(request_of("b"))):
        with pytest.raises(Transient, match="out of reach"):
            call()
    clock.advance(FIVE)
    assert [fill.at for fill in broker.fills_since(LONG_AGO)] == [MONDAY]
    assert broker.find("b") is None
    broker.close()


def test_outages_are_drawn_from_the_seed_within_their_bounds() -> None:
    def drawn(seed: int) -> tuple[tuple[datetime, datetime], ...]:
        return outage_windows(np.random.default_rng(seed), MONDAY, MONDAY + timedelta(days=9), 20, timedelta(hours=2))

    assert drawn(1) == drawn(1) != drawn(2)
    assert all(
        MONDAY <= first < last <= first + timedelta(hours=2) and first < MONDAY + timedelta(days=9)
        for first, last in drawn(1)
    )


def test_a_journal_of_the_first_version_is_read_on(path: Path, shelf: BarShelf, clock: VirtualClock) -> None:
    venue = venue_over(shelf, clock, path=path)
    venue.submit(request_of("a", bracket_stop="95", bracket_target="115"))
    clock.advance(FIVE)
    before = (venue.state(), venue.orders(), venue.fills_since(LONG_AGO))
    venue.close()
    database = sqlite3.connect(path, isolation_level=None)
    # What the first version wrote of an order: no word of when it comes to life.
    database.execute("DROP TRIGGER events_stay")
    database.execute("UPDATE events SET body = json_remove(body, '$.live_at') WHERE kind = 'submitted'")
    database.execute("PRAGMA user_version = 1")
    database.close()
    venue = venue_over(shelf, clock, path=path)
    assert (venue.state(), venue.orders(), venue.fills_since(LONG_AGO)) == before
    venue.close()


def test_actions_that_took_effect_while_nobody_asked_are_followed_once_after_a_restart(
    path: Path, shelf: BarShelf, clock: VirtualClock
) -> None:
    actions = [
        CorporateAction("SPY", MONDAY + 2 * FIVE, dividend=Decimal("0.123")),
        CorporateAction("SPY", MONDAY + timedelta(days=1), ratio=Decimal(4), price=Decimal(25)),
    ]
    venue = venue_over(shelf, clock, path=path, actions=actions)
    venue.submit(request_of("a", quantity="7"))
    clock.advance(FIVE)
    cash = venue.state().cash
    venue.close()
    clock.advance(timedelta(days=2))
    for _ in range(2):
        venue = venue_over(shelf, clock, path=path, actions=actions)
        assert [activity.id for activity in venue.activities_since(LONG_AGO)] == [
            "dividend/SPY/2024-03-04",
            "split/SPY/2024-03-05",
        ]
        # 0.861 USD: nobody pays tenths of a cent.
        assert (venue.state().cash, venue.state().positions) == (cash + Decimal("0.86"), {"SPY": Decimal(28)})
        venue.close()


def test_what_is_bought_at_the_ex_dates_open_gets_no_dividend(clock: VirtualClock, shelf: BarShelf) -> None:
    actions = [CorporateAction("SPY", MONDAY + FIVE, dividend=Decimal(1))]
    venue = venue_over(shelf, clock, actions=actions)
    clock.advance(FIVE - timedelta(seconds=1))
    venue.submit(request_of("a"))
    clock.advance(2 * FIVE)
    assert [fill.at for fill in venue.fills_since(LONG_AGO)] == [MONDAY + FIVE]
    assert venue.activities_since(LONG_AGO) == []
    venue.close()


def test_a_split_is_told_of_shares_that_are_not_held_and_ends_what_it_leaves_nothing_of(
    clock: VirtualClock, shelf: BarShelf
) -> None:
    actions = [CorporateAction("SPY", MONDAY + FIVE, ratio=Decimal("0.125"), price=Decimal(800))]
    venue = venue_over(shelf, clock, actions=actions)
    venue.submit(request_of("few", quantity="7", kind=OrderType.LIMIT, limit_price="90"))
    venue.submit(request_of("many", quantity="17", kind=OrderType.LIMIT, limit_price="90.01"))
    clock.advance(FIVE)
    (split,) = venue.activities_since(LONG_AGO)
    assert isinstance(split, Split) and (split.quantity, split.ratio) == (0, Decimal("0.125"))
    few, many = venue.find("few"), venue.find("many")
    assert few is not None and (few.state, few.reason) == (OrderState.CANCELED, "the split left nothing of it")
    assert many is not None and (many.quantity, many.limit_price) == (2, Decimal("720.08"))
    venue.close()
