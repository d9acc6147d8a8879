"""An Owner without an engine: instructions and a pause flag in memory, and a record of what was asked of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.domain.accounts import Badge, Mode
from core.domain.decisions import Brake, BrakeKind, Prediction, Reasons, Signal
from core.domain.drafts import Deed, Draft, DraftAnswer, Preview
from core.domain.events import (
    ClosedForecast,
    DailyReport,
    InstructionIssued,
    ModeChanged,
    ReportAccount,
    ReportPosition,
)
from core.domain.orders import Purpose, Side
from core.domain.portfolio import GuardKind
from core.domain.real_money import RealMoneyView
from core.domain.records import (
    Instruction,
    InstructionState,
    Question,
    QuestionChoice,
    QuestionKind,
    QuestionState,
)
from core.domain.views import (
    AnswerKind,
    CardOffer,
    CardWish,
    Explanation,
    Health,
    OwnerAnswer,
    PositionsView,
    Pricing,
    ReportedFill,
    StatusView,
)
from core.ports import UnitOfWorkFactory

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)

ACCOUNT = ReportAccount(
    account="simulated",
    equity=Decimal("10012.30"),
    cash=Decimal("7400"),
    day_profit=Decimal("12.30"),
    day_fraction=Decimal("0.00123"),
    total_fraction=Decimal("0.00123"),
    benchmark_fraction=Decimal("0.003"),
    trades_closed=2,
    trades_won=1,
    fees=Decimal("0.42"),
    attested=False,
    badges=(Badge.PAPER,),
)
POSITION = ReportPosition(
    symbol="SPY",
    account="simulated",
    quantity=Decimal(5),
    price=Decimal("522.46"),
    value=Decimal("2612.30"),
    profit=Decimal("12.30"),
    profit_fraction=Decimal("0.0047"),
    guard=GuardKind.VENUE,
    stop=Decimal("494"),
    target=Decimal("598"),
)
REPORT = DailyReport(
    day=date(2026, 11, 23),
    since=NOON - timedelta(days=30),
    accounts=(ACCOUNT,),
    positions=(POSITION,),
    model_version="m-20261123",
    model_auc=0.561,
    model_hits=11,
    model_scored=19,
    health="RUNNING",
    components=(("yahoo", "RUNNING"),),
    ledger_head="ab" * 32,
)
STATUS = StatusView(
    market_now=NOON,
    speed=1.0,
    simulated_prices=False,
    mode=Mode.AUTO,
    paused=False,
    paused_until=None,
    health=Health.RUNNING,
    components=(),
    accounts=(ACCOUNT,),
    open_positions=1,
    unguarded=0,
    pending_instructions=1,
    stock_session_open=True,
    next_stock_change=NOON + timedelta(hours=4),
    last_cycle_at=NOON - timedelta(minutes=2),
    next_cycle_at=NOON + timedelta(minutes=3),
    model_version="m-20261123",
    model_trained_at=NOON - timedelta(hours=3),
    last_signal="SPY 67.2%, bought",
    undelivered_messages=0,
    badges=(Badge.PAPER,),
)

PREVIEW = Preview(
    cash=(Decimal(7400), Decimal(2277)),
    symbol="SPY",
    units=(Decimal(0), Decimal(10)),
    average_cost=Decimal("512.30"),
    stop=Decimal("486.69"),
    target=Decimal("589.15"),
    profit=Decimal(0),
    what="bought 10 SPY at 512.3 USD",
    instead="",
    number=7,
    rest=Decimal(0),
    at=None,
    badges=(Badge.MANUAL,),
)


def an_instruction(number: int = 7, **changes: Any) -> Instruction:
    card = Instruction(
        number=number,
        version=1,
        client_order_id=f"at00000-{number}",
        account="manual",
        symbol="SPY",
        side=Side.BUY,
        purpose=Purpose.ENTRY,
        quantity=Decimal(10),
        price=Decimal("512.30"),
        band_low=Decimal("509.74"),
        band_high=Decimal("514.86"),
        stop=Decimal("486.69"),
        target=Decimal("589.15"),
        probability=0.67,
        why="probability 67% above 60%",
        needs_approval=False,
        created_at=NOON,
        expires_at=NOON + timedelta(hours=4),
    )
    return replace(card, **changes)


def an_issue(card: Instruction) -> InstructionIssued:
    """What its card shows, without what an instruction does not know."""
    names = InstructionIssued.__dataclass_fields__
    return InstructionIssued(
        **{name: getattr(card, name) for name in names if hasattr(card, name)}, badges=(Badge.MANUAL,)
    )


def a_question(number: int = 3, **changes: Any) -> Question:
    question = Question(
        number=number,
        version=1,
        kind=QuestionKind.DIFFERENCE,
        account="simulated",
        symbol="SPY",
        ours=Decimal(5),
        theirs=Decimal(8),
        stop=None,
        target=None,
        text="The ledger holds 5 SPY, simulated holds 8, and no order explains it.",
        asked_at=NOON,
    )
    return replace(question, **changes)


@dataclass
class FakeOwner:
    """`ledger`, where given, gets the event that the real one publishes when it pauses or resumes."""

    instructions: list[Instruction] = field(default_factory=list)
    ledger: UnitOfWorkFactory | None = None
    mode: Mode = Mode.AUTO
    paused: bool = False
    paused_until: datetime | None = None
    taps: set[str] = field(default_factory=set)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    before: Callable[[str], None] = lambda _name: None
    asked: list[Question] = field(default_factory=list)
    drafts: dict[str, Draft] = field(default_factory=dict)
    brakes: list[Brake] = field(default_factory=list)
    judged: list[Signal] = field(default_factory=list)
    moved: dict[str, Reasons] = field(default_factory=dict)
    closed: list[ClosedForecast] = field(default_factory=list)
    signs: int = 0
    answer_to_fill: OwnerAnswer = field(
        default_factory=lambda: OwnerAnswer(AnswerKind.DONE, "Booked 10 SPY at 512.30.")
    )

    def status(self) -> StatusView:
        self.before("status")
        return replace(STATUS, paused=self.paused, paused_until=self.paused_until, mode=self.mode)

    def positions(self) -> PositionsView:
        self.before("positions")
        return PositionsView((POSITION,), (ACCOUNT,), (Badge.PAPER,))

    def pending(self) -> list[Instruction]:
        return [card for card in self.instructions if card.is_open]

    def report(self) -> DailyReport:
        self.before("report")
        return REPORT

    def present(self) -> bool:
        self.signs += 1
        return False

    def signals(self) -> list[Signal]:
        return list(self.judged)

    def reasons(self, prediction: Prediction) -> Reasons | None:
        return self.moved.get(prediction.symbol)

    def closed_trades(self, symbol: str) -> Sequence[ClosedForecast]:
        return [each for each in self.closed if each.symbol == symbol]

    def pause(self, until: datetime | None, by: str) -> OwnerAnswer:
        self.calls.append(("pause", until, by))
        if self.paused and self.paused_until == until:
            return OwnerAnswer(AnswerKind.UNCHANGED, "New entries are paused already.")
        self.paused, self.paused_until = True, until
        self._publish(ModeChanged(self.mode, True, until, by))
        return OwnerAnswer(AnswerKind.DONE, "Paused: no new entries.")

    def resume(self, by: str) -> OwnerAnswer:
        self.calls.append(("resume", by))
        if not self.paused:
            return OwnerAnswer(AnswerKind.UNCHANGED, "New entries were not paused.")
        self.paused, self.paused_until = False, None
        self._publish(ModeChanged(self.mode, False, None, by))
        return OwnerAnswer(AnswerKind.DONE, "Resumed: new entries are allowed again.")

    def set_mode(self, mode: Mode, by: str) -> OwnerAnswer:
        self.calls.append(("set_mode", mode, by))
        self.mode = mode
        self._publish(ModeChanged(mode, self.paused, self.paused_until, by))
        return OwnerAnswer(AnswerKind.DONE, f"The mode is now {mode}.")

    def declare_cash(self, amount: Decimal, by: str, tap: str) -> OwnerAnswer:
        self.calls.append(("declare_cash", amount, by, tap))
        return OwnerAnswer(AnswerKind.DONE, f"The manual account now holds {amount:.2f} USD.")

    def card(self, number: int) -> InstructionIssued | None:
        found = next((each for each in self.pending() if each.number == number), None)
        if found is None:
            return None
        return an_issue(found)

    def offer(self, number: int) -> CardOffer | None:
        self.before("offer")
        found = next((each for each in self.pending() if each.number == number and each.needs_approval), None)
        if found is None:
            return None
        limits = {Pricing.MARKET: None, Pricing.SHOWN: found.price, Pricing.EDGE: found.band_high}
        sizes = {4: found.quantity, 2: found.quantity / 2}
        return CardOffer(found, found.quantity, found.quantity, Pricing.MARKET, sizes, limits)

    def change(self, number: int, version: int, wish: CardWish, tap: str) -> OwnerAnswer:
        self.calls.append(("change", number, version, wish, tap))
        return OwnerAnswer(AnswerKind.DONE, f"Instruction {number} is changed.")

    def explain(self, number: int) -> Explanation | None:
        self.before("explain")
        found = next((each for each in self.instructions if each.number == number), None)
        return None if found is None else Explanation(found, None, (Badge.MANUAL,))

    def draft(self, deed: Deed, tap: str) -> DraftAnswer:
        self.before("draft")
        self.calls.append(("draft", deed, tap))
        asked = Draft("ab12", 1, deed, (), (), NOON + timedelta(minutes=15))
        self.drafts[asked.token] = asked
        return DraftAnswer(OwnerAnswer(AnswerKind.DONE, ""), asked, PREVIEW)

    def standing_drafts(self) -> list[Draft]:
        return list(self.drafts.values())

    def drafted(self, token: str) -> Draft | None:
        return self.drafts.get(token)

    def confirm(self, token: str, version: int, by: str) -> DraftAnswer:
        self.calls.append(("confirm", token, version, by))
        self.drafts.pop(token, None)
        return DraftAnswer(self.answer_to_fill)

    def lapsed_drafts(self) -> list[Draft]:
        return []

    def lapse_draft(self, token: str) -> None:
        self.calls.append(("lapse_draft", token))

    def drop(self, token: str, by: str) -> OwnerAnswer:
        self.calls.append(("drop", token, by))
        self.drafts.pop(token, None)
        return OwnerAnswer(AnswerKind.DONE, "Dropped: nothing was booked.")

    def execute(self, number: int, version: int, tap: str) -> OwnerAnswer:
        return self._settle("execute", number, version, tap, InstructionState.EXECUTED)

    def skip(self, number: int, version: int, tap: str) -> OwnerAnswer:
        return self._settle("skip", number, version, tap, InstructionState.SKIPPED)

    def report_fill(self, fill: ReportedFill, tap: str) -> OwnerAnswer:
        self.before("report_fill")
        self.calls.append(("report_fill", fill, tap))
        return self.answer_to_fill

    def questions(self) -> list[Question]:
        return [question for question in self.asked if question.is_open]

    def answer(self, number: int, version: int, choice: QuestionChoice, tap: str) -> OwnerAnswer:
        self.calls.append(("answer", number, version, choice, tap))
        for index, question in enumerate(self.asked):
            if (question.number, question.version) == (number, version) and question.is_open:
                self.asked[index] = replace(question, state=QuestionState.ANSWERED, answer=choice)
                return OwnerAnswer(AnswerKind.DONE, f"Q{number}: {choice.value}.")
        return OwnerAnswer(AnswerKind.STALE, f"This button is out of date: Q{number}. Nothing was changed.")

    def locks(self) -> list[Brake]:
        return list(self.brakes)

    def unlock(self, kind: BrakeKind, scope: str, by: str) -> OwnerAnswer:
        self.calls.append(("unlock", kind, scope, by))
        self.brakes = [brake for brake in self.brakes if (brake.kind, brake.scope) != (kind, scope)]
        return OwnerAnswer(AnswerKind.DONE, f"Released: {kind.value} on {scope}.")

    def flatten(self, by: str) -> OwnerAnswer:
        self.calls.append(("flatten", by))
        return OwnerAnswer(AnswerKind.DONE, "No entries from now on, and every position is being sold.")

    def chosen_mode(self) -> Mode:
        return Mode.MANUAL

    def real_money(self) -> RealMoneyView | None:
        held = (("SPY", Decimal(3)),)
        return RealMoneyView(
            "alpaca-live", "123456789", "", "123456789", Decimal(12_345), held, True, Decimal("0.10"), None, None
        )

    def allow_real_money(self, number: str, by: str) -> OwnerAnswer:
        self.calls.append(("allow_real_money", number, by))
        return OwnerAnswer(AnswerKind.DONE, f"Account {number} is traded with real money from now on.")

    def stop_real_money(self, by: str) -> OwnerAnswer:
        self.calls.append(("stop_real_money", by))
        return OwnerAnswer(AnswerKind.DONE, "Nothing more is sent.")

    def exit_all(self) -> OwnerAnswer:
        self.calls.append(("exit_all",))
        return OwnerAnswer(AnswerKind.DONE, "1 sales sent to the broker.")

    def close(self, symbol: str, fraction: Decimal, by: str, tap: str) -> OwnerAnswer:
        self.calls.append(("close", symbol, fraction, by, tap))
        return OwnerAnswer(AnswerKind.DONE, f"{symbol}: the sale is with the broker.")

    def move_levels(self, symbol: str, stop: Decimal | None, target: Decimal | None, by: str, tap: str) -> OwnerAnswer:
        self.calls.append(("move_levels", symbol, stop, target, by, tap))
        return OwnerAnswer(AnswerKind.DONE, f"{symbol}: levels moved.")

    def _settle(self, deed: str, number: int, version: int, tap: str, state: InstructionState) -> OwnerAnswer:
        self.before(deed)
        self.calls.append((deed, number, version, tap))
        if tap in self.taps:
            return OwnerAnswer(AnswerKind.UNCHANGED, "That was done already.")
        self.taps.add(tap)
        for index, card in enumerate(self.instructions):
            if card.number == number and card.version == version and card.is_open:
                self.instructions[index] = replace(card, state=state)
                return OwnerAnswer(AnswerKind.DONE, f"Instruction {number} is {state}.")
        return OwnerAnswer(AnswerKind.STALE, f"This button is out of date: instruction {number}. Nothing was changed.")

    def _publish(self, event: ModeChanged) -> None:
        if self.ledger is not None:
            with self.ledger() as work:
                work.publish(event, market_time=NOON)
                work.commit()
