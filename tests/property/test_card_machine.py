"""Cards issued, changed, approved, skipped, expired, superseded, reported and restarted in any order: the first
decision wins, an order is sent at most once, and what the chat shows is what the ledger says."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from bot.cards import CardAction, CardToken
from bot.message import Message
from bot.render import render
from bot.settling import card_of, settled_card
from core.domain.accounts import Mode
from core.domain.events import ExitReminder
from core.domain.orders import OrderState, Purpose
from core.domain.records import InstructionState as S
from core.domain.records import OutboxState
from core.domain.views import AnswerKind, CardWish, Pricing, ReportedFill
from core.execution.unanswered import expire_instructions
from core.storage.store import Database
from core.strategy.policy import NoAnswer, Policy
from tests.bot_line import ZONE
from tests.builders import COIN, Bench, an_entry

PATIENT = Policy(min_trade_gap=timedelta(0), loss_streak=10_000)
CARD_WORDS = {
    S.SKIPPED: "skipped",
    S.EXPIRED: "expired",
    S.SUPERSEDED: "superseded",
    S.EXECUTED: "executed",
    S.PARTIAL: " filled",
}


@dataclass
class Known:
    """What the owner would expect of one card."""

    needs_approval: bool
    order: str
    version: int = 1
    state: S = S.OPEN
    quantity: Decimal = Decimal(10)
    proposed: Decimal = Decimal(10)
    filled: Decimal = Decimal(0)
    expires_in: int = 60
    repeats: int = 0

    @property
    def is_open(self) -> bool:
        return self.state in (S.OPEN, S.PARTIAL)


@dataclass
class Chat:
    """The owner's phone: it applies every row of the outbox in order, as the delivery does."""

    messages: dict[int, Message] = field(default_factory=dict)
    seen: int = 0

    def catch_up(self, database: Database) -> None:
        with database.unit_of_work() as work:
            for row in sorted(work.messages(10_000), key=lambda each: each.id):
                if row.id <= self.seen or isinstance(row.event, ExitReminder):
                    continue
                self.seen = row.id
                card = card_of(work, row)
                edited = settled_card(row.event, card.event, ZONE) if card is not None else None
                place = row.id if card is None or card.message_id is None else card.message_id
                self.messages[place] = edited if edited is not None else render(row.event, ZONE)
                work.save_message(row.id, OutboxState.SENT, at=row.created_at, telegram_message_id=place)
            work.commit("outbox.done")


