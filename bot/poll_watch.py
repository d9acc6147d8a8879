"""Watches the long poll: tells a lost network, a second poller (409) and a dead token apart, and says so in words."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Any

from telegram import Update
from telegram.ext import ExtBot
from telegram.request import HTTPXRequest

from bot.health_hook import HealthHook, OnChange
from core.domain.views import Health

COMPONENT = "telegram"
_PATIENCE = 3
SECOND_POLLER = (
    "another program polls with the same bot token: stop it, or give one of the two its own bot (@BotFather). "
    "Messages still go out; commands may reach the other one"
)
DEAD_TOKEN = "Telegram refuses the bot token: make a new one with @BotFather, put it into .env and start again"
NO_NETWORK = "Telegram cannot be reached; trading goes on and messages are kept"


class Trouble(StrEnum):
    """NETWORK: the library waits up to half a minute between its tries; ours are closer together."""

    NETWORK = "network"
    SECOND_POLLER = "second poller"
    DEAD_TOKEN = "dead token"


class PollWatch:
    """Counts the outcomes of polls. The future that `begin` gives is done when polling on as before makes no sense.

    `is_connected`: the newest poll was answered. `was_connected`: one was since `begin`.
    """

    def __init__(self, health: HealthHook) -> None:
        self._health = OnChange(health, COMPONENT)
        self._failures = 0
        self._conflicts = 0
        self.is_connected = False
        self.was_connected = False
        self._trouble: asyncio.Future[Trouble] | None = None

    def begin(self) -> asyncio.Future[Trouble]:
        """A new attempt at polling: the future tells when it has to end."""
        self._trouble = asyncio.get_running_loop().create_future()
        self._conflicts = 0
        self.was_connected = False
        return self._trouble

    def answered(self, code: int) -> None:
        """The HTTP status of a poll."""
        if code == 200:
            self._connected()
        elif code == 409:
            self._conflict()
        elif code in (401, 404):
            self._end(Trouble.DEAD_TOKEN, Health.HALTED, DEAD_TOKEN)
        else:
            self.failed()

    def failed(self) -> None:
        """A poll got no answer, or one that says nothing about us. A few are forgiven: a network blinks."""
        self._failures += 1
        if self._failures >= _PATIENCE:
            self._end(Trouble.NETWORK, Health.DEGRADED, NO_NETWORK)

    def _connected(self) -> None:
        self._failures = self._conflicts = 0
        if not self.is_connected:
            self.is_connected = self.was_connected = True
            self._health(Health.RUNNING, "connected")

    def _conflict(self) -> None:
        """The first ones may be the open poll of our own former process."""
        self._conflicts += 1
        if self._conflicts >= _PATIENCE:
            self._end(Trouble.SECOND_POLLER, Health.DEGRADED, SECOND_POLLER)

    def _end(self, trouble: Trouble, state: Health, reason: str) -> None:
        self.is_connected = False
        self._health(state, reason)
        if self._trouble is not None and not self._trouble.done():
            self._trouble.set_result(trouble)


class PromptBot(ExtBot[None]):
    """Asks for updates without waiting for some as long as nobody has answered: a connection is noticed at once, not
    only when the first long poll is over."""

    def __init__(self, watch: PollWatch, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._watch = watch

    async def get_updates(self, *arguments: Any, **options: Any) -> tuple[Update, ...]:
        if not self._watch.is_connected:
            options["timeout"] = 0
        return await super().get_updates(*arguments, **options)


class WatchedRequest(HTTPXRequest):
    """The HTTP client of getUpdates, reporting every outcome to a watch."""

    def __init__(self, watch: PollWatch, **options: Any) -> None:
        super().__init__(**options)
        self._watch = watch

    async def do_request(self, *arguments: Any, **options: Any) -> tuple[int, bytes]:
        try:
            code, payload = await super().do_request(*arguments, **options)
        except Exception:
            self._watch.failed()
            raise
        self._watch.answered(code)
        return code, payload
