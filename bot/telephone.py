"""The owner's line: Telegram with a token, the local phone without one."""

from __future__ import annotations

import logging
import os
import shutil
import webbrowser
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from bot.app import BotApp, BotParts, build_app
from bot.hands import AsyncWriter
from bot.health_hook import HealthHook
from bot.localphone.server import LocalPhone
from bot.model_desk import ModelDesk
from bot.ownership import Identity
from core.checkpoints import Checkpoint, nowhere
from core.clock import ScaledClock, SystemClock
from core.domain.accounts import World
from core.feed.coverage import Coverage
from core.ports import Owner, SymbolLookup, UnitOfWorkFactory
from core.settings import Settings
from core.settings.book import SettingsBook

log = logging.getLogger("autotrader.phone")


class Telephone:
    """Opens the line, says on the console how to reach it, and closes it."""

    def __init__(
        self,
        settings: Settings,
        store_path: Path,
        system_clock: SystemClock,
        market_clock: SystemClock | ScaledClock,
        *,
        local: bool,
        checkpoint: Checkpoint = nowhere,
        lookup: SymbolLookup | None = None,
        coverage: Callable[[], Sequence[Coverage]] | None = None,
    ) -> None:
        self._settings = settings
        self._store_path = store_path
        self._system = system_clock
        self._market = market_clock
        self._checkpoint = checkpoint
        self._lookup = lookup
        self._coverage = coverage
        self._phone = (
            LocalPhone(store_path=store_path, clock=system_clock, port=settings.local_phone_port) if local else None
        )
        self._app: BotApp | None = None

    @property
    def page_url(self) -> str | None:
        """Where the local phone is; holds its access key."""
        return self._phone.page_url if self._phone is not None else None

    async def open(
        self,
        owner: Owner,
        ledger: UnitOfWorkFactory,
        writer: AsyncWriter,
        health: HealthHook,
        fence: Callable[[], None],
        book: SettingsBook,
        reader: UnitOfWorkFactory | None = None,
        models: ModelDesk | None = None,
    ) -> None:
        """Never waits for Telegram: the bot connects in the background."""
        if self._phone is not None:
            await self._open_phone(self._phone)
        token = self._phone.token if self._phone is not None else self._telegram_token()
        self._app = build_app(
            BotParts(
                token=token,
                owner=owner,
                ledger=ledger,
                writer=writer,
                clock=self._system,
                market_clock=self._market,
                book=book,
                health=health,
                announce_code=_announce_code,
                base_url=self._phone.base_url if self._phone is not None else None,
                fixed_owner=self._owner(),
                lookup=self._lookup,
                coverage=self._coverage,
                # Only a simulated market has a clock of its own.
                world=World.SIMULATED if isinstance(self._market, ScaledClock) else World.REAL,
                checkpoint=self._checkpoint,
                fence=fence,
                reader=reader,
                code_secret=self._code_secret(),
                models=models,
            )
        )
        await self._app.start()

    async def _open_phone(self, phone: LocalPhone) -> None:
        try:
            await phone.start()
        except OSError as taken:
            log.warning("port %d is taken (%s): the local phone takes a free one", phone.port, taken.strerror)
            self._phone = LocalPhone(store_path=self._store_path, clock=self._system, port=0)
            await self._phone.start()

    def wake(self) -> None:
        """Something was committed for the owner: deliver it now. From any thread."""
        if self._app is not None:
            self._app.delivery.wake()

    async def close(self) -> None:
        if self._app is not None:
            await self._app.stop()
        if self._phone is not None:
            await self._phone.stop()

    def show(self) -> str:
        """Tells where the owner can talk to us; opens a browser where there is a screen to open it on."""
        if self.page_url is None:
            return "Talk to your bot in Telegram."
        if self._settings.open_browser == "auto" and _has_screen():
            webbrowser.open(self.page_url)
        # The address goes to the terminal alone: whoever reads the log later must not get the key.
        print(f"\n  Your phone:  {self.page_url}\n", flush=True)
        return "The local phone is open; its address was printed to the terminal."

    def _telegram_token(self) -> str:
        token = self._settings.telegram_bot_token
        if token is None:
            raise AssertionError("without a token the local phone is the line")
        return token.get_secret_value()

    def _code_secret(self) -> str | None:
        """Codes are asked for where real money is traded."""
        secret = self._settings.live_totp_secret
        return secret.get_secret_value() if secret is not None and self._settings.trades_real_money else None

    def _owner(self) -> Identity | None:
        if self._phone is not None:
            return Identity(self._phone.owner_id, self._phone.owner_id)
        known = self._settings.telegram_owner_id
        return Identity(known, known) if known is not None else None


def _announce_code(code: str, until: datetime) -> None:
    # Like the phone's address: for the person at the console, never for the log.
    print(f"\n  To pair your Telegram account, send the bot:  /start {code}", flush=True)
    print(f"  (valid until {until:%H:%M} UTC)\n", flush=True)


def _has_screen() -> bool:
    if os.name == "posix" and shutil.which("open") is None:
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True
