"""One hand on the ledger: a cycle that hangs keeps nobody waiting, and a process that lost the ledger does nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.delivery import Delivery
from bot.hands import Hands
from core.adapters.simulated_broker import SimulatedBroker
from core.domain.events import PositionUnguarded
from core.domain.orders import OrderState
from core.domain.records import OutboxState
from core.domain.venue import OrderRequest, SubmitResult
from core.domain.views import AnswerKind, Health
from core.errors import LeaseLost
from core.execution.manual import FILE_NAME
from core.storage.process import Holder
from core.storage.store import open_database
from jobs.writer import Urgency, Writer
from tests.bot_line import ZONE, HealthLog, a_line, eventually
from tests.builders import COIN, Bench, an_entry, an_exit
from tests.fakes_owner import NOON

ETH = "ETH-USD"
PATIENCE = 20.0
STRANGER = Holder("another-host", "boot-9", "pid:[1]", 200, "7000")


class StuckVenue:
    """A venue whose first answer to a submission comes only when it is let go."""

    def __init__(self, venue: SimulatedBroker) -> None:
        self._venue = venue
        self.is_asked = threading.Event()
        self.may_answer = threading.Event()

    def submit(self, request: OrderRequest) -> SubmitResult:
        self.is_asked.set()
        assert self.may_answer.wait(PATIENCE)
        return self._venue.submit(request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)


@pytest.fixture
def writer() -> Iterator[Writer]:
    writer = Writer()
    writer.start()
    yield writer
    writer.stop()


@pytest.mark.parametrize("deed", ["pause", "flatten"])
async def test_pause_and_flatten_are_done_while_a_cycle_hangs_and_what_it_had_not_sent_stays_unsent(
    deed: str, tmp_path: Path, writer: Writer
) -> None:
    venues: list[StuckVenue] = []

    def stuck(venue: SimulatedBroker) -> Any:
        venues.append(StuckVenue(venue))
        return venues[-1]

    bench = Bench(tmp_path, symbols=(COIN, ETH), wrap=stuck).start()
    hands = Hands(writer)
    cycle = writer.submit(Urgency.TICK, bench.tick)
    try:
        assert venues[0].is_asked.wait(PATIENCE)
        answers: dict[str, Callable[[], Any]] = {
            "pause": lambda: bench.owner.pause(None, "owner"),
            "flatten": lambda: bench.owner.flatten("owner"),
        }
        answer = await hands.brake(answers[deed])
        assert answer.kind is AnswerKind.DONE
        assert not cycle.done()
    finally:
        venues[0].may_answer.set()
        hands.close()
    cycle.result(PATIENCE)
    first, second = sorted(bench.read(lambda work: work.orders("simulated")), key=lambda order: order.symbol)
    assert (first.state, second.state) == (OrderState.ACCEPTED, OrderState.CANCELED)
    assert second.reason.startswith(f"not sent: {'paused' if deed == 'pause' else 'flatten'}")
    assert bench.venue.find(second.client_order_id) is None
    bench.close()


def taken_over(bench: Bench) -> None:
    """Another process takes the ledger, as after a long sleep of ours."""
    other = open_database(bench.database.path, durable=False, clock=bench.system)
    other.lease(STRANGER).acquire(bench.system.now() + timedelta(minutes=5))
    other.close()


@pytest.fixture
def fenced(tmp_path: Path) -> Iterator[Bench]:
    """An installation that holds its lease."""
    held: list[Any] = []

    def fence() -> None:
        if held:
            held[0].check(bench.system.now())

    bench = Bench(tmp_path, fence=fence).start()
    held.append(bench.database.lease())
    held[0].acquire(bench.system.now())
    yield bench
    bench.close()


def everything(bench: Bench) -> tuple[Any, ...]:
    """Ledger, venue and file as they stand."""
    with bench.database.reading() as work:
        ledger = work.orders(), list(work.entries()), work.messages(1_000), work.chain_head()
    file = bench.desk.signals_folder / FILE_NAME
    return *ledger, list(bench.venue._journal.events()), file.read_bytes() if file.exists() else b""


@pytest.mark.parametrize("place", ["intents.after_commit", "submit.before_call"])
def test_an_order_that_was_written_is_not_sent_once_another_process_has_the_ledger(
    fenced: Bench, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, ...]] = []

    def asleep(name: str) -> None:
        if name == place:
            taken_over(fenced)
            seen.append(everything(fenced))

    fenced.checkpoint = asleep
    # A venue elsewhere knows nothing of our lease.
    monkeypatch.setattr(fenced.venue._journal, "_fence", lambda: None)
    with pytest.raises(LeaseLost, match="another process took over the ledger"):
        fenced.place(an_entry(fenced))
    assert everything(fenced) == seen[0]
    assert seen[0][0][0].state is OrderState.SUBMITTING


def test_a_cancellation_and_the_owners_file_are_left_alone_too(fenced: Bench) -> None:
    fenced.place(an_entry(fenced))
    before: list[Any] = []

    def asleep(name: str) -> None:
        if name == "cancel.before_call" and not before:
            taken_over(fenced)
            before.append(everything(fenced))

    fenced.checkpoint = asleep
    with pytest.raises(LeaseLost):
        fenced.place(an_exit(fenced))
    assert everything(fenced) == before[0]


async def test_a_message_is_not_even_taken_in_hand_once_another_process_has_the_ledger(
    fenced: Bench, writer: Writer
) -> None:
    arrived: list[str] = []

    class Chat:
        def is_ready(self) -> bool:
            return True

        async def send(self, text: str, **_: Any) -> int:
            arrived.append(text)
            return 1

        async def edit(self, *_: Any, **__: Any) -> None:
            raise AssertionError("nothing is edited here")

    tell(fenced)
    health = HealthLog()
    delivery = Delivery(
        Chat(), fenced.database.unit_of_work, writer, fenced.system, lambda: ZONE, health=health, pace=0.0
    )
    await delivery.drain()
    assert len(arrived) == 1
    tell(fenced)
    taken_over(fenced)
    await delivery.run()
    assert len(arrived) == 1
    assert health.newest("messages") is not None and health.newest("messages")[0] is Health.HALTED  # type: ignore[index]
    assert len(fenced.read(lambda work: work.messages_in(OutboxState.PENDING))) == 1


def tell(bench: Bench) -> None:
    with bench.database.unit_of_work() as work:
        event = PositionUnguarded("manual", COIN, Decimal(1), "no stop rests", bench.desk.badges("manual"))
        work.publish(event, market_time=bench.clock.now())
        work.commit()


async def test_what_was_taken_in_hand_before_the_ledger_was_lost_is_neither_sent_nor_are_commands_fetched(
    tmp_path: Path,
) -> None:
    lost = threading.Event()

    def fence() -> None:
        if lost.is_set():
            raise LeaseLost("another process took over the ledger")

    async with a_line(tmp_path, fence=fence) as line:
        await line.person.sends("/status")
        await line.until_said("RUNNING")
        before = await line.texts()
        lost.set()
        await line.person.sends("/positions")
        with line.ledger.unit_of_work() as work:
            work.publish(PositionUnguarded("manual", "SPY", Decimal(1), "none", ()), market_time=NOON)
            work.commit()
        line.app.delivery.wake()
        await eventually(lambda: (line.health.newest("messages") or (None,))[0] is Health.HALTED)
        with line.ledger.reading() as work:
            assert len(work.messages_in(OutboxState.SENDING)) == 1
        assert await line.texts() == before
