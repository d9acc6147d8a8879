"""Telegram comes and goes, refuses and floods: the start never waits for it, nothing is lost, no token leaks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from bot.app import BotApp, BotParts, build_app
from bot.localphone.conversation import OWNER_ID
from bot.ownership import Identity
from bot.poll_watch import DEAD_TOKEN, NO_NETWORK, SECOND_POLLER
from core.clock import SystemClock, VirtualClock
from core.domain.accounts import Badge
from core.domain.events import HealthChanged, PositionUnguarded
from core.domain.records import OutboxState
from core.domain.views import Health
from core.settings import load_settings
from core.settings.book import SettingsBook
from core.storage.store import Database
from tests.bot_line import ZONE, HealthLog, a_ledger, eventually, running_writer
from tests.fakes_owner import NOON, FakeOwner
from tests.servers.bot_api_server import TOKEN, BotApiServer, a_message
from tests.servers.faults import DROP, LOSE_ANSWER, Answer, failure, flood

OWNER = OWNER_ID
CRITICAL = PositionUnguarded("manual", "SPY", Decimal(3), "no stop", (Badge.MANUAL,))
CHATTER = HealthChanged("yahoo", "DEGRADED", "no answer")


@dataclass
class Bench:
    app: BotApp
    server: BotApiServer
    owner: FakeOwner
    ledger: Database
    health: HealthLog

    def publish(self, *events: HealthChanged | PositionUnguarded) -> None:
        with self.ledger.unit_of_work() as work:
            for event in events:
                work.publish(event, market_time=NOON)
            work.commit()
        self.app.delivery.wake()

    def states(self) -> list[OutboxState]:
        with self.ledger.reading() as work:
            return [row.state for row in reversed(work.messages())]

    def said(self, text: str) -> None:
        self.server.hears("message", a_message(text, 900, OWNER))


@asynccontextmanager
async def a_bench(folder: Path, server: BotApiServer, *, up: bool = True) -> AsyncIterator[Bench]:
    """A bot whose waits are short; the server is started first, to have a port, and stopped again unless `up`."""

    async def soon(seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.05))

    await server.start()
    if not up:
        await server.stop()
    owner, health = FakeOwner(), HealthLog()
    with a_ledger(folder) as ledger, running_writer() as writer:
        owner.ledger = ledger.unit_of_work
        app = build_app(
            BotParts(
                token=TOKEN,
                owner=owner,
                ledger=ledger.unit_of_work,
                writer=writer,
                clock=SystemClock(),
                market_clock=VirtualClock(NOON),
                book=SettingsBook(load_settings({"TIME_ZONE": ZONE.key}, None), ledger.unit_of_work, SystemClock()),
                health=health,
                announce_code=lambda _code, _until: None,
                base_url=server.base_url,
                fixed_owner=Identity(OWNER, OWNER),
                sleep=soon,
            )
        )
        await app.start()
        try:
            yield Bench(app, server, owner, ledger, health)
        finally:
            await app.stop()
            await server.stop()


@pytest.mark.feature("D7")
async def test_a_start_without_telegram_succeeds_and_catches_up_when_it_appears(tmp_path: Path) -> None:
    server = BotApiServer(longest_poll=0.02)
    async with a_bench(tmp_path, server, up=False) as bench:
        bench.publish(CHATTER)
        await eventually(lambda: bench.health.newest("telegram") == (Health.DEGRADED, NO_NETWORK))
        await server.start()
        await eventually(lambda: bench.health.newest("telegram") == (Health.RUNNING, "connected"))
        await eventually(lambda: bench.states() == [OutboxState.SENT])
        assert server.count("setMyCommands") == 1


@pytest.mark.feature("D7")
async def test_a_connection_that_is_back_is_told_at_once_though_nobody_says_anything(tmp_path: Path) -> None:
    """The server holds a poll without news for half a minute, as Telegram does."""
    server = BotApiServer()
    async with a_bench(tmp_path, server) as bench:
        await eventually(lambda: bench.health.newest("telegram") == (Health.RUNNING, "connected"), 5)
        await eventually(lambda: server.count("getUpdates") == 2)
        await server.stop()
        await eventually(lambda: bench.health.newest("telegram") == (Health.DEGRADED, NO_NETWORK), 15)
        bench.publish(CHATTER)
        await server.start()
        await eventually(lambda: bench.health.newest("telegram") == (Health.RUNNING, "connected"), 5)
        await eventually(lambda: bench.states() == [OutboxState.SENT], 5)
        bench.said("/status")
        await eventually(lambda: any("RUNNING" in text for text in server.texts()), 5)
        assert [state for name, state, _ in bench.health.said if name == "telegram"] == [
            Health.RUNNING,
            Health.DEGRADED,
            Health.RUNNING,
        ]


@pytest.mark.feature("D8")
async def test_a_second_poller_is_explained_and_polling_goes_on_once_it_is_gone(tmp_path: Path) -> None:
    server = BotApiServer(longest_poll=0.02)
    server.faults.standing["getUpdates"] = failure(409, "Conflict: terminated by other getUpdates request")
    async with a_bench(tmp_path, server) as bench:
        await eventually(lambda: bench.health.newest("telegram") == (Health.DEGRADED, SECOND_POLLER), 20)
        bench.publish(CHATTER)
        await eventually(lambda: bench.states() == [OutboxState.SENT])
        del server.faults.standing["getUpdates"]
        bench.said("/status")
        await eventually(lambda: any("RUNNING" in text for text in server.texts()), 20)


@pytest.mark.feature("D8")
@pytest.mark.feature("A8")
async def test_a_refused_token_is_explained_and_never_written_anywhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = BotApiServer(longest_poll=0.02)
    caplog.set_level(logging.DEBUG, logger="bot")
    for method in ("getMe", "sendMessage", "getUpdates"):
        server.faults.standing[method] = failure(401, "Unauthorized")
    async with a_bench(tmp_path, server) as bench:
        bench.publish(CHATTER)
        await eventually(lambda: bench.health.newest("telegram") == (Health.HALTED, DEAD_TOKEN))
        await eventually(lambda: (bench.health.newest("messages") or (None, ""))[0] is Health.DEGRADED)
        assert bench.states() == [OutboxState.PENDING]
        server.faults.clear()
        await eventually(lambda: bench.health.newest("telegram") == (Health.RUNNING, "connected"))
        assert TOKEN not in repr(bench.health.said)
    assert TOKEN not in caplog.text


async def test_a_token_revoked_while_polling_is_explained_and_a_stop_is_still_clean(tmp_path: Path) -> None:
    server = BotApiServer(longest_poll=0.02)
    async with a_bench(tmp_path, server) as bench:
        await eventually(lambda: server.count("getUpdates") > 1)
        server.faults.standing["getUpdates"] = failure(401, "Unauthorized")
        await eventually(lambda: bench.health.newest("telegram") == (Health.HALTED, DEAD_TOKEN))
        server.faults.clear()
        bench.said("/status")
        await eventually(lambda: any("RUNNING" in text for text in server.texts()))


@pytest.mark.feature("D3")
async def test_an_answer_that_is_lost_leads_to_a_marked_repeat_only_where_it_matters(tmp_path: Path) -> None:
    server = BotApiServer(longest_poll=0.02)
    server.faults.once["sendMessage"] = [LOSE_ANSWER, DROP]
    async with a_bench(tmp_path, server) as bench:
        bench.publish(CRITICAL, CHATTER)
        await eventually(lambda: OutboxState.PENDING not in bench.states() and server.count("sendMessage") >= 3)
        await eventually(lambda: OutboxState.SENDING not in bench.states())
        repeats = [text for text in server.texts() if "Possible repeat" in text]
        assert len(repeats) >= 1
        assert all("UNGUARDED" in text for text in repeats)


@pytest.mark.feature("D2")
async def test_a_flood_wait_from_the_server_is_honoured(tmp_path: Path) -> None:
    server = BotApiServer(longest_poll=0.02)
    server.faults.once["sendMessage"] = [flood(1)]
    async with a_bench(tmp_path, server) as bench:
        began = asyncio.get_running_loop().time()
        bench.publish(CHATTER)
        await eventually(lambda: bench.states() == [OutboxState.SENT])
        assert asyncio.get_running_loop().time() - began >= 1.0
        assert server.count("sendMessage") == 2


@pytest.mark.feature("D5")
async def test_refused_formatting_arrives_as_plain_text(tmp_path: Path) -> None:
    server = BotApiServer(longest_poll=0.02)
    words = "Bad Request: can't parse entities: unsupported start tag at byte offset 3"
    server.faults.once["sendMessage"] = [failure(400, words)]
    async with a_bench(tmp_path, server) as bench:
        bench.publish(CHATTER)
        await eventually(lambda: bench.states() == [OutboxState.SENT])
        assert "<b>" not in server.texts()[-1]


async def test_a_chat_that_is_not_open_yet_loses_nothing(tmp_path: Path) -> None:
    server = BotApiServer(longest_poll=0.02)
    closed = [failure(403, "Forbidden: bot can't initiate conversation with a user") for _ in range(1_000)]
    server.faults.once["sendMessage"] = closed
    async with a_bench(tmp_path, server) as bench:
        bench.publish(CHATTER)
        await eventually(lambda: server.count("sendMessage") >= 1)
        assert bench.states() != [OutboxState.SENT]
        closed.clear()
        bench.said("/start")
        await eventually(lambda: bench.states() == [OutboxState.SENT])


async def test_an_update_that_comes_twice_is_handled_once(tmp_path: Path) -> None:
    server = BotApiServer(longest_poll=0.02)
    pause = {"update_id": 80, "message": a_message("/pause", 900, OWNER)}
    async with a_bench(tmp_path, server) as bench:
        await eventually(lambda: bench.health.newest("telegram") == (Health.RUNNING, "connected"))
        server.faults.once["getUpdates"] = [Answer(200, {"ok": True, "result": [pause, pause]})]
        bench.said("/status")  # ends the poll that waits
        await eventually(lambda: bench.owner.calls)
        await asyncio.sleep(0.1)
        assert bench.owner.calls == [("pause", None, "owner")]
