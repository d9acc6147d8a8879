"""The openings between the engine and the world. Each has one contract suite in tests/contract that every adapter
passes. Nothing here does anything."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Any, Protocol, TypeVar, runtime_checkable

from core.domain.accounts import Account, Mode
from core.domain.bar_records import NO_NOTES, BarNotes, KnownGap, Seam
from core.domain.bars import BarSize, Quote
from core.domain.decisions import Brake, BrakeKind, Decision, ModelVersion, Prediction, Reasons, Signal
from core.domain.drafts import Deed, Draft, DraftAnswer
from core.domain.events import DailyReport, Event, InstructionIssued
from core.domain.instruments import AssetClass, Instrument, Listing
from core.domain.orders import Order
from core.domain.portfolio import CashKind, Entry, Fill, Guard, Portfolio
from core.domain.real_money import RealMoneyView
from core.domain.records import (
    AuditRecord,
    EquityPoint,
    Instruction,
    JobOutcome,
    JobRun,
    Lease,
    OutboxMessage,
    OutboxState,
    Question,
    QuestionChoice,
)
from core.domain.venue import Activity, OrderRequest, Resting, SubmitResult, VenueAccount, VenueOrder
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
from core.series import BarSeries, Seconds

T = TypeVar("T")


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC."""
        ...


class Calendar(Protocol):
    """Sessions. Stocks follow XNYS, coins never close. All times aware UTC."""

    def is_open(self, asset_class: AssetClass, at: datetime) -> bool: ...

    def next_open(self, asset_class: AssetClass, at: datetime) -> datetime:
        """The first moment at or after `at` at which orders of the class can fill; `at` itself when open."""
        ...

    def next_close(self, asset_class: AssetClass, at: datetime) -> datetime:
        """The first session close after `at`; for coins the next 24:00Z."""
        ...

    def session_of(self, asset_class: AssetClass, at: datetime) -> date:
        """The session that `at` belongs to, or the last one before it; for coins the UTC date."""
        ...

    def session_bounds(self, asset_class: AssetClass, session: date) -> tuple[datetime, datetime] | None:
        """Open and close of a session; None where there is none on that date."""
        ...

    def bar_close(self, asset_class: AssetClass, size: BarSize, opened_at: datetime) -> datetime:
        """When the bar that opened then closes: open + size or the session close, whichever is earlier.

        A daily bar is named by its session date (00:00Z of it) and closes with the session; a coin's at 24:00Z.
        """
        ...

    def sessions_between(self, first: date, last: date) -> tuple[Seconds, Seconds, Seconds]:
        """XNYS sessions dated from `first` to `last`, both included, ascending: their dates (00:00Z), opens and closes
        in whole seconds since 1970."""
        ...

    def day_end(self, at: datetime) -> datetime:
        """The next end of a trading day strictly after `at`: XNYS close + 15 minutes, or 24:00Z without a session."""
        ...


class MarketData(Protocol):
    """A source of bars. Blocking; called in threads under a deadline."""

    name: str

    def bars(self, instrument: Instrument, size: BarSize, end: datetime, count: int) -> BarSeries:
        """At most `count` newest bars closed at or before `end`, ascending; never one that closes later.

        Raises DataFault (this symbol has no usable data), Transient (ask again later).
        """
        ...

    def reach(self, size: BarSize) -> timedelta | None:
        """How far back from now bars of that size can be asked for: None without limit, zero not at all."""
        ...


class Quotes(Protocol):
    def last(self, instruments: Sequence[Instrument], now: datetime) -> Mapping[str, Quote]:
        """The last price at or before `now` of each instrument that has one. Raises Transient."""
        ...


class LivePrices(Protocol):
    def listen(self, hear: Callable[[str, float], None]) -> None:
        """From now on `hear` is called with the symbol and the price (USD) of each live quote that is one, of whatever
        `Quotes.last` was asked about lately. In some thread, where it must not wait. Quotes may be missed."""
        ...

    def prefer(self, symbols: Collection[str]) -> None:
        """From now on these come first, and these alone, where not all can be listened to. Returns at once."""
        ...


