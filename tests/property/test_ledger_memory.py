"""What a ledger remembers of itself is what stands in the file, whoever wrote it and whatever was taken back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain.accounts import Account, AccountKind, World
from core.domain.decisions import Brake, BrakeKind
from core.domain.orders import Order, OrderState
from core.ports import UnitOfWork
from core.storage.store import Database, open_database
from tests.ledger_builders import MANUAL, SIMULATED, START, a_deposit, a_model, an_order, ledger, write

PAPER = Account("alpaca-paper", AccountKind.ALPACA_PAPER, World.REAL)
KEYS = ("mode", "owner")
STATES = (OrderState.ACCEPTED, OrderState.CANCELED)


@dataclass
class Facts:
    """What the ledger must answer."""

    values: dict[str, str | None] = field(default_factory=lambda: dict.fromkeys(KEYS))
    orders: dict[str, Order] = field(default_factory=dict)
    brakes: dict[str, Brake] = field(default_factory=dict)
    accounts: list[Account] = field(default_factory=lambda: [MANUAL, SIMULATED])
    champion: str | None = None
    deposits: int = 0

    def copy(self) -> Facts:
        return replace(
            self,
            values=dict(self.values),
            orders=dict(self.orders),
            brakes=dict(self.brakes),
            accounts=list(self.accounts),
        )


@dataclass(frozen=True)
class Step:
    """`first` or the second opening of the same file does `deeds` and commits, or takes them back."""

    first: bool
    commits: bool
    deeds: tuple[tuple[str, int], ...]


NAMES = ("value", "order", "settle", "brake", "account", "model", "deposit")
DEEDS = st.tuples(st.sampled_from(NAMES), st.integers(0, 3))
STEPS = st.builds(Step, st.booleans(), st.booleans(), st.lists(DEEDS, max_size=4).map(tuple))


def do(work: UnitOfWork, facts: Facts, deed: str, number: int, fresh: Iterator[int]) -> None:
    match deed:
        case "value":
            value = None if number == 0 else str(number)
            work.set_value(KEYS[number % 2], value)
            facts.values[KEYS[number % 2]] = value
        case "order":
            order = an_order(f"o-{next(fresh)}", symbol=f"S{next(fresh)}")
            work.add_order(order)
            facts.orders[order.client_order_id] = order
        case "settle" if facts.orders:
            name = sorted(facts.orders)[number % len(facts.orders)]
            moved = replace(facts.orders[name], state=STATES[number % 2])
            work.save_order(moved)
            facts.orders[name] = moved
        case "brake":
            brake = Brake(BrakeKind.SYMBOL_BLOCKED, f"S{number}", f"reason {next(fresh)}", START)
            work.set_brake(brake)
            facts.brakes[brake.scope] = brake
        case "account":
            work.add_account(PAPER)
            facts.accounts = [PAPER, MANUAL, SIMULATED]
        case "model":
            facts.champion = f"m{next(fresh)}"
            work.add_model(a_model(facts.champion))
        case "deposit":
            facts.deposits += 1
            work.book(a_deposit("1", f"c-{next(fresh)}"), recorded_at=START)


def check(work: UnitOfWork, facts: Facts) -> None:
    assert {key: work.value(key) for key in KEYS} == facts.values
    live = {order.client_order_id: order for order in work.live_orders("simulated")}
    assert live == {name: order for name, order in facts.orders.items() if order.is_live}
    assert {brake.scope: brake for brake in work.brakes()} == facts.brakes
    assert list(work.accounts()) == facts.accounts
    champion = work.champion()
    assert (champion.version if champion else None) == facts.champion
    assert work.portfolio("simulated").cash == facts.deposits


@contextmanager
def opened_twice() -> Iterator[tuple[Database, Database]]:
    folder = Path(tempfile.mkdtemp())
    first = ledger(folder)
    second = open_database(first.path, durable=False)
    try:
        yield first, second
    finally:
        first.close()
        second.close()
        shutil.rmtree(folder)


@pytest.mark.feature("X1")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=1, max_size=12))
def test_no_answer_is_older_than_the_newest_commit_nor_from_a_change_that_was_taken_back(steps: list[Step]) -> None:
    facts, fresh = Facts(), iter(range(10_000))
    with opened_twice() as databases:
        for step in steps:
            later = facts.copy()
            with databases[0 if step.first else 1].unit_of_work() as work:
                for deed, number in step.deeds:
                    do(work, later, deed, number, fresh)
                    check(work, later)
                if step.commits:
                    work.commit()
                    check(work, later)
                    facts = later
            for database in databases:
                with database.reading() as work:
                    check(work, facts)


def test_who_changes_an_answer_changes_nobody_elses(tmp_path: Path) -> None:
    database = ledger(tmp_path)
    write(database, lambda work: work.add_order(an_order()))
    with database.reading() as work:
        for answer in (work.live_orders(), work.accounts(), work.brakes(), work.guards()):
            assert isinstance(answer, list)
            answer.clear()
    with database.reading() as work:
        assert list(work.live_orders()) == [an_order()]
        assert list(work.accounts()) == [MANUAL, SIMULATED]
    database.close()
