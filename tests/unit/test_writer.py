"""The writer: one thread, most urgent first, nothing lost at the end."""

import threading

import pytest

from core.errors import Fatal
from jobs.writer import InlineWriter, Urgency, Writer


@pytest.fixture
def writer():
    writer = Writer()
    writer.start()
    yield writer
    writer.stop()


def test_work_runs_one_at_a_time_in_one_thread(writer):
    threads = {writer.submit(Urgency.TICK, threading.get_ident).result() for _ in range(20)}
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_the_owner_overtakes_waiting_ticks_but_never_interrupts_one(writer):
    begun, gate, order = threading.Event(), threading.Event(), []
    running = writer.submit(Urgency.TICK, lambda: (begun.set(), gate.wait(5), order.append("running")))
    assert begun.wait(5)
    waiting = [writer.submit(Urgency.TICK, order.append, f"tick {n}") for n in range(2)]
    guard = writer.submit(Urgency.GUARD, order.append, "guard")
    owner = writer.submit(Urgency.OWNER, order.append, "owner")
    gate.set()
    for future in (running, guard, owner, *waiting):
        future.result(5)
    assert order == ["running", "owner", "guard", "tick 0", "tick 1"]


def test_an_error_reaches_whoever_waits_and_the_writer_goes_on(writer):
    def fail():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        writer.submit(Urgency.TICK, fail).result(5)
    assert writer.submit(Urgency.TICK, lambda: 7).result(5) == 7


def test_stopping_finishes_what_was_submitted_and_refuses_more(writer):
    done = [writer.submit(Urgency.BACKGROUND, lambda n=n: n) for n in range(5)]
    writer.stop()
    assert [future.result(0) for future in done] == list(range(5))
    with pytest.raises(Fatal, match="stopping"):
        writer.submit(Urgency.OWNER, lambda: None)


async def test_awaiting_the_writer_leaves_the_event_loop_free(writer):
    assert await writer.run(lambda a, b: a + b, 2, 3) == 5


async def test_virtual_time_runs_work_at_once():
    assert InlineWriter().submit(Urgency.TICK, lambda: 1).result(0) == 1
    assert await InlineWriter().run(lambda: 2) == 2
