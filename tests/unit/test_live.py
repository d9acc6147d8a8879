"""What the running installation does while it is still being built."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest

import bot.live
from bot.live import Live, LiveParts
from core.domain.records import Lease
from core.errors import Fatal, LeaseLost
from tests.bot_line import eventually


class CountedLease:
    def __init__(self, good_for: int = 1_000) -> None:
        self.renewed: list[datetime] = []
        self._good_for = good_for

    def acquire(self, now: datetime) -> Lease:
        raise AssertionError("whoever builds has acquired it")

    def renew(self, now: datetime) -> Lease:
        self.renewed.append(now)
        if len(self.renewed) > self._good_for:
            raise LeaseLost("another process took over the ledger")
        return Lease("here:1", 1, 1, now)

    def release(self) -> None:
        raise AssertionError("whoever failed to build has released it")


class SlowBuild:
    """A start whose worker is at work until it is taken away."""

    def __init__(self, lease: CountedLease) -> None:
        self.lease = lease
        self.taken = threading.Event()

    def __call__(self, live: Live) -> LiveParts:
        live.lease, live.stop_worker = self.lease, self.taken.set
        self.taken.wait(20)
        raise Fatal("the worker was taken away")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.live, "LEASE_PERIOD", timedelta(milliseconds=20))


def started(build: Any) -> tuple[Live, asyncio.Task[int]]:
    live = Live(build)
    return live, asyncio.create_task(live.run(0.0))


async def test_the_lease_is_kept_however_long_a_start_takes() -> None:
    build = SlowBuild(CountedLease())
    live, life = started(build)
    await eventually(lambda: len(build.lease.renewed) >= 3)
    live.fail(Fatal("enough"))
    assert await life == 1
    assert build.taken.is_set()


async def test_a_lease_lost_during_the_start_ends_it() -> None:
    build = SlowBuild(CountedLease(good_for=1))
    _, life = started(build)
    with pytest.raises(LeaseLost):
        await life
    assert build.taken.is_set()


async def test_what_makes_a_start_impossible_is_passed_on() -> None:
    def refuse(_live: Live) -> LiveParts:
        raise Fatal("the ledger is held by process 7")

    _, life = started(refuse)
    with pytest.raises(Fatal, match="process 7"):
        await life