class Cards(RuleBasedStateMachine):
    @initialize(no_answer=st.sampled_from(list(NoAnswer)))
    def install(self, no_answer: NoAnswer) -> None:
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="cards-", dir=base))
        self.rule = no_answer
        policy = Policy(
            **{name: getattr(PATIENT, name) for name in Policy.__dataclass_fields__} | {"no_answer": no_answer}
        )
        self.bench = Bench(self.folder, mode=Mode.CONFIRM, policy=policy, cash="1000000").start()
        self.bench.declare_cash("1000000")
        self.cards: dict[int, Known] = {}
        self.sent: set[str] = set()
        self.chat = Chat()
        self.taps = 0

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            self.bench.close()
            shutil.rmtree(self.folder)

    # what happens

    @rule(approval=st.booleans())
    def a_card_is_issued(self, approval: bool) -> None:
        """A newer card of the same account and asset takes the place of the older one."""
        self.bench.clock.advance(timedelta(seconds=1))
        account = "simulated" if approval else "manual"
        waits = self.bench.read(lambda work: work.live_orders("simulated"))
        if approval and any(order.state is not OrderState.AWAITING_OWNER for order in waits):
            return
        for card in self.cards.values():
            if card.is_open and card.needs_approval is approval:
                card.state, card.version = S.SUPERSEDED, card.version + 1
        order = an_entry(self.bench, account=account, state=OrderState.AWAITING_OWNER)
        assert self.bench.place(order).instructed == 1
        number = max(each.number for each in self.bench.owner.pending())
        self.cards[number] = Known(approval, order.client_order_id)

    @rule(data=st.data(), quarters=st.sampled_from([1, 2, 3, 4]), old=st.booleans())
    def size_is_changed(self, data: st.DataObject, quarters: int, old: bool) -> None:
        found = self._some_card(data)
        if found is None:
            return
        number, card = found
        version = max(1, card.version - old)
        answer = self.bench.owner.change(number, version, CardWish(quarters=quarters), self._tap())
        wanted = card.proposed * quarters / 4
        if not card.is_open or version != card.version:
            assert answer.kind is AnswerKind.STALE
        elif not card.needs_approval:
            assert answer.kind is AnswerKind.REFUSED
        elif wanted == card.quantity:
            assert answer.kind is AnswerKind.UNCHANGED
        else:
            assert answer.kind is AnswerKind.DONE
            card.quantity, card.version = wanted, card.version + 1

    @rule(data=st.data(), pricing=st.sampled_from(list(Pricing)))
    def a_limit_is_set(self, data: st.DataObject, pricing: Pricing) -> None:
        found = self._some_card(data)
        if found is None:
            return
        number, card = found
        answer = self.bench.owner.change(number, card.version, CardWish(pricing=pricing), self._tap())
        assert (answer.kind is AnswerKind.DONE) <= (card.is_open and card.needs_approval)
        if answer.kind is AnswerKind.DONE:
            card.version += 1

    @rule(data=st.data(), old=st.booleans(), times=st.integers(1, 3))
    def yes_is_tapped(self, data: st.DataObject, old: bool, times: int) -> None:
        """The same button several times, as updates of their own or as one that was repeated."""
        found = self._some_card(data)
        if found is None:
            return
        number, card = found
        version = max(1, card.version - old)
        counts = card.is_open and version == card.version
        answers = [self.bench.owner.execute(number, version, self._tap()).kind for _ in range(times)]
        assert answers == [AnswerKind.DONE if counts else AnswerKind.STALE, *[AnswerKind.STALE] * (times - 1)]
        if not counts:
            return
        card.version += 1
        card.state = S.APPROVED if card.needs_approval else S.EXECUTED
        if card.needs_approval:
            self.sent.add(card.order)
        else:
            card.filled = card.quantity

    @rule(data=st.data(), old=st.booleans())
    def skip_is_tapped(self, data: st.DataObject, old: bool) -> None:
        found = self._some_card(data)
        if found is None:
            return
        number, card = found
        version = max(1, card.version - old)
        answer = self.bench.owner.skip(number, version, self._tap())
        counts = card.is_open and version == card.version
        assert answer.kind is (AnswerKind.DONE if counts else AnswerKind.STALE)
        if counts:
            card.state, card.version = S.SKIPPED, card.version + 1

    @rule(data=st.data(), units=st.sampled_from([Decimal(3), Decimal(4), None]))
    def a_fill_is_reported(self, data: st.DataObject, units: Decimal | None) -> None:
        """By its number, which counts for a card that lapsed as well."""
        found = self._some_card(data)
        if found is None:
            return
        number, card = found
        fill = ReportedFill(None, units, Decimal(100), None, number, insist=True)
        answer = self.bench.owner.report_fill(fill, self._tap())
        if card.needs_approval or card.state is S.EXECUTED:
            assert answer.kind is AnswerKind.REFUSED
            return
        assert answer.kind is AnswerKind.DONE
        card.filled += units or card.quantity - card.filled
        card.version += 1
        if card.filled >= card.quantity:
            card.state = S.EXECUTED
        elif card.is_open:
            card.state = S.PARTIAL

    @rule(minutes=st.sampled_from([20, 40, 61]))
    def time_passes(self, minutes: int) -> None:
        self.bench.system.advance(timedelta(minutes=minutes))
        self._time_went_by(minutes)

    def _time_went_by(self, minutes: int) -> None:
        for card in self.cards.values():
            card.expires_in -= minutes if card.is_open else 0
        expire_instructions(self.bench.desk)
        for card in self.cards.values():
            if card.is_open and card.expires_in <= 0:
                self._time_is_over(card)

    def _time_is_over(self, card: Known) -> None:
        card.version += 1
        if self.rule is NoAnswer.EXECUTE and card.needs_approval:
            card.state = S.APPROVED
            self.sent.add(card.order)
        elif self.rule is NoAnswer.REMIND and card.repeats < 2:
            card.repeats, card.expires_in = card.repeats + 1, 60
        else:
            card.state = S.EXPIRED

    @rule()
    def the_broker_fills(self) -> None:
        """What was sent is filled, so that another card of the asset may come."""
        self.bench.bar(100.0)
        self.bench.reconcile()
        self._time_went_by(5)

    @rule()
    def the_process_is_restarted(self) -> None:
        self.bench.restart()

    @rule()
    def the_phone_is_looked_at(self) -> None:
        self.chat.catch_up(self.bench.database)

    # what must hold

    @invariant()
    def the_ledger_is_as_expected(self) -> None:
        if not hasattr(self, "bench"):
            return
        with self.bench.database.reading() as work:
            for number, card in self.cards.items():
                found, order = work.instruction(number), work.order(card.order)
                assert found is not None and order is not None
                assert (found.state, found.version) == (card.state, card.version), (number, found, card)
                if card.is_open or card.needs_approval:
                    assert order.quantity == found.quantity == card.quantity
                assert order.quantity <= Decimal(10)
            assert [each.number for each in work.open_instructions()] == [n for n, c in self.cards.items() if c.is_open]
            held = work.portfolio("manual").quantity(COIN)
        assert held == sum((card.filled for card in self.cards.values()), Decimal(0))

    @invariant()
    def each_order_is_at_the_venue_at_most_once(self) -> None:
        if not hasattr(self, "bench"):
            return
        entries = [
            order
            for order in self.bench.read(lambda work: work.orders("simulated", limit=10_000))
            if order.purpose is Purpose.ENTRY
        ]
        for order in entries:
            at_venue = self.bench.venue.find(order.client_order_id)
            assert (at_venue is not None) == (order.client_order_id in self.sent)
            if at_venue is not None:
                assert (at_venue.quantity, at_venue.limit_price) == (order.quantity, order.limit_price)

    @invariant()
    def the_chat_shows_what_the_ledger_says(self) -> None:
        if not hasattr(self, "bench"):
            return
        self.chat.catch_up(self.bench.database)
        live = self._live_tokens()
        assert all(token.version == self.cards[token.number].version for token in live), live
        answered = {token.number for token in live if token.action in (CardAction.APPROVE, CardAction.EXECUTED)}
        # A card of which a part was filled may be without buttons, never one that is over with them.
        waiting = {number for number, card in self.cards.items() if card.state is S.OPEN}
        assert waiting <= answered
        assert answered <= {number for number, card in self.cards.items() if card.is_open}
        for number, card in self.cards.items():
            shown = [
                each.text for each in self.chat.messages.values() if each.text.partition("\n")[0].endswith(f"#{number}")
            ]
            assert len(shown) == 1 + card.repeats
            if card.state in CARD_WORDS:
                assert CARD_WORDS[card.state] in shown[-1].partition("\n")[0]
            elif card.state is S.APPROVED:
                assert not any("Approve sends" in text for text in shown)

    # helpers

    def _live_tokens(self) -> list[CardToken]:
        carried = [button.token for each in self.chat.messages.values() for row in each.keyboard for button in row]
        return [token for token in map(CardToken.parse, carried) if token is not None]

    def _some_card(self, data: st.DataObject) -> tuple[int, Known] | None:
        if not self.cards:
            return None
        number = data.draw(st.sampled_from(sorted(self.cards)), label="card")
        return number, self.cards[number]

    def _tap(self) -> str:
        self.taps += 1
        return f"tap-{self.taps}"


SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@pytest.mark.timeout(600)
@pytest.mark.feature("T2")
@pytest.mark.feature("T3")
@pytest.mark.feature("T8")
def test_the_first_decision_wins_and_chat_ledger_and_venue_agree() -> None:
    run_state_machine_as_test(
        Cards,
        settings=settings(max_examples=15, stateful_step_count=12, deadline=None, suppress_health_check=SLOW_IS_FINE),
    )


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_they_agree_in_a_thousand_lives() -> None:
    run_state_machine_as_test(
        Cards,
        settings=settings(max_examples=1000, stateful_step_count=30, deadline=None, suppress_health_check=SLOW_IS_FINE),
    )
