"""The outbox reaches the owner whatever happens on the way: real ledger, a transport that fails on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.delivery import Delivery, drain_silently
from bot.message import Message
from bot.pace import Pace
from bot.transport import (
    BadMarkup,
    CannotEdit,
    MayHaveArrived,
    NotSent,
    SilentTransport,
    Undeliverable,
    Unreachable,
    send_message,
)
from core.clock import VirtualClock
from core.domain.accounts import Badge, Mode
from core.domain.events import (
    Event,
    HealthChanged,
    InstructionIssued,
    InstructionSettled,
    ModeChanged,
    ModelTrained,
    PositionUnguarded,
)
from core.domain.orders import Side
from core.domain.records import OutboxMessage, OutboxState
from core.domain.views import Health
from core.storage.store import Database, open_database
from jobs.writer import InlineWriter
from tests.bot_line import ZONE, HealthLog
from tests.fakes_owner import NOON, an_instruction

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CHATTER = HealthChanged("yahoo", "DEGRADED", "no answer")
CRITICAL = PositionUnguarded("manual", "SPY", Decimal(3), "no stop rests at your broker", (Badge.MANUAL,))
CARD = InstructionIssued(
    **{name: getattr(an_instruction(), name) for name in InstructionIssued.__dataclass_fields__ if name != "badges"},
    badges=(Badge.MANUAL,),
)
SETTLED = InstructionSettled(7, "skipped", "skipped by you", "SPY", Side.BUY, Decimal(10), (Badge.MANUAL,))


class Killed(BaseException):
    """The process dies here."""


class FlakyTransport:
    """Does what the script says for each call, then succeeds; keeps what arrived."""

    def __init__(self, *script: BaseException | None, arrives_anyway: bool = False) -> None:
        self.script = list(script)
        self.arrives_anyway = arrives_anyway
        self.arrived: list[str] = []
        self.edits: list[tuple[int, str]] = []
        self.plain = 0
        self.replies: list[int | None] = []
        self.silent: list[bool] = []
        self.keyboards: list[Any] = []
        self.pinned: list[int] = []
        self.ready = True
        self.on_call: Callable[[], None] = lambda: None

    def is_ready(self) -> bool:
        return self.ready

    async def send(
        self, text: str, *, html: bool, keyboard: Any, reply_to: int | None = None, silent: bool = False
    ) -> int:
        failure = self.script.pop(0) if self.script else None
        self.on_call()
        if failure is None or self.arrives_anyway:
            self.arrived.append(text)
            self.plain += not html
            self.replies.append(reply_to)
            self.silent.append(silent)
            self.keyboards.append(keyboard)
        if failure is not None:
            raise failure
        return 100 + len(self.arrived)

    async def edit(self, message_id: int, text: str, *, html: bool, keyboard: Any) -> None:
        failure = self.script.pop(0) if self.script else None
        self.on_call()
        if failure is not None:
            raise failure
        self.edits.append((message_id, text))

    async def pin(self, message_id: int) -> None:
        self.pinned.append(message_id)


class Post:
    """A delivery over a real ledger on a clock that stands still until told."""

    def __init__(self, ledger: Database, clock: VirtualClock) -> None:
        self.ledger = ledger
        self.clock = clock
        self.health = HealthLog()
        self.slept: list[float] = []
        self.shown = "as things are"

    def delivery(self, transport: Any, pace: float = 0.0) -> Delivery:
        counted = Pace(pace, self.clock)
        transport.on_call = counted.note

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            self.clock.advance(timedelta(seconds=seconds))

        return Delivery(
            transport,
            self.ledger.unit_of_work,
            InlineWriter(),
            self.clock,
            ZONE,
            health=self.health,
            pace=counted,
            sleep=sleep,
            status=lambda: Message(self.shown),
        )

    def publish(self, *events: Event) -> list[int]:
        with self.ledger.unit_of_work() as work:
            numbers = [work.publish(event, market_time=NOON) for event in events]
            work.commit()
        return numbers

    def row(self, number: int) -> OutboxMessage:
        with self.ledger.reading() as work:
            return next(row for row in work.messages(1000) if row.id == number)

    def states(self) -> list[OutboxState]:
        with self.ledger.reading() as work:
            return [row.state for row in reversed(work.messages(1000))]


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    clock = VirtualClock(START)
    database = open_database(tmp_path / "ledger.sqlite", durable=False, clock=clock)
    yield Post(database, clock)
    database.close()


@pytest.mark.feature("D2")
async def test_critical_messages_go_first_and_equals_in_the_order_they_were_written(post: Post) -> None:
    trained = ModelTrained("m1", 10, START, "up", 5, 0.5, 0.69, 0.69, 0.5, True, "first")
    post.publish(trained, CHATTER, CARD, CRITICAL, HealthChanged("alpaca", "HALTED", "keys"))
    transport = FlakyTransport()
    assert await post.delivery(transport).drain() == 5
    firsts = [text.splitlines()[0] for text in transport.arrived]
    assert ["UNGUARDED" in firsts[0], "BUY 10" in firsts[1], "yahoo" in firsts[2], "alpaca" in firsts[3]] == [True] * 4
    assert "New model" in firsts[4]


async def test_the_card_keeps_its_message_id(post: Post) -> None:
    (number,) = post.publish(CARD)
    await post.delivery(FlakyTransport()).drain()
    row = post.row(number)
    assert (row.state, row.message_id, row.attempts) == (OutboxState.SENT, 101, 1)


async def test_on_telegram_a_second_passes_between_two_messages(post: Post) -> None:
    post.publish(CHATTER, CHATTER, CHATTER)
    transport = FlakyTransport()
    delivery = post.delivery(transport, pace=1.0)
    await delivery.drain()
    assert post.slept == [1.0, 1.0]
    transport.on_call()
    post.publish(CHATTER)
    await delivery.drain()
    assert post.slept == [1.0, 1.0, 1.0], "an answer to a command counts as well"


@pytest.mark.feature("D2")
async def test_a_wait_that_telegram_asks_for_is_kept_even_when_the_owner_writes(post: Post) -> None:
    post.publish(CHATTER)
    transport = FlakyTransport(NotSent("too many messages", 30.0))
    delivery = post.delivery(transport)
    await delivery.drain()
    delivery.retry_now()
    post.clock.advance(timedelta(seconds=29))
    await delivery.drain()
    assert transport.arrived == []
    post.clock.advance(timedelta(seconds=1))
    assert await delivery.drain() == 1


@pytest.mark.feature("D7")
async def test_without_a_network_messages_wait_in_order_and_health_says_so(post: Post) -> None:
    post.publish(CARD, CHATTER)
    transport = FlakyTransport(*[NotSent("no connection")] * 4)
    delivery = post.delivery(transport)
    for _ in range(4):
        await delivery.drain()
        post.clock.advance(timedelta(seconds=60))
    assert post.health.newest("messages") == (Health.DEGRADED, "messages wait: no connection")
    await delivery.drain()
    assert ["BUY 10" in transport.arrived[0], "yahoo" in transport.arrived[1]] == [True, True]
    assert post.health.newest("messages") == (Health.RUNNING, "delivered")


async def test_nothing_is_lost_while_the_owner_has_not_opened_the_chat(post: Post) -> None:
    (number,) = post.publish(CHATTER)
    transport = FlakyTransport(Unreachable("press Start"))
    delivery = post.delivery(transport)
    await delivery.drain()
    assert post.row(number).state is OutboxState.PENDING
    delivery.retry_now()
    await delivery.drain()
    assert post.row(number).state is OutboxState.SENT


@pytest.mark.feature("D3")
async def test_a_critical_message_without_an_answer_is_repeated_and_says_so(post: Post) -> None:
    (number,) = post.publish(CRITICAL)
    transport = FlakyTransport(MayHaveArrived("no answer"), NotSent("no connection"), arrives_anyway=True)
    delivery = post.delivery(transport)
    for _ in range(3):
        await delivery.drain()
        post.clock.advance(timedelta(seconds=60))
    assert post.row(number).state is OutboxState.SENT
    assert "Possible repeat" not in transport.arrived[0]
    assert "Possible repeat" in transport.arrived[-1]


@pytest.mark.feature("D3")
async def test_an_ordinary_message_without_an_answer_is_not_repeated(post: Post) -> None:
    (number,) = post.publish(CHATTER)
    transport = FlakyTransport(MayHaveArrived("no answer"), arrives_anyway=True)
    delivery = post.delivery(transport)
    await delivery.drain()
    post.clock.advance(timedelta(minutes=5))
    await delivery.drain()
    assert post.row(number).state is OutboxState.UNCERTAIN
    assert len(transport.arrived) == 1


async def test_a_server_that_swallows_answers_does_not_make_us_repeat_for_ever(post: Post) -> None:
    (number,) = post.publish(CRITICAL)
    transport = FlakyTransport(*[MayHaveArrived("no answer")] * 50)
    delivery = post.delivery(transport)
    for _ in range(60):
        await delivery.drain()
        post.clock.advance(timedelta(minutes=2))
    assert post.row(number).state is OutboxState.UNCERTAIN
    assert post.row(number).attempts < 10


@pytest.mark.feature("D1")
@pytest.mark.parametrize(("event", "state"), [(CRITICAL, OutboxState.SENT), (CHATTER, OutboxState.UNCERTAIN)])
async def test_a_death_between_sending_and_sent_is_found_at_the_next_start(
    post: Post, event: Event, state: OutboxState
) -> None:
    (number,) = post.publish(event)
    with pytest.raises(Killed):
        await post.delivery(FlakyTransport(Killed())).drain()
    assert post.row(number).state is OutboxState.SENDING
    transport = FlakyTransport()
    await post.delivery(transport).drain()
    assert post.row(number).state is state
    assert all("Possible repeat" in text for text in transport.arrived)


@pytest.mark.feature("D5")
async def test_a_formatting_error_falls_back_to_plain_text(post: Post) -> None:
    (number,) = post.publish(HealthChanged("yahoo", "DEGRADED", "a < b"))
    transport = FlakyTransport(BadMarkup("can't parse entities"))
    await post.delivery(transport).drain()
    assert post.row(number).state is OutboxState.SENT
    assert transport.plain == 1
    assert "a < b" in transport.arrived[0]
    assert "<b>" not in transport.arrived[0]


async def test_a_final_no_is_kept_with_its_reason_and_the_next_message_goes_out(post: Post) -> None:
    first, second = post.publish(CHATTER, CHATTER)
    transport = FlakyTransport(Undeliverable("message is too odd"), Undeliverable("message is too odd"))
    await post.delivery(transport).drain()
    assert (post.row(first).state, post.row(first).last_error) == (OutboxState.FAILED, "message is too odd")
    assert post.row(second).state is OutboxState.SENT


@pytest.mark.feature("D4")
async def test_a_late_message_says_how_late(post: Post) -> None:
    post.publish(CHATTER)
    post.clock.advance(timedelta(hours=3, minutes=4))
    transport = FlakyTransport()
    await post.delivery(transport).drain()
    assert "Late by 3 h 4 min: this is from Mon 23 Nov 07:00 EST" in transport.arrived[0]


async def test_a_settled_instruction_edits_its_card(post: Post) -> None:
    post.publish(CARD, SETTLED)
    transport = FlakyTransport()
    await post.delivery(transport).drain()
    ((message_id, text),) = transport.edits
    assert message_id == 101
    assert "skipped" in text.splitlines()[0]
    assert len(transport.arrived) == 1


async def test_a_card_that_cannot_be_edited_gets_a_new_message(post: Post) -> None:
    post.publish(CARD, SETTLED)
    transport = FlakyTransport(None, CannotEdit("message to edit not found"))
    await post.delivery(transport).drain()
    assert "skipped" in transport.arrived[1]


async def test_an_edit_without_an_answer_is_simply_repeated(post: Post) -> None:
    _, number = post.publish(CARD, SETTLED)
    transport = FlakyTransport(None, MayHaveArrived("no answer"))
    delivery = post.delivery(transport)
    await delivery.drain()
    post.clock.advance(timedelta(minutes=1))
    await delivery.drain()
    assert post.row(number).state is OutboxState.SENT
    assert len(transport.edits) == 1


@pytest.mark.feature("D6")
async def test_a_long_message_goes_on_where_it_broke_off() -> None:
    transport = FlakyTransport(None, NotSent("no connection"))
    done: list[int] = []
    message = Message("\n".join(f"line {number}" for number in range(1000)))
    with pytest.raises(NotSent):
        await send_message(transport, message, done)
    await send_message(transport, message, done)
    assert len(transport.arrived) == len(set(transport.arrived)) == len(done) == 3


async def test_before_there_is_an_owner_everything_waits(post: Post) -> None:
    post.publish(CHATTER)
    transport = FlakyTransport()
    transport.ready = False
    delivery = post.delivery(transport)
    assert await delivery.drain() == 0
    transport.ready = True
    assert await delivery.drain() == 1


async def test_a_replay_renders_everything_and_sends_nothing(post: Post) -> None:
    post.publish(CARD, SETTLED, CRITICAL, CHATTER, ModeChanged(Mode.AUTO, True, None, "owner"))
    assert drain_silently(post.ledger.unit_of_work, post.clock, ZONE) == 5
    assert set(post.states()) == {OutboxState.SENT}
    post.publish(CHATTER)
    assert await post.delivery(SilentTransport()).drain() == 1