class SymbolLookup(Protocol):
    def look_up(self, symbol: str) -> Listing:
        """What the source says of a symbol that may be traded. Blocking; called in threads.

        Raises UnknownSymbol, DataFault (it knows the symbol, and we do not trade such: in other money, of another kind,
        by another clock) and Transient.
        """
        ...


class BarStore(Protocol):
    """Bars on disk, written in bulk and read as columns. Not part of the ledger's transactions."""

    def write(self, series: BarSeries, source: str) -> int:
        """Inserts or replaces; returns how many rows were written."""
        ...

    def write_all(self, parts: Sequence[tuple[BarSeries, str]], notes: BarNotes = NO_NOTES) -> Sequence[int]:
        """Writes several series, none twice, each with its source, and `notes` on them, in one transaction; how many
        rows of each."""
        ...

    def read(self, symbol: str, size: BarSize, end: datetime, count: int) -> BarSeries: ...

    def closes(self, symbol: str, size: BarSize, after: int, until: int) -> Seconds:
        """When the stored bars close that close after `after` and at or before `until`, in seconds, ascending."""
        ...

    def known_gaps(self, symbol: str, size: BarSize) -> Sequence[KnownGap]:
        """What the sources are known not to have of the series, ascending."""
        ...

    def seams(self, after_id: int = 0) -> Sequence[Seam]:
        """Those recorded after the one of that id, of all series, in the order of their recording."""
        ...

    def newest_close(self, symbol: str, size: BarSize) -> datetime | None: ...

    def oldest_close(self, symbol: str, size: BarSize) -> datetime | None: ...

    def rescale(self, symbol: str, size: BarSize, until: datetime, ratio: Decimal) -> int:
        """Divides the prices and multiplies the volumes of all bars closed at or before `until`: a split of `ratio`
        new units for one old. Returns how many bars."""
        ...

    def source_of(self, symbol: str, size: BarSize) -> str | None:
        """The source of the newest stored bar: two sources are never mixed in one series."""
        ...


class Broker(Protocol):
    """A venue. Every method may raise Transient (nothing known this time); only `submit` has a verdict type.

    `shows_within` is by when, in market time, an order that was sent shows at the latest: until then `find` may know
    nothing of it yet.
    """

    account: Account
    shows_within: timedelta

    def resting(self, symbol: str, quantity: Decimal) -> Resting:
        """What may rest at the venue for so many units; asks nobody. An entry carries its bracket where it is PAIR."""
        ...

    def sale_step(self, symbol: str) -> Decimal:
        """In which steps what is held can be sold at the market; asks nobody. Finer than the instrument's where
        fractions of a share trade."""
        ...

    def submit(self, request: OrderRequest) -> SubmitResult:
        """Submitting an id that the venue already has answers Accepted with the order that exists."""
        ...

    def cancel(self, client_order_id: str) -> None:
        """Asks for the cancellation of an order and of its resting legs; the result shows in `find`."""
        ...

    def find(self, client_order_id: str) -> VenueOrder | None:
        """With authority once `shows_within` has passed: None then means that the venue never had it."""
        ...

    def orders(self) -> Sequence[VenueOrder]:
        """All live orders, legs included."""
        ...

    def fills_since(self, at: datetime) -> Sequence[Fill]:
        """Fills at or after `at`, ascending; ids are stable, so that booking them again changes nothing."""
        ...

    def activities_since(self, at: datetime) -> Sequence[Activity]:
        """Dividends, interest, fees, splits and the like at or after `at`, ascending, with stable ids."""
        ...

    def state(self) -> VenueAccount: ...


class TradeNews(Protocol):
    """Word from a venue that something happened to an account's orders: a sign to look now instead of at the next
    minute. It may come twice, late, out of order or never, so nothing is booked from it; what a look finds counts."""

    def watch(self, look: Callable[[], None]) -> None:
        """Begins to listen, and returns at once. From now on `look` is called in some thread, where it must not wait,
        whenever something happened, and whenever something may have been missed."""
        ...

    def looked(self, found: int) -> None:
        """Notes that the account was just looked at and that `found` fills were new: of those there was word, or will
        be in a moment, unless the news has fallen silent."""
        ...

    def trouble(self) -> str:
        """Why no news comes, for the owner; empty while all is well, and while it is too early to say."""
        ...

    def close(self) -> None: ...


