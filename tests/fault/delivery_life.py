"""A process that does nothing but deliver, and may be killed at every named step of it.

Each life opens the ledger, publishes what an engine would, and hands all that is due to a real python-telegram-bot,
which talks to the test's server over the loopback. Waiting is virtual: a sleep moves the life's clock. Lives are forks
of one process that has loaded the libraries; it reads one JSON request a line and answers each with one line.

Every event carries a tag of its own in its text, so that the chat can be searched for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from telegram.ext import ExtBot
from telegram.request import HTTPXRequest

from bot.delivery import Delivery
from bot.live_status import LiveStatusDesk
from bot.message import Message
from bot.pace import TELEGRAM_PACE, Pace
from bot.transport import TelegramTransport
from core.clock import VirtualClock
from core.domain.accounts import Badge
from core.domain.events import (
    Event,
    HealthChanged,
    InstructionIssued,
    InstructionSettled,
    PositionUnguarded,
    SignalRaised,
)
from core.domain.orders import Side
from core.domain.records import OutboxState
from core.domain.views import Health
from core.storage.store import open_database
from jobs.writer import InlineWriter
from tests.bot_line import ZONE
from tests.fault.crashing import CRASH_NAME, CRASH_OCCURRENCE, FACTS_FILE, TRAIL_FILE, checkpoint, report
from tests.fault.nests import before_forks
from tests.story_builders import a_card_event, a_signal_event

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BETWEEN_LIVES = timedelta(minutes=10)
LONGEST_LIFE = 30
ROUNDS, TELLING = 20, 2
PATIENCE = 400
"""Rounds of waiting after which a chat that takes everything must have everything."""


class Life:
    def __init__(self, folder: Path, request: dict[str, Any]) -> None:
        self.number = int(request["life"])
        self.wants_live = request["name"].startswith(("live.", "pin."))
        self.chance = np.random.default_rng([20_261_123, self.number])
        self.clock = VirtualClock(START + self.number * BETWEEN_LIVES)
        self.ledger = open_database(
            folder / "ledger.sqlite", durable=False, clock=self.clock, checkpoint=_checkpoint_after_birth
        )
        quick = dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout", "pool_timeout"), 0.25)
        options: dict[str, Any] = {**quick, "httpx_kwargs": {"trust_env": False, "verify": False}}
        self.http = HTTPXRequest(connection_pool_size=4, **options)
        bot: ExtBot[None] = ExtBot(request["token"], base_url=request["base_url"], request=self.http)
        pace = Pace(TELEGRAM_PACE, self.clock)
        chat = int(request["chat"])
        self.delivery = Delivery(
            TelegramTransport(bot, lambda: chat, "", checkpoint, pace.note),
            self.ledger.unit_of_work,
            InlineWriter(),
            self.clock,
            lambda: ZONE,
            health=_unwatched,
            pace=pace,
            sleep=self._sleep,
            status=lambda: Message(f"live status of life {self.number} at {self.clock.now():%H:%M:%S}"),
        )
        self.live_status = LiveStatusDesk(self.ledger.unit_of_work, self.clock, self.clock)

    async def _sleep(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    async def work(self) -> None:
        """Ends by itself only where the step to die at is not reached for long."""
        await self.delivery.drain()
        for round_ in range(ROUNDS):
            if round_ < TELLING:
                self.publish(f"{self.number}r{round_}")
            if round_ % TELLING == 0 and self.wants_live:
                self.live_status.begin(pinned=True)
            await self.delivery.drain()
            self.live_status.refresh()
            self.clock.advance(timedelta(seconds=70))
            await self.delivery.drain()

    async def finish(self) -> None:
        """The chat takes everything now: what waits is told."""
        for _ in range(PATIENCE):
            await self.delivery.drain()
            self.clock.advance(timedelta(seconds=70))
            if not self.waiting():
                return

    def waiting(self) -> int:
        with self.ledger.reading() as work:
            return sum(len(work.messages_in(state)) for state in (OutboxState.PENDING, OutboxState.SENDING))

    def publish(self, tag: str) -> None:
        """A card that is settled in the same breath, or in the next life; signals, health, and what is critical."""
        events: list[Event] = [PositionUnguarded("manual", "SPY", Decimal(3), _tagged("c", tag), (Badge.MANUAL,))]
        events += [HealthChanged("yahoo", "DEGRADED", _tagged(f"h{n}", tag)) for n in range(self.chance.integers(5))]
        events += [_signal(_tagged(f"s{n}", tag)) for n in range(self.chance.integers(4))]
        with self.ledger.unit_of_work() as work:
            number, is_open = json.loads(work.value("last_card") or "[0, false]")
            if is_open:
                events.append(_settled(number, _tagged("e", tag)))
            events.append(_card(number + 1, _tagged("k", tag)))
            is_open = bool(self.chance.random() < 0.8)
            if not is_open:
                events.append(_settled(number + 1, _tagged("x", tag)))
            for event in events:
                work.publish(event, market_time=self.clock.now())
            work.set_value("last_card", json.dumps([number + 1, is_open]))
            work.commit("published")

    def rows(self) -> list[dict[str, Any]]:
        with self.ledger.reading() as work:
            return [
                {
                    "id": row.id,
                    "kind": type(row.event).__name__,
                    "tag": _tag_of(row.event),
                    "state": row.state.value,
                    "critical": row.priority == 0,
                    "message_id": row.message_id,
                    "carrier": row.carrier_id,
                    "opening": row.opening_id,
                }
                for row in reversed(work.messages(100_000))
            ]


_is_born = False


def _checkpoint_after_birth(name: str) -> None:
    """Opening the file is no step of delivery."""
    if _is_born:
        checkpoint(name)


def _tagged(kind: str, tag: str) -> str:
    return f"tag{kind}q{tag}z"


def _signal(tag: str) -> SignalRaised:
    return a_signal_event(tag.upper())


def _card(number: int, tag: str) -> InstructionIssued:
    return a_card_event(number, why=tag)


def _settled(number: int, tag: str) -> InstructionSettled:
    return InstructionSettled(number, "skipped", tag, "SPY", Side.BUY, Decimal(4), (Badge.MANUAL,))


def _tag_of(event: Event) -> str:
    match event:
        case HealthChanged() | PositionUnguarded():
            return event.reason
        case InstructionIssued():
            return event.why
        case InstructionSettled():
            return event.detail
        case SignalRaised():
            return event.symbol
        case _:
            return ""


def _unwatched(component: str, state: Health, reason: str) -> None:
    """Nobody keeps health here."""


async def _live(folder: Path, request: dict[str, Any]) -> None:
    global _is_born  # noqa: PLW0603 - the fork's own
    life = Life(folder, request)
    _is_born = True
    await (life.finish() if request["last"] else life.work())
    _is_born = False
    report({"rows": life.rows() if request["last"] else [], "waiting": life.waiting()})
    await life.http.shutdown()
    life.ledger.close()


def _in_the_child(folder: Path, request: dict[str, Any]) -> int:
    signal.alarm(LONGEST_LIFE)
    os.environ[FACTS_FILE], os.environ[TRAIL_FILE] = str(folder / "facts.json"), str(folder / "trail.txt")
    os.environ[CRASH_NAME], os.environ[CRASH_OCCURRENCE] = request["name"], str(request["occurrence"])
    try:
        asyncio.run(_live(folder, request))
    except BaseException:  # noqa: BLE001 - told to the test, which fails with it
        (folder / "error.txt").write_text(traceback.format_exc())
        return 1
    return 0


def main(folder: Path) -> None:
    before_forks()
    for line in sys.stdin:
        request = json.loads(line)
        for leftover in ("facts.json", "trail.txt", "error.txt"):
            (folder / leftover).unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            os._exit(_in_the_child(folder, request))
        _, status = os.waitpid(child, 0)
        facts, trail, error = (folder / name for name in ("facts.json", "trail.txt", "error.txt"))
        answer = {
            "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1,
            "killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL,
            "facts": json.loads(facts.read_text()) if facts.exists() else None,
            "last": trail.read_text().splitlines()[-1:] if trail.exists() else [],
            "error": error.read_text() if error.exists() else "no traceback",
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
