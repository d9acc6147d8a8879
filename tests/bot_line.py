"""A whole bot for tests: real python-telegram-bot, the local phone's Bot API server, a real ledger, a fake owner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from bot.app import BotApp, BotParts, build_app
from bot.ownership import Identity
from core.clock import SystemClock, VirtualClock
from core.domain.views import Health
from core.settings import load_settings
from core.settings.book import SettingsBook
from core.storage.store import Database, open_database
from jobs.writer import Writer
from tests.contract.phone_owner import Owner as Person
from tests.fakes_owner import NOON, FakeOwner
from tests.servers.bot_api_server import BotApiServer

ZONE = ZoneInfo("America/New_York")


@dataclass
class HealthLog:
    said: list[tuple[str, Health, str]] = field(default_factory=list)

    def __call__(self, component: str, state: Health, reason: str) -> None:
        self.said.append((component, state, reason))

    def newest(self, component: str) -> tuple[Health, str] | None:
        return next(((state, reason) for name, state, reason in reversed(self.said) if name == component), None)


async def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Returns once `condition` holds; fails after `seconds`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


@contextmanager
def running_writer() -> Iterator[Writer]:
    writer = Writer()
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()


@contextmanager
def a_ledger(folder: Path) -> Iterator[Database]:
    database = open_database(folder / "ledger.sqlite", durable=False)
    try:
        yield database
    finally:
        database.close()


@dataclass
class Line:
    """One running conversation."""

    app: BotApp
    owner: FakeOwner
    person: Person
    server: BotApiServer
    ledger: Database
    health: HealthLog
    codes: list[str]

    async def texts(self) -> list[str]:
        """What the bot has said, oldest first."""
        return [
            message["text"]
            for message in await self.person.sees()
            if message.get("from", {}).get("is_bot") and "text" in message
        ]

    async def until_said(self, words: str, seconds: float = 10.0) -> str:
        """The newest message of the bot that holds `words`, once there is one."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            texts = await self.texts()
            found = [text for text in texts if words in text]
            if found:
                return found[-1]
            assert asyncio.get_running_loop().time() < deadline, f"never said {words!r}; said {texts}"
            await asyncio.sleep(0.02)


@asynccontextmanager
async def a_line(
    folder: Path,
    owner: FakeOwner | None = None,
    *,
    paired: bool = True,
    market_now: datetime = NOON,
    fence: Callable[[], None] = lambda: None,
    environ: dict[str, str] | None = None,
) -> AsyncIterator[Line]:
    owner = owner or FakeOwner()
    phone = BotApiServer(folder / "phone.sqlite")
    health, codes = HealthLog(), []
    await phone.start()
    with a_ledger(folder) as ledger, running_writer() as writer:
        owner.ledger = ledger.unit_of_work
        app = build_app(
            BotParts(
                token=phone.token,
                owner=owner,
                ledger=ledger.unit_of_work,
                writer=writer,
                clock=SystemClock(),
                market_clock=VirtualClock(market_now),
                book=SettingsBook(
                    load_settings({"TIME_ZONE": ZONE.key, **(environ or {})}, None), ledger.unit_of_work, SystemClock()
                ),
                health=health,
                announce_code=lambda code, _until: codes.append(code),
                base_url=phone.base_url,
                fixed_owner=Identity(phone.owner_id, phone.owner_id) if paired else None,
                fence=fence,
            )
        )
        await app.start()
        try:
            async with Person(phone) as person:
                yield Line(app, owner, person, phone, ledger, health, codes)
        finally:
            await app.stop()
            await phone.stop()
