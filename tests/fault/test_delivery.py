"""The outbox reaches the owner whatever happens on the way: real ledger, a transport that fails on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.delivery import Delivery, drain_silently
from bot.live_status import LiveStatusDesk
from bot.markup import units, visible
from bot.message import Attachment, Button, Message
from bot.pace import Pace
from bot.preferences import Loudness, QuietHours, write_quiet, write_topic
from bot.sending import send_message
from bot.transport import (
    BadMarkup,
    CannotEdit,
    MayHaveArrived,
    NotSent,
    SilentTransport,
    Undeliverable,
    Unreachable,
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
from core.domain.orders import Purpose, Side
from core.domain.records import OutboxMessage, OutboxState
from core.domain.views import Health
from core.errors import LeaseLost
from core.storage.store import Database
from jobs.writer import InlineWriter
from tests.bot_line import ZONE, HealthLog, eventually
from tests.fakes_owner import NOON, an_instruction
from tests.ledger_builders import ledger as new_ledger
from tests.story_builders import a_bought, a_signal_event, a_sold

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CHATTER = HealthChanged("yahoo", "DEGRADED", "no answer")
CRITICAL = PositionUnguarded("manual", "SPY", Decimal(3), "no stop rests at your broker", (Badge.MANUAL,))
CARD = InstructionIssued(
    **{
        name: getattr(an_instruction(), name)
        for name in InstructionIssued.__dataclass_fields__
        if hasattr(an_instruction(), name)
    },
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
        self.files: list[Attachment] = []
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

    async def send_file(self, attachment: Attachment, caption: str, **how: Any) -> int:
        sent = await self.send(caption, **how)
        self.files.append(attachment)
        return sent

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
            lambda: ZONE,
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
    database = new_ledger(tmp_path, clock)
    yield Post(database, clock)
    database.close()


@pytest.mark.feature("D2")
async def test_critical_messages_go_first_and_equals_in_the_order_they_were_written(post: Post) -> None:
    trained = ModelTrained("m1", 10, START, "up", 5, 0.5, 0.69, 0.69, 0.5, True, "first")
    other = replace(CRITICAL, symbol="QQQ")
    post.publish(trained, CHATTER, CARD, other, HealthChanged("alpaca", "DEGRADED", "keys"))
    transport = FlakyTransport()
    assert await post.delivery(transport).drain() == 5
    firsts = [text.splitlines()[0] for text in transport.arrived]
    assert ["UNGUARDED" in firsts[0], "BUY 10" in firsts[1], "yahoo" in firsts[2], "alpaca" in firsts[3]] == [True] * 4
    assert "New model" in firsts[4]


@pytest.mark.feature("D2")
async def test_a_trade_is_told_in_its_own_order_even_where_its_end_is_critical(post: Post) -> None:
    post.publish(a_signal_event("QQQ"), a_signal_event("SPY"), a_bought("SPY"), a_sold("SPY", purpose=Purpose.STOP))
    transport = FlakyTransport()
    await post.delivery(transport).drain()
    firsts = [text.splitlines()[0] for text in transport.arrived]
    assert ["SPY buy signal" in firsts[0], "SPY bought" in firsts[1], "SPY stop-loss" in firsts[2]] == [True] * 3
    assert "QQQ" in firsts[3]


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


@pytest.mark.feature("T9")
async def test_a_settled_instruction_edits_its_card(post: Post) -> None:
    transport = FlakyTransport()
    delivery = post.delivery(transport)
    post.publish(CARD)
    await delivery.drain()
    post.publish(SETTLED)
    await delivery.drain()
    ((message_id, text),) = transport.edits
    assert message_id == 101
    assert "skipped" in text.splitlines()[0]
    assert len(transport.arrived) == 1


async def test_a_settlement_joins_its_card_where_that_still_waits(post: Post) -> None:
    card, settled = post.publish(CARD, SETTLED)
    transport = FlakyTransport()
    await post.delivery(transport).drain()
    (text,) = transport.arrived
    assert "skipped" in text.splitlines()[0]
    assert "Only at" in text, "the card's own facts are kept"
    assert transport.keyboards == [()], "nothing is left to tap"
    assert [post.row(each).message_id for each in (card, settled)] == [101, 101]
    assert post.row(settled).carrier_id == card


async def test_of_several_words_about_one_card_the_last_one_is_shown(post: Post) -> None:
    transport = FlakyTransport()
    delivery = post.delivery(transport)
    post.publish(CARD)
    await delivery.drain()
    approved = replace(SETTLED, outcome="approved", detail="the broker has the order")
    told = post.publish(approved, replace(approved, detail="filled 10"))
    await delivery.drain()
    ((_, text),) = transport.edits
    assert "Filled 10" in text
    assert [post.row(each).state for each in told] == [OutboxState.SENT] * 2


@pytest.mark.parametrize("refusal", [CannotEdit("message to edit not found"), Undeliverable("chat is odd")])
async def test_a_card_that_cannot_be_edited_gets_a_new_message(post: Post, refusal: Exception) -> None:
    transport = FlakyTransport(None, refusal)
    delivery = post.delivery(transport)
    post.publish(CARD)
    await delivery.drain()
    post.publish(SETTLED)
    await delivery.drain()
    assert "skipped" in transport.arrived[1]


async def test_an_edit_without_an_answer_is_simply_repeated(post: Post) -> None:
    transport = FlakyTransport(None, MayHaveArrived("no answer"), NotSent("no connection"))
    delivery = post.delivery(transport)
    post.publish(CARD)
    await delivery.drain()
    (number,) = post.publish(SETTLED)
    for _ in range(3):
        await delivery.drain()
        post.clock.advance(timedelta(minutes=1))
    assert post.row(number).state is OutboxState.SENT
    assert len(transport.edits) == 1
    assert "Possible repeat" not in transport.edits[0][1]


@pytest.mark.feature("D2")
async def test_after_hours_offline_like_messages_come_in_one_and_each_knows_which(post: Post) -> None:
    events = [a_signal_event("QQQ"), HealthChanged("yahoo", "DEGRADED", "no answer"), a_bought("SPY"), a_sold("SPY")]
    _, *rows = post.publish(CARD, *events, replace(CRITICAL, account="another"))
    post.clock.advance(timedelta(hours=5))
    transport = FlakyTransport()
    await post.delivery(transport).drain()
    firsts = [text.splitlines()[0] for text in transport.arrived]
    assert ["UNGUARDED" in firsts[0], "4 messages in one: QQQ, SPY" in firsts[2]] == [True] * 2
    assert "BUY 10" in firsts[1], "a card is never folded away"
    lines = transport.arrived[2].splitlines()
    for line, words in zip(
        lines[2:], ("QQQ buy signal", "yahoo: DEGRADED – no answer", "SPY bought", "+$299.00"), strict=False
    ):
        assert words in line
    assert "Late by 5 h" in transport.arrived[2]
    told = [post.row(each) for each in rows[:4]]
    assert [(row.state, row.message_id, row.carrier_id) for row in told] == [
        (OutboxState.SENT, 103, None),
        *[(OutboxState.SENT, 103, rows[0])] * 3,
    ]


@pytest.mark.feature("D2")
@pytest.mark.parametrize(("count", "messages"), [(5, 5), (6, 1), (30, 6)])
async def test_a_fresh_burst_is_folded_and_a_few_messages_are_not(post: Post, count: int, messages: int) -> None:
    rows = post.publish(*(a_signal_event(f"S{number}") for number in range(count)))
    transport = FlakyTransport()
    await post.delivery(transport).drain()
    assert len(transport.arrived) == messages
    for number, row in enumerate(rows):
        assert post.row(row).state is OutboxState.SENT
        assert sum(f"S{number} buy" in text for text in transport.arrived) == 1


@pytest.mark.feature("D3")
async def test_a_folded_message_without_an_answer_leaves_all_its_rows_shown_as_pending(post: Post) -> None:
    rows = post.publish(*(a_signal_event(f"S{number}") for number in range(8)))
    transport = FlakyTransport(NotSent("no connection"), MayHaveArrived("no answer"), arrives_anyway=True)
    delivery = post.delivery(transport)
    await delivery.drain()
    assert post.states() == [OutboxState.PENDING] * 8
    (later,) = post.publish(a_signal_event("LATER"))
    post.clock.advance(timedelta(minutes=1))
    await delivery.drain()
    assert [post.row(row).state for row in (*rows, later)] == [OutboxState.UNCERTAIN] * 9


@pytest.mark.feature("D13")
async def test_every_message_of_a_trade_replies_to_its_first_one_over_a_restart(post: Post) -> None:
    transport = FlakyTransport()
    delivery = post.delivery(transport)
    for events in ([CHATTER], [a_signal_event("SPY")], [a_bought("SPY")]):
        post.publish(*events)
        await delivery.drain()
    post.publish(replace(CRITICAL, account="simulated"), a_sold("SPY"), a_signal_event("SPY"))
    await post.delivery(transport).drain()
    assert transport.replies == [None, None, 102, 102, 102, None]


@pytest.mark.feature("D12")
async def test_the_live_status_is_one_message_edited_in_place_over_restarts(post: Post) -> None:
    live = LiveStatusDesk(post.ledger.unit_of_work, post.clock, post.clock)
    assert not live.refresh()
    live.begin(pinned=True)
    transport = FlakyTransport()
    await post.delivery(transport).drain()
    assert (transport.arrived, transport.silent, transport.pinned) == (["as things are"], [True], [101])
    for shown in ("later", "later still"):
        post.shown = shown
        post.clock.advance(timedelta(minutes=5))
        assert live.refresh()
        assert not live.refresh(), "a refresh that waits is not doubled"
        await post.delivery(transport).drain()
    assert transport.edits == [(101, "later"), (101, "later still")]
    assert len(transport.arrived) == 1
    assert live.end()
    assert not live.refresh()


@pytest.mark.feature("D12")
async def test_a_deleted_live_status_comes_back_as_a_new_message_and_a_long_one_stays_one(post: Post) -> None:
    live = LiveStatusDesk(post.ledger.unit_of_work, post.clock, post.clock)
    live.begin(pinned=False)
    transport = FlakyTransport(None, CannotEdit("message to edit not found"))
    delivery = post.delivery(transport)
    await delivery.drain()
    post.shown = "\n".join(f"line {number}" for number in range(2000))
    for _ in range(2):
        live.refresh()
        await delivery.drain()
    assert len(transport.arrived) == 2
    assert [message_id for message_id, _ in transport.edits] == [102]
    assert transport.pinned == []


@pytest.mark.feature("D12")
async def test_what_changes_while_the_live_status_is_on_its_way_is_shown_at_once(post: Post) -> None:
    live = LiveStatusDesk(post.ledger.unit_of_work, post.clock, post.clock)
    live.begin(pinned=False)
    transport = FlakyTransport()

    def changes() -> None:
        if post.shown == "as things are":
            post.shown = "changed meanwhile"
            assert live.refresh()
            assert not live.refresh()

    delivery = post.delivery(transport)
    transport.on_call = changes
    await delivery.drain()
    assert (transport.arrived, transport.edits) == (["as things are"], [(101, "changed meanwhile")])
    assert live.refresh(), "nothing is left over"


@pytest.mark.feature("D12")
async def test_the_live_status_comes_after_everything_else(post: Post) -> None:
    LiveStatusDesk(post.ledger.unit_of_work, post.clock, post.clock).begin(pinned=False)
    post.publish(CHATTER, CRITICAL)
    transport = FlakyTransport()
    await post.delivery(transport).drain()
    assert transport.arrived[-1] == "as things are"


@pytest.mark.feature("D10")
async def test_what_is_switched_off_is_kept_unsent_and_the_rest_comes_as_chosen(post: Post) -> None:
    with post.ledger.unit_of_work() as work:
        write_topic(work, "health", Loudness.OFF)
        write_topic(work, "fills", Loudness.SILENT)
        work.commit("notify")
    rows = post.publish(CHATTER, a_bought("SPY"), a_signal_event("QQQ"), HealthChanged("yahoo", "HALTED", "stuck"))
    transport = FlakyTransport()
    await post.delivery(transport).drain()
    assert [post.row(each).state for each in rows] == [OutboxState.MUTED, *[OutboxState.SENT] * 3]
    for text, words in zip(transport.arrived, ("HALTED", "SPY", "QQQ"), strict=True):
        assert words in text
    assert transport.silent == [False, True, False]


@pytest.mark.feature("D11")
async def test_in_quiet_hours_only_what_is_critical_makes_a_sound(post: Post) -> None:
    with post.ledger.unit_of_work() as work:
        write_quiet(work, QuietHours.parse("6:30-8:00"))
        work.commit("quiet")
    transport = FlakyTransport()
    delivery = post.delivery(transport)
    post.publish(CRITICAL, CHATTER)
    await delivery.drain()
    post.clock.move_to(START + timedelta(hours=1))
    post.publish(CHATTER)
    await delivery.drain()
    assert transport.silent == [False, True, False], "7:00 and 8:00 in New York"


@pytest.mark.feature("D7")
async def test_days_without_telegram_lose_nothing_and_hold_up_nobody(post: Post) -> None:
    transport = FlakyTransport(*[NotSent("no connection")] * 100)
    delivery, rows = post.delivery(transport), list[int]()
    for hour in range(72):
        rows += post.publish(replace(CRITICAL, symbol=f"C{hour}"), replace(CHATTER, reason=f"reason {hour}"))
        post.clock.advance(timedelta(hours=1))
        await delivery.drain()
    assert OutboxState.SENT not in {post.row(each).state for each in rows}
    delivery.retry_now()
    transport.script.clear()
    await delivery.drain()
    assert {post.row(each).state for each in rows} == {OutboxState.SENT}
    assert sum("UNGUARDED" in text.splitlines()[0] for text in transport.arrived) == 72
    assert len(transport.arrived) == 72 + 3, "72 lines of chatter in three messages"
    for hour in range(72):
        assert sum(f"reason {hour}\n" in f"{text}\n" for text in transport.arrived) == 1


async def test_a_process_that_lost_the_ledger_sends_nothing_more_and_stops(post: Post) -> None:
    post.publish(CRITICAL, CHATTER)
    transport = FlakyTransport(LeaseLost("another process took over"))
    await post.delivery(transport).run()
    assert transport.arrived == []
    assert post.health.newest("messages") == (Health.HALTED, "another process took over")


async def test_an_accident_of_our_own_is_treated_like_a_death_during_the_call(post: Post) -> None:
    (number,) = post.publish(CRITICAL)
    transport = FlakyTransport(ZeroDivisionError("a defect"))
    delivery = post.delivery(transport)
    running = asyncio.create_task(delivery.run())
    await eventually(lambda: post.health.newest("messages"))
    assert post.health.newest("messages") == (Health.DEGRADED, "messages wait: ZeroDivisionError, see the log")
    post.clock.advance(timedelta(minutes=1))
    delivery.wake()
    await eventually(lambda: post.row(number).state is OutboxState.SENT)
    delivery.stop()
    await running
    assert "Possible repeat" in transport.arrived[0]


@pytest.mark.feature("D6")
async def test_a_long_message_goes_on_where_it_broke_off() -> None:
    transport = FlakyTransport(None, NotSent("no connection"))
    done: list[int] = []
    message = Message("\n".join(f"line {number}" for number in range(1000)))
    with pytest.raises(NotSent):
        await send_message(transport, message, done)
    await send_message(transport, message, done)
    assert len(transport.arrived) == len(set(transport.arrived)) == len(done) == 3


@pytest.mark.feature("D6")
async def test_a_picture_has_the_beginning_of_a_long_text_as_its_caption_and_the_rest_below() -> None:
    transport = FlakyTransport()
    chart = Attachment("chart.png", b"png", is_picture=True)
    lines = "\n".join(f"<b>line {number} 𝔸</b>" for number in range(200))
    buttons = ((Button("tap", "m:status"),),)
    await send_message(transport, Message(lines, buttons, attachment=chart), [])
    caption, rest = transport.arrived
    assert transport.files == [chart]
    assert 900 < units(visible(caption)) <= 1024
    assert [line for text in transport.arrived for line in text.splitlines()] == lines.splitlines()
    assert transport.keyboards == [(), buttons]
    assert units(visible(rest)) > 1024


@pytest.mark.feature("D6")
async def test_a_text_of_many_messages_comes_as_a_document_with_its_beginning() -> None:
    transport = FlakyTransport()
    await send_message(transport, Message("\n".join(f"<i>line {number}</i>" for number in range(5000))), [])
    (file,) = transport.files
    assert file.content.decode().splitlines() == [f"line {number}" for number in range(5000)]
    assert len(transport.arrived) == 1
    assert transport.arrived[0].startswith("<i>line 0</i>")


@pytest.mark.feature("D5")
@pytest.mark.parametrize("problem", [BadMarkup("can't parse entities"), Undeliverable("IMAGE_PROCESS_FAILED")])
async def test_a_refused_picture_does_not_take_its_text_with_it(problem: Exception) -> None:
    transport = FlakyTransport(problem)
    chart = Attachment("chart.png", b"png", is_picture=True)
    await send_message(transport, Message("<b>SPY</b> closed", attachment=chart), [])
    (text,) = transport.arrived
    assert visible(text) == "SPY closed"
    assert len(transport.files) == isinstance(problem, BadMarkup)


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
