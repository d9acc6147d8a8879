"""Whatever the owner books, takes back and corrects, in any order: positions, cash, cards and guards are those of a
simple model that keeps its books as a list of deeds."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run

from core.domain.accounts import Mode
from core.domain.orders import OrderState, Side
from core.domain.portfolio import CashKind, GuardKind
from core.domain.records import InstructionState, QuestionKind
from core.domain.values import ZERO
from core.domain.views import AnswerKind, Correction, OwnerAnswer, OwnTrade, ReportedFill
from core.execution.views import status
from tests.builders import COIN, Bench

SYMBOLS = (COIN, "ETH-USD")
PRICES = st.sampled_from([Decimal(80), Decimal("99.5"), HUNDRED := Decimal(100), Decimal(125)])
UNITS = st.sampled_from([Decimal(1), Decimal("2.5"), Decimal(7)])
FEES = st.sampled_from([ZERO, Decimal("1.25")])
OUT = {CashKind.WITHDRAWAL, CashKind.FEE}
FLOWS = {CashKind.DEPOSIT, CashKind.WITHDRAWAL}


@dataclass(frozen=True)
class Deed:
    """What the owner booked, as it counts today; `versions` are the figures that corrections have replaced."""

    what: str
    symbol: str = ""
    side: Side = Side.BUY
    units: Decimal = ZERO
    price: Decimal = ZERO
    fee: Decimal = ZERO
    money: Decimal = ZERO
    is_flow: bool = False
    card: int | None = None
    key: int = 0


@dataclass
class Model:
    """`journal` is what undo walks back over: ("book", key) or ("correct", key, former)."""

    deeds: dict[int, Deed] = field(default_factory=dict)
    journal: list[tuple[int, Deed | None]] = field(default_factory=list)

    def book(self, deed: Deed) -> None:
        key = 1 + max((*self.deeds, *(each for each, _ in self.journal)), default=0)
        self.deeds[key] = replace(deed, key=key)
        self.journal.append((key, None))

    def correct(self, key: int, new: Deed) -> None:
        self.journal.append((key, self.deeds[key]))
        self.deeds[key] = new

    def undo(self) -> Deed:
        key, former = self.journal.pop()
        undone = self.deeds.pop(key)
        if former is not None:
            self.deeds[key] = former
        return undone

    def standing(self) -> list[Deed]:
        return [self.deeds[key] for key in sorted(self.deeds)]

    def cash(self) -> Decimal:
        return sum((self._money(deed) for deed in self.standing()), ZERO)

    def flows(self) -> Decimal:
        return sum((deed.money for deed in self.standing() if deed.is_flow), ZERO)

    def held(self, symbol: str) -> Decimal:
        return sum((self._change(deed) for deed in self.standing() if deed.symbol == symbol), ZERO)

    def average(self, symbol: str) -> Decimal | None:
        """USD a unit, fees apart, of what is held now."""
        units = paid = ZERO
        for deed in self.standing():
            if deed.symbol != symbol:
                continue
            change = self._change(deed)
            if deed.what == "trade" and deed.side is Side.BUY:
                paid += deed.units * deed.price
            elif deed.what == "trade":
                paid = ZERO if deed.units >= units else paid * (units + change) / units
            units += change
        return paid / units if units > 0 else None

    @staticmethod
    def _money(deed: Deed) -> Decimal:
        if deed.what != "trade":
            return deed.money
        value = deed.units * deed.price
        return -value - deed.fee if deed.side is Side.BUY else value - deed.fee

    @staticmethod
    def _change(deed: Deed) -> Decimal:
        if deed.what == "split":
            return deed.units
        return (deed.units if deed.side is Side.BUY else -deed.units) if deed.what == "trade" else ZERO


class OwnBooks(RuleBasedStateMachine):
    @initialize()
    def install(self) -> None:
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="books-", dir=base))
        self.bench = Bench(self.folder, symbols=SYMBOLS, has_broker=False, mode=Mode.MANUAL).start()
        self.model = Model()
        self.taps = 0
        self.book_money(CashKind.DEPOSIT, Decimal(2000))

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            try:
                assert self.bench.database.verify() == []
            finally:
                self.bench.close()
                shutil.rmtree(self.folder)

    def tap(self) -> str:
        """Every deed has its own; an hour passes, so that nothing looks like a repetition."""
        self.taps += 1
        self.bench.clock.advance(timedelta(minutes=20))
        return f"tap-{self.taps}"

    # what the owner does

    @rule(kind=st.sampled_from(sorted(CashKind)), amount=st.sampled_from([Decimal(10), Decimal("333.33")]))
    def book_money(self, kind: CashKind, amount: Decimal) -> None:
        answer = self.bench.owner.book_cash(kind, amount, "", "owner", self.tap())
        signed = -amount if kind in OUT else amount
        if self._may(answer, signed >= 0 or self.model.cash() + signed >= 0):
            flows = kind in FLOWS or kind is CashKind.ADOPTION
            self.model.book(Deed("cash", money=signed, is_flow=flows))

    @rule(symbol=st.sampled_from(SYMBOLS), side=st.sampled_from(sorted(Side)), units=UNITS, price=PRICES, fee=FEES)
    def book_a_trade(self, symbol: str, side: Side, units: Decimal, price: Decimal, fee: Decimal) -> None:
        trade = OwnTrade(symbol, side, units, price, fee, None, insist=True)
        answer = self.bench.owner.book_trade(trade, "owner", self.tap())
        affordable = units * price + fee <= self.model.cash()
        possible = affordable if side is Side.BUY else units <= self.model.held(symbol)
        if self._may(answer, possible):
            self.model.book(Deed("trade", symbol, side, units, price, fee))

    @rule(symbol=st.sampled_from(SYMBOLS), ratio=st.sampled_from([Decimal(2), Decimal("0.5")]))
    def book_a_split(self, symbol: str, ratio: Decimal) -> None:
        held = self.model.held(symbol)
        if held and held * ratio % Decimal("0.000001"):
            return
        answer = self.bench.owner.book_split(symbol, ratio, "owner", self.tap())
        if self._may(answer, held > 0):
            self.model.book(Deed("split", symbol, units=held * ratio - held))

    @rule(symbol=st.sampled_from(SYMBOLS), units=UNITS)
    def a_card_is_issued_and_executed_in_part_or_whole(self, symbol: str, units: Decimal) -> None:
        card = self.bench.instruct(symbol=symbol, quantity=Decimal(7), origin=f"card {self.taps}")
        report = ReportedFill(None, units, HUNDRED, None, card.number, insist=True)
        answer = self.bench.owner.report_fill(report, self.tap())
        if self._may(answer, units * HUNDRED <= self.model.cash()):
            self.model.book(Deed("trade", symbol, Side.BUY, units, HUNDRED, ZERO, card=card.number))

    @rule()
    def undo(self) -> None:
        before = len(self.model.journal)
        answer = self.bench.owner.undo("owner", self.tap())
        if self._may(answer, before > 0):
            self.model.undo()

    @precondition(lambda self: self._fills())
    @rule(data=st.data(), units=st.none() | UNITS, price=st.none() | PRICES, fee=st.none() | FEES)
    def correct(self, data: st.DataObject, units: Decimal | None, price: Decimal | None, fee: Decimal | None) -> None:
        key = data.draw(st.sampled_from(self._fills()), label="deed")
        old = self.model.deeds[key]
        new = replace(
            old,
            units=old.units if units is None else units,
            price=old.price if price is None else price,
            fee=old.fee if fee is None else fee,
        )
        correction = Correction(self._id_of(key), units, price, fee)
        answer = self.bench.owner.correct(correction, "owner", self.tap())
        if new == old:
            assert answer.kind is AnswerKind.UNCHANGED
            return
        trial = Model(dict(self.model.deeds), list(self.model.journal))
        trial.correct(key, new)
        if answer.kind is AnswerKind.DONE:
            self.model = trial
        assert answer.kind in (AnswerKind.DONE, AnswerKind.REFUSED)
        split_since = any(deed.what == "split" and deed.key > key for deed in self.model.standing())
        harmless = trial.cash() >= 0 and self._never_oversold(trial) and not split_since
        assert answer.kind is AnswerKind.DONE or not harmless, answer.text

    @rule()
    def the_process_dies_and_returns(self) -> None:
        self.bench.restart()

    @precondition(lambda self: self.taps > 0)
    @rule()
    def a_tap_is_repeated(self) -> None:
        answer = self.bench.owner.book_cash(CashKind.DEPOSIT, Decimal(1), "", "owner", "tap-1")
        assert answer.kind is AnswerKind.UNCHANGED

    # what must hold

    @invariant()
    def money_and_units_are_the_models(self) -> None:
        if not hasattr(self, "bench"):
            return
        portfolio = self.bench.read(lambda work: work.portfolio("manual"))
        assert portfolio.cash == self.model.cash()
        assert portfolio.net_deposits == self.model.flows()
        for symbol in SYMBOLS:
            assert portfolio.quantity(symbol) == self.model.held(symbol)

    @invariant()
    def guards_follow_the_average_price(self) -> None:
        if not hasattr(self, "bench"):
            return
        guards = {each.symbol: each for each in self.bench.read(lambda work: work.guards("manual"))}
        held = {symbol for symbol in SYMBOLS if self.model.held(symbol) > 0}
        assert guards.keys() == held
        for symbol, guard in guards.items():
            average = self.model.average(symbol)
            assert average is not None and guard.kind is GuardKind.OWNER
            assert abs(guard.stop - average * Decimal("0.95")) <= Decimal("0.001") * average, (symbol, guard, average)
        asked = {
            each.symbol
            for each in self.bench.read(lambda work: work.open_questions())
            if each.kind is QuestionKind.PLACE_STOP
        }
        assert asked == held

    @invariant()
    def cards_and_orders_say_what_was_filled(self) -> None:
        if not hasattr(self, "bench"):
            return
        filled: dict[int, Decimal] = {}
        for deed in self.model.standing():
            if deed.card is not None:
                filled[deed.card] = filled.get(deed.card, ZERO) + deed.units
        for card in self.bench.read(lambda work: work.instructions(limit=1000)):
            order = self.bench.order(card.client_order_id)
            units = filled.get(card.number, ZERO)
            assert order.filled_quantity == units
            assert (order.state is OrderState.FILLED) == (units >= order.quantity)
            assert (card.state is InstructionState.EXECUTED) == (units >= order.quantity)
            assert card.is_open == (order.state in (OrderState.AWAITING_OWNER, OrderState.PARTIALLY_FILLED)) or (
                order.state is OrderState.PARTIALLY_FILLED
            )

    @invariant()
    def the_days_result_leaves_flows_out(self) -> None:
        if not hasattr(self, "bench"):
            return
        (account,) = status(self.bench.desk).accounts
        value = self.model.cash() + sum((self.model.held(symbol) * HUNDRED for symbol in SYMBOLS), ZERO)
        assert account.equity == value
        assert account.cash == self.model.cash()

    # helpers

    def _may(self, answer: OwnerAnswer, possible: bool) -> bool:
        assert (answer.kind is AnswerKind.DONE) == possible, answer.text
        return possible

    def _fills(self) -> list[int]:
        return [key for key, deed in self.model.deeds.items() if deed.what == "trade"]

    def _id_of(self, key: int) -> str:
        """The fill's id by its place among the fills that stand: both sides keep the same order."""
        from core.domain.portfolio import Fill, standing

        booked = standing(self.bench.read(lambda work: list(work.entries("manual"))))
        fills = [entry.id for entry in booked if isinstance(entry, Fill)]
        return fills[sorted(self._fills()).index(key)]

    @staticmethod
    def _never_oversold(model: Model) -> bool:
        held = dict.fromkeys(SYMBOLS, ZERO)
        for deed in model.standing():
            if deed.symbol:
                held[deed.symbol] += Model._change(deed)
                if held[deed.symbol] < 0:
                    return False
        return True


SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@pytest.mark.feature("M7")
@pytest.mark.feature("M8")
@pytest.mark.feature("M14")
def test_whatever_the_owner_books_takes_back_and_corrects_the_books_are_the_models() -> None:
    run(
        OwnBooks,
        settings=settings(max_examples=25, stateful_step_count=12, deadline=None, suppress_health_check=SLOW_IS_FINE),
    )


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_they_are_so_in_a_thousand_lives() -> None:
    run(
        OwnBooks,
        settings=settings(
            max_examples=1_000, stateful_step_count=40, deadline=None, suppress_health_check=SLOW_IS_FINE
        ),
    )
