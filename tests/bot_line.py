"""A whole bot for tests: real python-telegram-bot, the local phone's Bot API server, a real ledger, a fake owner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot.app import BotApp, BotParts, build_app
from bot.model_desk import ModelDesk
from bot.ownership import Identity
from core.clock import SystemClock, VirtualClock
from core.domain.views import Health
from core.ports import SymbolLookup
from core.settings import load_settings
from core.settings.book import SettingsBook
from core.storage.store import Database, open_database
from jobs.writer import Writer
from tests.builders import Bench
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


def buttons_of(message: dict[str, Any]) -> dict[str, str]:
    """Label and data of each button under a message."""
    rows = (message.get("reply_markup") or {}).get("inline_keyboard", [])
    return {button["text"]: button["callback_data"] for row in rows for button in row}


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
    """One running conversation. `owner` is a fake one, or a real desk."""

    app: BotApp
    owner: Any
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

    async def message_with(self, words: str, seconds: float = 10.0) -> dict[str, Any]:
        """The newest message of the bot that holds `words` and has buttons, once there is one."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            seen = [each for each in await self.person.sees() if each.get("from", {}).get("is_bot")]
            found = [each for each in seen if words in each.get("text", "") and buttons_of(each)]
            if found:
                return found[-1]
            assert asyncio.get_running_loop().time() < deadline, (
                f"never said {words!r} with buttons; said {[(each.get('text'), buttons_of(each)) for each in seen]}"
            )
            await asyncio.sleep(0.02)

    async def tap(self, message: dict[str, Any], label: str) -> None:
        """Taps the button of `message` that says `label`."""
        await self.person.taps(message["message_id"], buttons_of(message)[label])

    def taps_an_old_button(self, message: dict[str, Any], data: str, update: int) -> None:
        """A tap on a button that `message` had once: the phone's own page shows it no more, another still may."""
        person = {"id": self.server.owner_id, "first_name": "Owner", "is_bot": False}
        body = {"id": str(9_000_000 + update), "from": person, "chat_instance": "1", "data": data, "message": message}
        self.server.hears("callback_query", body)

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
    lookup: SymbolLookup | None = None,
    models: Callable[[Database], ModelDesk] | None = None,
) -> AsyncIterator[Line]:
    owner = owner or FakeOwner()
    with a_ledger(folder) as ledger:
        owner.ledger = ledger.unit_of_work
        async with _a_line(
            folder,
            owner,
            ledger,
            SystemClock(),
            VirtualClock(market_now),
            paired=paired,
            fence=fence,
            environ=environ,
            lookup=lookup,
            models=models(ledger) if models is not None else None,
        ) as line:
            yield line


@asynccontextmanager
async def a_desk_line(
    bench: Bench, lookup: SymbolLookup | None = None, environ: dict[str, str] | None = None
) -> AsyncIterator[Line]:
    """The conversation with a real engine behind it."""
    parts = (bench.folder, bench.owner, bench.database, bench.system, bench.clock)
    async with _a_line(*parts, lookup=lookup, environ=environ) as line:
        yield line


@asynccontextmanager
async def _a_line(
    folder: Path,
    owner: Any,
    ledger: Database,
    clock: Any,
    market_clock: VirtualClock,
    *,
    paired: bool = True,
    fence: Callable[[], None] = lambda: None,
    environ: dict[str, str] | None = None,
    lookup: SymbolLookup | None = None,
    models: ModelDesk | None = None,
) -> AsyncIterator[Line]:
    phone = BotApiServer(folder / "phone.sqlite")
    health, codes = HealthLog(), []
    await phone.start()
    with running_writer() as writer:
        app = build_app(
            BotParts(
                token=phone.token,
                owner=owner,
                ledger=ledger.unit_of_work,
                writer=writer,
                clock=clock,
                market_clock=market_clock,
                book=SettingsBook(
                    load_settings({"TIME_ZONE": ZONE.key, **(environ or {})}, None), ledger.unit_of_work, clock
                ),
                health=health,
                announce_code=lambda code, _until: codes.append(code),
                base_url=phone.base_url,
                fixed_owner=Identity(phone.owner_id, phone.owner_id) if paired else None,
                fence=fence,
                lookup=lookup,
                models=models,
            )
        )
        await app.start()
        try:
            async with Person(phone) as person:
                yield Line(app, owner, person, phone, ledger, health, codes)
        finally:
            await app.stop()
            await phone.stop()