class Predictor(Protocol):
    """A loaded model. None where it cannot say (warm-up, non-finite features)."""

    version: str

    def predict(self, daily: BarSeries) -> Prediction | None:
        """The probability for the symbol of `daily`, seen from its last closed bar."""
        ...


@runtime_checkable
class Explainer(Predictor, Protocol):
    """A predictor that can say what moved its answer."""

    def explain(self, daily: BarSeries) -> Reasons | None:
        """None where it has no answer for the last bar of `daily`."""
        ...


class SecondChannel(Protocol):
    """Another way to the owner than the chat, for alarms."""

    name: str

    def send(self, title: str, text: str) -> None:
        """Plain text. Blocks; raises Transient, in words that hold no secret."""
        ...


class ModelStore(Protocol):
    def load(self, version: ModelVersion) -> Predictor:
        """Raises DataFault when a file is missing or its SHA-256 is not the ledger's."""
        ...


class Worker(Protocol):
    """The spawned, niced process for training, backtests and pictures."""

    def run(self, task: Callable[..., T], *arguments: Any, deadline: float) -> T:
        """Blocks until the task is done. Raises Transient when it dies or exceeds `deadline` seconds."""
        ...


class UnitOfWork(Protocol):
    """One transaction on the ledger. Leaving the block without `commit()` changes nothing.

    Every commit checks the fencing number of the lease and raises LeaseLost when another process took it.
    """

    def __enter__(self) -> UnitOfWork: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def commit(self, step: str = "") -> None:
        """Makes everything so far last. `step` is its name in core.checkpoints; what the product commits has one."""
        ...

    # accounts and orders
    def accounts(self) -> Sequence[Account]: ...
    def add_account(self, account: Account) -> None: ...
    def add_order(self, order: Order) -> None:
        """Raises DuplicateOrder for an id that exists, or a second live entry of the account and symbol."""
        ...

    def save_order(self, order: Order) -> None: ...
    def order(self, client_order_id: str) -> Order | None: ...
    def live_orders(self, account: str | None = None) -> Sequence[Order]: ...
    def orders(
        self, account: str | None = None, since: datetime | None = None, limit: int = 100
    ) -> Sequence[Order]: ...

    # entries, hash-chained
    def book(self, entry: Entry, *, recorded_at: datetime) -> bool:
        """Appends; False (and no change) when an entry of that kind, account and id is already booked."""
        ...

    def portfolio(self, account: str) -> Portfolio: ...
    def entries(self, account: str | None = None) -> Iterable[Entry]: ...
    def chain_head(self) -> str:
        """SHA-256 (hex) over everything booked and decided so far; 64 zeros for an empty ledger."""
        ...

    # decisions and models
    def record_decision(self, decision: Decision, *, recorded_at: datetime) -> None: ...
    def last_signals(self, account: str | None = None) -> Mapping[str, Signal]: ...
    def signal_behind(self, order: Order) -> Signal | None:
        """The stored judgement of the order's symbol in the decision that made it; None where no signal led to it."""
        ...

    def judged_until(self, account: str) -> Mapping[str, datetime]:
        """By symbol, the `bar_closed_at` of the account's newest recorded signal; symbols without one are left out."""
        ...

    def unscored_predictions(self, since: datetime) -> Sequence[Prediction]:
        """Predictions from daily bars closed at or after `since` that have no score, the oldest first.

        A recorded decision journals each prediction once per symbol and daily bar: the first one stands.
        """
        ...

    def add_model(self, model: ModelVersion) -> None:
        """A new CHAMPION archives the former one."""
        ...

    def champion(self) -> ModelVersion | None: ...
    def models(self, limit: int = 20) -> Sequence[ModelVersion]: ...
    def add_prediction_score(self, symbol: str, bar_closed_at: datetime, model: str, hit: bool) -> None: ...
    def prediction_scores(self, since: datetime) -> tuple[int, int]:
        """(hits, scored) since then."""
        ...

    # guards, instructions, brakes
    def guards(self, account: str | None = None) -> Sequence[Guard]: ...
    def set_guard(self, guard: Guard) -> None: ...
    def drop_guard(self, account: str, symbol: str) -> None: ...
    def next_instruction_number(self) -> int: ...
    def save_instruction(self, instruction: Instruction) -> None: ...
    def instruction(self, number: int) -> Instruction | None: ...
    def instruction_of(self, client_order_id: str) -> Instruction | None: ...
    def open_instructions(self) -> Sequence[Instruction]: ...
    def instructions(self, limit: int = 20) -> Sequence[Instruction]: ...
    def next_question_number(self) -> int: ...
    def save_question(self, question: Question) -> None: ...
    def question(self, number: int) -> Question | None: ...
    def open_questions(self) -> Sequence[Question]: ...
    def questions(self, limit: int = 20) -> Sequence[Question]: ...
    def brakes(self) -> Sequence[Brake]: ...
    def set_brake(self, brake: Brake) -> None: ...
    def release_brake(self, kind: BrakeKind, scope: str) -> bool: ...

    # events and their delivery
    def publish(self, event: Event, *, market_time: datetime) -> int:
        """Writes the outbox row in this transaction; returns its id.

        The row of a trade's first message is remembered, so that the trade's other rows know it (D13).
        """
        ...

    def due_messages(self, now: datetime, limit: int) -> Sequence[OutboxMessage]: ...
    def save_message(
        self,
        message_id: int,
        state: OutboxState,
        *,
        at: datetime,
        telegram_message_id: int | None = None,
        next_try_at: datetime | None = None,
        error: str = "",
    ) -> None:
        """Moves a row and those folded into it; a move back to PENDING takes folded rows apart again."""
        ...

    def fold_messages(self, carrier_id: int, folded: Sequence[int]) -> None:
        """From now on the message of row `carrier_id` tells of the rows `folded` too: they share its fate."""
        ...

    def message(self, message_id: int) -> OutboxMessage | None: ...
    def opening_message(self, row: OutboxMessage) -> int | None:
        """The id, in the chat, of the first message of the trade that `row` belongs to; None where there is none."""
        ...

    def messages_in(self, state: OutboxState) -> Sequence[OutboxMessage]: ...
    def messages(self, limit: int = 50) -> Sequence[OutboxMessage]: ...
    def card_message(self, instruction_number: int, before: int | None = None) -> OutboxMessage | None:
        """The newest row, written before row `before`, that says what the card of that instruction shows; its
        `message_id` is that of the card in the chat."""
        ...

    def question_message(self, question_number: int) -> OutboxMessage | None:
        """The newest QuestionAsked message of that number."""
        ...

    # jobs, values, audit, equity
    def start_job(self, job: str, scheduled_at: datetime, started_at: datetime) -> int: ...
    def finish_job(self, run_id: int, finished_at: datetime, outcome: JobOutcome, detail: str) -> None: ...
    def record_job(self, job: str, scheduled_at: datetime, at: datetime, outcome: JobOutcome, detail: str) -> None: ...
    def last_run(self, job: str, outcome: JobOutcome | None = None) -> JobRun | None: ...
    def unfinished_jobs(self) -> Sequence[JobRun]: ...
    def value(self, key: str) -> str | None:
        """A small named fact: mode, owner, update offset, settings overrides ..."""
        ...

    def set_value(self, key: str, value: str | None) -> None: ...
    def audit(self, record: AuditRecord) -> None: ...
    def audit_trail(self, limit: int = 50, skip: int = 0) -> Sequence[AuditRecord]:
        """The newest first, after the `skip` newest ones."""
        ...

    def seen_tap(self, key: str, at: datetime) -> bool:
        """Records a business key of an owner's tap; True when it was there before."""
        ...

    def add_equity(self, point: EquityPoint) -> None: ...
    def equity(self, account: str, since: datetime | None = None) -> Sequence[EquityPoint]: ...


class DuplicateOrder(Exception):
    """The order id exists already, or the account already has a live entry for the symbol."""


class UnitOfWorkFactory(Protocol):
    def __call__(self) -> UnitOfWork: ...


class LeaseKeeper(Protocol):
    def acquire(self, now: datetime) -> Lease:
        """Raises Fatal naming the process that holds it."""
        ...

    def renew(self, now: datetime) -> Lease:
        """Raises LeaseLost."""
        ...

    def release(self) -> None: ...

    def check(self, now: datetime) -> None:
        """Before anything leaves the process: raises LeaseLost when another process took the lease."""
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
