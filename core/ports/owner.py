"""What the owner's side may ask of the engine, and the second way to him."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from core.domain.accounts import Mode
from core.domain.decisions import Brake, BrakeKind, Prediction, Reasons, Signal
from core.domain.drafts import Deed, Draft, DraftAnswer
from core.domain.events import ClosedForecast, DailyReport, InstructionIssued
from core.domain.portfolio import CashKind
from core.domain.real_money import RealMoneyView
from core.domain.records import (
    Instruction,
    Question,
    QuestionChoice,
)
from core.domain.views import (
    CardOffer,
    CardWish,
    Correction,
    Explanation,
    OwnerAnswer,
    OwnTrade,
    PositionsView,
    ReportedFill,
    StatusView,
)


class SecondChannel(Protocol):
    """Another way to the owner than the chat, for alarms."""

    name: str

    def send(self, title: str, text: str) -> None:
        """Plain text. Blocks; raises Transient, in words that hold no secret."""
        ...


class Safekeeping(Protocol):
    """The owner's hand on what holds trading back: questions, brakes, the order to sell everything."""

    def questions(self) -> Sequence[Question]:
        """The open ones, the oldest first."""
        ...

    def answer(self, number: int, version: int, choice: QuestionChoice, tap: str) -> OwnerAnswer: ...
    def locks(self) -> Sequence[Brake]:
        """Every brake in force now, the pause included."""
        ...

    def unlock(self, kind: BrakeKind, scope: str, by: str) -> OwnerAnswer:
        """Releases a brake; one whose cause still holds is not set again before the cause has gone and come back."""
        ...

    def flatten(self, by: str) -> OwnerAnswer:
        """Commits at once, waiting for nobody, that everything is to be sold and nothing bought until unlocked."""
        ...

    def chosen_mode(self) -> Mode:
        """The mode that is set, whether or not it can be obeyed now."""
        ...

    def real_money(self) -> RealMoneyView | None:
        """How it stands with the live account; None where there is none."""
        ...

    def allow_real_money(self, number: str, by: str) -> OwnerAnswer:
        """Runs in the writer: the live account of that number at its venue may be traded, if it is the one that the
        settings allow and the venue names. Until then nothing is sent there."""
        ...

    def stop_real_money(self, by: str) -> OwnerAnswer:
        """Takes that back: nothing more is sent there."""
        ...

    def exit_all(self) -> OwnerAnswer:
        """Runs in the writer: sells what a standing flatten asks for, as far as it can be sold now."""
        ...


class Bookkeeping(Protocol):
    """What the owner books of himself in the manual account: money, splits, own trades, and corrections of them.

    Nothing is ever changed: a correction reverses an entry and books another.
    """

    def book_cash(self, kind: CashKind, amount: Decimal, note: str, by: str, tap: str) -> OwnerAnswer:
        """A movement of the manual account. `amount` is above zero, USD; the kind says which way it went."""
        ...

    def book_split(self, symbol: str, ratio: Decimal, by: str, tap: str) -> OwnerAnswer:
        """`ratio` new units for one old one in the manual account: units, guard and open cards follow."""
        ...

    def book_trade(self, trade: OwnTrade, by: str, tap: str) -> OwnerAnswer:
        """A trade in the manual account that the engine did not propose."""
        ...

    def undo(self, by: str, tap: str) -> OwnerAnswer:
        """Takes back the newest standing booking that the owner made in the manual account."""
        ...

    def correct(self, correction: Correction, by: str, tap: str) -> OwnerAnswer:
        """Takes back a booked fill and books it anew with the figures given."""
        ...


