"""Looks between the minutes: soon, together, never twice at once, never too many."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from core.clock import SystemClock
from jobs.looks import Looks, Pace, Pacing
from tests.servers.alpaca_stream_server import eventually

QUICK = Pace(settle=0.03, apart=0.03, at_once=100, refill=0.01)


@dataclass
class Stand:
    count: int = 0
    at_once: int = 0
    most: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    closers: list[Callable[[], None]] = field(default_factory=list)

    def look(self) -> None:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.count += 1
        self.gate.wait(5)
        self.at_once -= 1

    def looks(self, pace: Pace = QUICK) -> Looks:
        looks = Looks(self.look, SystemClock(), pace)
        self.closers.append(looks.close)
        looks.start()
        return looks


@pytest.fixture
def stand() -> Iterator[Stand]:
    stand = Stand()
    stand.gate.set()
    yield stand
    stand.gate.set()
    for close in stand.closers:
        close()


def test_a_burst_is_one_look(stand: Stand) -> None:
    looks = stand.looks()
    for _ in range(50):
        looks.ask()
    eventually(lambda: stand.count == 1)
    looks.close()
    assert stand.count == 1


def test_what_is_asked_while_a_look_runs_is_answered_by_one_after_it(stand: Stand) -> None:
    stand.gate.clear()
    looks = stand.looks()
    looks.ask()
    eventually(lambda: stand.count == 1)
    for _ in range(20):
        looks.ask()
    stand.gate.set()
    eventually(lambda: stand.count == 2)
    looks.close()
    assert (stand.count, stand.most) == (2, 1)


def test_what_is_asked_before_the_start_is_looked_for_after_it(stand: Stand) -> None:
    looks = Looks(stand.look, SystemClock(), QUICK)
    looks.ask()
    looks.start()
    eventually(lambda: stand.count == 1)
    looks.close()


def test_an_hour_of_news_every_second_costs_no_more_than_the_pace_allows() -> None:
    pacing, now = Pacing(Pace(settle=0.3, apart=1.5, at_once=4, refill=10.0)), 0.0
    begun: list[float] = []
    while now < 3_600:
        now += pacing.rest(now)
        begun.append(now)
        pacing.looked(now, now + 0.1)
        now += 0.1
    assert begun[0] == pytest.approx(0.3)
    assert all(later - earlier >= 1.5 for earlier, later in pairwise(begun))
    assert begun[3] - begun[0] < 5
    assert len(begun) <= 4 + 3_600 / 10
    assert pacing.rest(now + 60) == pytest.approx(0.3)


def test_closing_waits_for_the_look_that_runs_and_asks_for_none_any_more(stand: Stand) -> None:
    stand.gate.clear()
    looks = stand.looks()
    looks.ask()
    eventually(lambda: stand.count == 1)
    looks.ask()
    closing = threading.Thread(target=looks.close)
    closing.start()
    stand.gate.set()
    closing.join(5)
    looks.ask()
    assert (stand.count, closing.is_alive()) == (1, False)


def test_looks_that_were_never_started_close_at_once(stand: Stand) -> None:
    looks = Looks(stand.look, SystemClock())
    looks.ask()
    looks.close()
    assert stand.count == 0
