"""A bot on a real engine: real python-telegram-bot, the local phone's Bot API server, a desk on real files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.app import BotApp, BotParts, build_app
from bot.ownership import Identity
from core.settings import load_settings
from core.settings.book import SettingsBook
from jobs.writer import Writer
from tests.bot_line import ZONE, HealthLog, eventually
from tests.builders import Bench
from tests.contract.phone_owner import Owner as Person
from tests.servers.bot_api_server import BotApiServer


@dataclass
class Desk:
    """One installation with its chat. `restart` ends the bot and its ledger and opens both again; the server, as
    Telegram does, keeps what was not acknowledged."""

    bench: Bench
    phone: BotApiServer
    person: Person
    writer: Writer
    app: BotApp
    health: HealthLog
    taps: int = 0

    async def restart(self) -> None:
        await self.app.stop()
        await self.writer.run(self.bench.restart)
        self.app = await started(self.bench, self.phone, self.writer, self.health)

    async def does(self, deed: Any, *arguments: Any) -> Any:
        """Something of the engine's, in the writer, as its jobs do it; what it tells is delivered."""
        answer = await self.writer.run(deed, *arguments)
        self.app.delivery.wake()
        return answer

    async def message(self, words: str) -> dict[str, Any]:
        """The newest message that holds `words`, once there is one."""
        found: list[dict[str, Any]] = []

        async def look() -> bool:
            found[:] = [each for each in await self.person.sees() if words in each.get("text", "")]
            return bool(found)

        for _ in range(500):
            if await look():
                return found[-1]
            await asyncio.sleep(0.02)
        raise AssertionError(f"never said {words!r}: {[each.get('text') for each in await self.person.sees()]}")

    def hears_tap(self, message: dict[str, Any], token: str) -> None:
        """A tap on a button as the owner's phone saw it, which by now may look otherwise: an update of its own."""
        self.taps += 1
        person = {"id": self.phone.owner_id, "is_bot": False, "first_name": "Owner"}
        body = {"id": f"late-{self.taps}", "from": person, "chat_instance": "1", "data": token, "message": message}
        self.phone.hears("callback_query", body)

    async def shown(self, message_id: int) -> dict[str, Any]:
        """A message as it stands in the chat now."""
        return next(each for each in await self.person.sees() if each["message_id"] == message_id)

    async def until(self, message_id: int, words: str) -> dict[str, Any]:
        """That message once it holds `words`."""
        for _ in range(500):
            message = await self.shown(message_id)
            if words in message["text"] or words in str(message.get("reply_markup", "")):
                return message
            await asyncio.sleep(0.02)
        raise AssertionError(f"never became {words!r}: {await self.shown(message_id)}")


def tokens(message: dict[str, Any]) -> list[str]:
    """What the buttons under a message carry."""
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [button["callback_data"] for row in rows for button in row]


async def started(bench: Bench, phone: BotApiServer, writer: Writer, health: HealthLog) -> BotApp:
    app = build_app(
        BotParts(
            token=phone.token,
            owner=bench.owner,
            ledger=bench.database.unit_of_work,
            writer=writer,
            clock=bench.system,
            market_clock=bench.clock,
            book=SettingsBook(load_settings({"TIME_ZONE": ZONE.key}, None), bench.database.unit_of_work, bench.system),
            health=health,
            announce_code=lambda _code, _until: None,
            base_url=phone.base_url,
            fixed_owner=Identity(phone.owner_id, phone.owner_id),
        )
    )
    await app.start()
    await eventually(lambda: health.newest("telegram") is not None)
    return app


@asynccontextmanager
async def a_desk(folder: Path, bench: Bench) -> AsyncIterator[Desk]:
    phone, writer, health = BotApiServer(folder / "phone.sqlite", longest_poll=0.1), Writer(), HealthLog()
    await phone.start()
    writer.start()
    app = await started(bench, phone, writer, health)
    async with Person(phone) as person:
        desk = Desk(bench, phone, person, writer, app, health)
        try:
            yield desk
        finally:
            await desk.app.stop()
            writer.stop()
            await phone.stop()
