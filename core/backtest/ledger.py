"""A ledger in memory for one run: what a tick writes and reads, and nothing that outlives the process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, cast

from core.domain.accounts import Account
from core.domain.decisions import Brake, BrakeKind, Decision, ModelVersion, Signal
from core.domain.events import Event
from core.domain.orders import Order, Purpose
from core.domain.portfolio import Entry, Fill, Guard, Portfolio, Reversal, portfolio_of
from core.domain.records import AuditRecord, EquityPoint, Instruction, Question
from core.ports import DuplicateOrder, UnitOfWork

EntryKey = tuple[type[Any], str, str]


@dataclass(frozen=True, slots=True)
class Booked:
    """An entry, and where its account stood after it: cash in USD, units of the entry's symbol; `flow` is money that
    was moved in or out with it."""

    at: datetime
    entry: Entry
    cash: Decimal
    units: Decimal
    flow: Decimal


@dataclass(slots=True)
class Books:
    """Everything a run knows. `decided` is told of every decision that is written, `told` of every event."""

    decided: Callable[[Decision], object] = lambda _decision: None
    told: Callable[[Event, datetime], object] = lambda _event, _at: None
    accounts: dict[str, Account] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    live: dict[str, Order] = field(default_factory=dict)
    entries: list[Booked] = field(default_factory=list)
    booked: set[EntryKey] = field(default_factory=set)
    portfolios: dict[str, Portfolio] = field(default_factory=dict)
    signals: dict[tuple[str, str], Signal] = field(default_factory=dict)
    judged: dict[str, dict[str, datetime]] = field(default_factory=dict)
    guards: dict[tuple[str, str], Guard] = field(default_factory=dict)
    instructions: dict[int, Instruction] = field(default_factory=dict)
    questions: dict[int, Question] = field(default_factory=dict)
    brakes: dict[tuple[BrakeKind, str], Brake] = field(default_factory=dict)
    released: list[Brake] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    points: dict[str, list[EquityPoint]] = field(default_factory=dict)
    events: int = 0

    def unit_of_work(self) -> UnitOfWork:
        """What a tick asks of the port is here; what the bot, the jobs and the house ask of it is not."""
        return cast(UnitOfWork, MemoryWork(self))


class MemoryWork:
    """A unit of work on `Books` (core.ports). Writes count at once: a block that has written and ends without a commit
    is a defect here, and raises RuntimeError. After an error in a block the books are of no use any more."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._written = False

    def __enter__(self) -> MemoryWork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._written and kind is None:
            raise RuntimeError("a block has written to the books in memory and ended without a commit")

    def commit(self, step: str = "") -> None:  # noqa: ARG002 - nobody kills a run in memory at its commits
        self._written = False

    def accounts(self) -> Sequence[Account]:
        return [self._books.accounts[name] for name in sorted(self._books.accounts)]

    def add_account(self, account: Account) -> None:
        known = self._books.accounts.get(account.id)
        if known is not None and known != account:
            raise ValueError(f"account {account.id} exists as {known}")
        self._write(self._books.accounts, account.id, account)

    def add_order(self, order: Order) -> None:
        if order.client_order_id in self._books.orders or (_is_live_entry(order) and self._has_entry(order)):
            raise DuplicateOrder(order.client_order_id)
        self._keep(order)

    def save_order(self, order: Order) -> None:
        if order.client_order_id not in self._books.orders:
            raise KeyError(order.client_order_id)
        self._keep(order)

    def order(self, client_order_id: str) -> Order | None:
        return self._books.orders.get(client_order_id)

    def live_orders(self, account: str | None = None) -> Sequence[Order]:
        return [order for order in self._books.live.values() if account in (None, order.account)]

    def orders(self, account: str | None = None, since: datetime | None = None, limit: int = 100) -> Sequence[Order]:
        found = list[Order]()
        for order in reversed(self._books.orders.values()):
            # They were written in the order of their time.
            if len(found) == limit or (since is not None and order.created_at < since):
                break
            if account in (None, order.account):
                found.append(order)
        return found

    def book(self, entry: Entry, *, recorded_at: datetime) -> bool:
        key = (type(entry), entry.account, entry.id)
        if key in self._books.booked:
            return False
        before = self.portfolio(entry.account)
        if isinstance(entry, Reversal):
            after = portfolio_of(entry.account, [*self.entries(entry.account), entry])
        else:
            after = before.after(entry)
        self._books.booked.add(key)
        units = after.quantity(getattr(entry, "symbol", ""))
        flow = after.net_deposits - before.net_deposits
        self._books.entries.append(Booked(recorded_at, entry, after.cash, units, flow))
        self._write(self._books.portfolios, entry.account, after)
        return True

    def portfolio(self, account: str) -> Portfolio:
        return self._books.portfolios.get(account) or Portfolio(account)

    def entries(self, account: str | None = None) -> Iterable[Entry]:
        return [each.entry for each in self._books.entries if account in (None, each.entry.account)]

    def record_decision(self, decision: Decision, *, recorded_at: datetime) -> None:  # noqa: ARG002
        judged = self._books.judged.setdefault(decision.account, {})
        for signal in decision.signals:
            self._books.signals[decision.account, signal.symbol] = signal
            if signal.bar_closed_at is not None:
                judged[signal.symbol] = signal.bar_closed_at
        self._books.decided(decision)
        self._written = True

    def last_signals(self, account: str | None = None) -> Mapping[str, Signal]:
        return {symbol: each for (owner, symbol), each in self._books.signals.items() if account in (None, owner)}

    def judged_until(self, account: str) -> Mapping[str, datetime]:
        return self._books.judged.get(account, {})

    def champion(self) -> ModelVersion | None:
        """The forecasts of a run are made beforehand: no model is registered."""
        return None

    def guards(self, account: str | None = None) -> Sequence[Guard]:
        return [guard for _, guard in sorted(self._books.guards.items()) if account in (None, guard.account)]

    def set_guard(self, guard: Guard) -> None:
        self._write(self._books.guards, (guard.account, guard.symbol), guard)

    def drop_guard(self, account: str, symbol: str) -> None:
        self._drop(self._books.guards, (account, symbol))

    def next_instruction_number(self) -> int:
        return len(self._books.instructions) + 1

    def save_instruction(self, instruction: Instruction) -> None:
        self._write(self._books.instructions, instruction.number, instruction)

    def instruction(self, number: int) -> Instruction | None:
        return self._books.instructions.get(number)

    def instruction_of(self, client_order_id: str) -> Instruction | None:
        known = self._books.instructions.values()
        return next((each for each in reversed(known) if each.client_order_id == client_order_id), None)

    def open_instructions(self) -> Sequence[Instruction]:
        return [each for each in self._books.instructions.values() if each.is_open]

    def instructions(self, limit: int = 20) -> Sequence[Instruction]:
        return list(reversed(self._books.instructions.values()))[:limit]

    def next_question_number(self) -> int:
        return len(self._books.questions) + 1

    def save_question(self, question: Question) -> None:
        self._write(self._books.questions, question.number, question)

    def question(self, number: int) -> Question | None:
        return self._books.questions.get(number)

    def open_questions(self) -> Sequence[Question]:
        return [each for each in self._books.questions.values() if each.is_open]

    def questions(self, limit: int = 20) -> Sequence[Question]:
        return list(reversed(self._books.questions.values()))[:limit]

    def brakes(self) -> Sequence[Brake]:
        return sorted(self._books.brakes.values(), key=lambda each: (each.since, each.kind, each.scope))

    def set_brake(self, brake: Brake) -> None:
        self._write(self._books.brakes, (brake.kind, brake.scope), brake)

    def release_brake(self, kind: BrakeKind, scope: str) -> bool:
        return self._drop(self._books.brakes, (kind, scope))

    def publish(self, event: Event, *, market_time: datetime) -> int:
        self._books.events += 1
        self._books.told(event, market_time)
        self._written = True
        return self._books.events

    def value(self, key: str) -> str | None:
        return self._books.values.get(key)

    def set_value(self, key: str, value: str | None) -> None:
        if value is None:
            self._drop(self._books.values, key)
        else:
            self._write(self._books.values, key, value)

    def audit(self, record: AuditRecord) -> None:
        """Nobody asks afterwards who did what in a run: whoever released a brake stands in its options."""

    def add_equity(self, point: EquityPoint) -> None:
        points = self._books.points.setdefault(point.account, [])
        if points and points[-1].at == point.at:
            points.pop()
        points.append(point)
        self._written = True

    def equity(self, account: str, since: datetime | None = None) -> Sequence[EquityPoint]:
        return [each for each in self._books.points.get(account, ()) if since is None or each.at >= since]

    def _has_entry(self, order: Order) -> bool:
        return any(
            _is_live_entry(each) and (each.account, each.symbol) == (order.account, order.symbol)
            for each in self._books.live.values()
        )

    def _keep(self, order: Order) -> None:
        """A live order keeps its place in the order of writing."""
        self._write(self._books.orders, order.client_order_id, order)
        if order.is_live:
            self._books.live[order.client_order_id] = order
        else:
            self._books.live.pop(order.client_order_id, None)

    def _write(self, table: dict[Any, Any], key: object, value: object) -> None:
        table[key] = value
        self._written = True

    def _drop(self, table: dict[Any, Any], key: object) -> bool:
        known = table.pop(key, None) is not None
        self._written |= known
        return known


def _is_live_entry(order: Order) -> bool:
    return order.is_live and order.purpose is Purpose.ENTRY


def fills_of(books: Books, account: str) -> list[Fill]:
    """The fills of one account, in the order of booking."""
    entries = (booked.entry for booked in books.entries)
    return [entry for entry in entries if isinstance(entry, Fill) and entry.account == account]