class Drafting(Protocol):
    """What the owner types is shown before it is booked. Runs in the writer; the first decision counts."""

    def draft(self, deed: Deed, tap: str) -> DraftAnswer:
        """Writes down what was typed and says what it would do to the manual account; books nothing."""
        ...

    def drafted(self, token: str) -> Draft | None:
        """What waits under `token`; None once it is decided or its time is over."""
        ...

    def standing_drafts(self) -> Sequence[Draft]:
        """All that wait, the oldest first."""
        ...

    def confirm(self, token: str, version: int, by: str) -> DraftAnswer:
        """Books it: DONE. AMBIGUOUS asks a second time, with the draft's next version; STALE changes nothing."""
        ...

    def drop(self, token: str, by: str) -> OwnerAnswer: ...

    def lapsed_drafts(self) -> Sequence[Draft]:
        """What nobody decided in its time, until it is let go of."""
        ...

    def lapse_draft(self, token: str) -> None:
        """Lets go of a draft whose time is over; of any other it does nothing."""
        ...


class Steering(Protocol):
    """What the owner does to a position by hand. Runs in the writer."""

    def close(self, symbol: str, fraction: Decimal, by: str, tap: str) -> OwnerAnswer:
        """Sells `fraction` (above 0, at most 1) of what is held in the symbol, in every account that holds it; whole
        steps, nothing left that could not be sold. REFUSED says for each account why nothing was sold there."""
        ...

    def move_levels(self, symbol: str, stop: Decimal | None, target: Decimal | None, by: str, tap: str) -> OwnerAnswer:
        """Moves the stop, the target or both (USD) of every guarded position in the symbol; None leaves one as it is.

        A level beyond the price is refused: it would sell at once.
        """
        ...


class Deliberation(Protocol):
    """What the owner does with a card before he answers it."""

    def offer(self, number: int) -> CardOffer | None:
        """What the card of instruction `number` may be changed to; None where it may not be changed (any more)."""
        ...

    def card(self, number: int) -> InstructionIssued | None:
        """The card of an open instruction as it stands now; None for any other."""
        ...

    def change(self, number: int, version: int, wish: CardWish, tap: str) -> OwnerAnswer:
        """Changes size or limit of an order that waits for approval; runs in the writer. A new version of the card."""
        ...

    def explain(self, number: int) -> Explanation | None:
        """Why there is an instruction `number`, open or not; None where there never was one."""
        ...


class Owner(Safekeeping, Bookkeeping, Drafting, Steering, Deliberation, Protocol):
    """What the owner can do and ask. Pause and resume commit at once and wait for nobody; the rest runs in the writer.

    `tap` is the business key of a button press or command (not Telegram's update id): a repetition changes nothing.
    """

    def status(self) -> StatusView: ...
    def positions(self) -> PositionsView: ...
    def pending(self) -> Sequence[Instruction]: ...
    def report(self) -> DailyReport: ...
    def present(self) -> bool:
        """A sign of the owner: entries that his silence held back are allowed again. True where that was so."""
        ...

    def signals(self) -> Sequence[Signal]:
        """The newest evaluation of each symbol."""
        ...

    def reasons(self, prediction: Prediction) -> Reasons | None:
        """What moved a stored forecast; None where nothing was kept of it."""
        ...

    def closed_trades(self, symbol: str) -> Sequence[ClosedForecast]:
        """The newest closed trades of a symbol, each beside the forecast that led to it; the newest first."""
        ...

    def pause(self, until: datetime | None, by: str) -> OwnerAnswer: ...
    def resume(self, by: str) -> OwnerAnswer: ...
    def set_mode(self, mode: Mode, by: str) -> OwnerAnswer: ...
    def declare_cash(self, amount: Decimal, by: str, tap: str) -> OwnerAnswer:
        """Books what is missing so that the manual account's cash equals `amount` USD."""
        ...

    def execute(self, number: int, version: int, tap: str) -> OwnerAnswer:
        """Books instruction `number` as filled at the shown price, or approves it where it asks for approval."""
        ...

    def skip(self, number: int, version: int, tap: str) -> OwnerAnswer: ...
    def report_fill(self, fill: ReportedFill, tap: str) -> OwnerAnswer: ...
