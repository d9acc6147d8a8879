"""The bot's application: connects to Telegram in the background, lets the gate judge every update, answers the owner.

Embedded in a running event loop. Telegram being down, refusing the token or being polled by somebody else never blocks
or fails the start: it is reported to health and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from telegram import BotCommand, Update
from telegram.error import InvalidToken, TelegramError
from telegram.ext import Application, ApplicationBuilder, TypeHandler, Updater

from bot import render_status
from bot.commands.table import COMMANDS
from bot.commands.talk import MarketClock, Talk
from bot.conversation import Conversation
from bot.delivery import Delivery
from bot.fenced_request import FencedPoll, FencedRequest
from bot.gate import Gate
from bot.hands import AsyncWriter, Hands
from bot.health_hook import HealthHook
from bot.live_status import LiveStatusDesk
from bot.message import Message
from bot.model_desk import ModelDesk
from bot.ownership import Identity
from bot.pace import TELEGRAM_PACE, Pace
from bot.pairing import Pairing
from bot.poll_watch import PollWatch, PromptBot, Trouble
from bot.second_factor import SecondFactor
from bot.transport import NotSent, TelegramTransport, Undeliverable
from core.checkpoints import Checkpoint, nowhere
from core.domain.accounts import Badge, World
from core.errors import AutoTraderError
from core.feed.coverage import Coverage
from core.ports import Clock, Owner, SymbolLookup, UnitOfWorkFactory
from core.settings.book import SettingsBook

_LOG = logging.getLogger(__name__)
ALLOWED_UPDATES = (Update.MESSAGE, Update.CALLBACK_QUERY)
TELEGRAM_URL = "https://api.telegram.org/bot"
_LONG_POLL = timedelta(seconds=25)
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 5.0
_AFTER_TROUBLE = {Trouble.SECOND_POLLER: 60.0, Trouble.DEAD_TOKEN: 600.0}
_STOP_LIMIT = 5.0
_OWNER_CHECKED_EVERY = 1.0
_EXPIRY_CHECKED_EVERY = 1.0
AnyApplication = Application[Any, Any, Any, Any, Any, Any]


def _unfenced() -> None:
    """The fence where nobody else can hold the ledger."""


@dataclass(frozen=True, slots=True)
class BotParts:
    """What the composition root gives the bot.

    `base_url` is a Bot API server's address up to and including `/bot`; None is Telegram's own. `fixed_owner` needs no
    pairing. `announce_code` shows a pairing code and its end on the console. `health` is called from the event loop. In
    a simulated `world` every message says so. `fence` raises LeaseLost when another process holds the ledger: asked
    before every request, in any thread. `reader` gives units of work that only read and wait for nobody.
    `lookup` is the source of prices that is asked about a symbol; without it none can be added. `coverage` tells how
    complete the stored bars are. `code_secret` makes the codes that are asked for before what raises risk. `models`
    knows the models and the way back to one of them.
    """

    token: str
    owner: Owner
    ledger: UnitOfWorkFactory
    writer: AsyncWriter
    clock: Clock
    market_clock: MarketClock
    book: SettingsBook
    health: HealthHook
    announce_code: Callable[[str, datetime], None]
    base_url: str | None = None
    fixed_owner: Identity | None = None
    lookup: SymbolLookup | None = None
    coverage: Callable[[], Sequence[Coverage]] | None = None
    world: World = World.REAL
    fence: Callable[[], None] = _unfenced
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    checkpoint: Checkpoint = nowhere
    reader: UnitOfWorkFactory | None = None
    code_secret: str | None = None
    models: ModelDesk | None = None


class BotApp:
    """The running bot. `start` returns at once; `stop` lets the message in hand finish and ends everything."""

    def __init__(
        self,
        application: AnyApplication,
        watch: PollWatch,
        gate: Gate,
        hands: Hands,
        delivery: Delivery,
        live: LiveStatusDesk,
        expire: Callable[[], Awaitable[int]],
        parts: BotParts,
    ) -> None:
        self._application = application
        self._watch = watch
        self._hands = hands
        self._sleep = parts.sleep
        self._connection: asyncio.Task[None] | None = None
        self._delivering: asyncio.Task[None] | None = None
        self._guarding: asyncio.Task[None] | None = None
        self._expire = expire
        self._expiring: asyncio.Task[None] | None = None
        self._updater: Updater | None = None
        self.gate = gate
        self.delivery = delivery
        self.live = live

    async def start(self) -> None:
        """Reads who the owner is, then connects and delivers in the background."""
        await self.gate.open()
        self._guarding = asyncio.create_task(self._watch_owner(), name="gate")
        self._expiring = asyncio.create_task(self._watch_answers(), name="expiry")
        self._connection = asyncio.create_task(self._keep_connected(), name="telegram")
        self._delivering = asyncio.create_task(self.delivery.run(), name="delivery")

    async def stop(self) -> None:
        """Ends within a few seconds whatever Telegram does."""
        self.delivery.stop()
        connection, delivering, self._connection, self._delivering = self._connection, self._delivering, None, None
        guarding, self._guarding = self._guarding, None
        expiring, self._expiring = self._expiring, None
        for task in (connection, guarding, expiring):
            if task is not None:
                await _cancelled(task)
        if delivering is not None:
            await asyncio.wait([delivering], timeout=_STOP_LIMIT)
            await _cancelled(delivering)
        await self._end_polling()
        await _within(_STOP_LIMIT, self._end_application())
        self._hands.close()

    async def _watch_owner(self) -> None:
        """Messages stop going to a revoked owner within a second; his own updates are judged anew each time."""
        while True:
            await asyncio.sleep(_OWNER_CHECKED_EVERY)
            try:
                await self.gate.refresh()
            except AutoTraderError as error:
                _LOG.warning("who the owner is could not be read: %s", error)

    async def _watch_answers(self) -> None:
        """A card whose time is over says so within seconds, once there is a connection."""
        while True:
            await asyncio.sleep(_EXPIRY_CHECKED_EVERY)
            if not self._watch.is_connected:
                continue
            try:
                await self._expire()
            except (AutoTraderError, NotSent, Undeliverable) as error:
                _LOG.info("what expired could not be told: %s", error)

    async def _keep_connected(self) -> None:
        wait = _FIRST_WAIT
        while True:
            trouble = self._watch.begin()
            try:
                await self._connect()
            except InvalidToken:
                # Its text holds the token: neither logged nor chained.
                self._watch.answered(401)
                wait = _AFTER_TROUBLE[Trouble.DEAD_TOKEN]
            except TelegramError as error:
                self._watch.failed()
                _LOG.info("Telegram cannot be reached yet: %s", type(error).__name__)
            else:
                self.delivery.retry_now()
                await self._fill_menu()
                reason = await trouble
                if self._watch.was_connected:
                    wait = _FIRST_WAIT
                wait = _AFTER_TROUBLE.get(reason, wait)
            await self._end_polling()
            await self._sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    async def _connect(self) -> None:
        """Asks who we are, then begins to poll. Raises TelegramError.

        Every connection has an updater of its own: one whose polling died of a refused token cannot be used again.
        """
        application = self._application
        await application.initialize()
        # Asked first: of each attempt to poll an API that is out of reach the library would log a traceback.
        await application.bot.get_me()
        if not application.running:
            await application.start()
        self._updater = Updater(application.bot, application.update_queue)
        await self._updater.initialize()
        await self._updater.start_polling(
            timeout=_LONG_POLL,
            bootstrap_retries=0,
            allowed_updates=list(ALLOWED_UPDATES),
            error_callback=_already_reported,
        )

    async def _fill_menu(self) -> None:
        """The command menu beside the text field; without it the bot works all the same."""
        try:
            await self._application.bot.set_my_commands([BotCommand(each.name, each.words) for each in COMMANDS])
        except TelegramError as error:
            _LOG.warning("the command menu is as it was: %s", type(error).__name__)

    async def _end_polling(self) -> None:
        updater, self._updater = self._updater, None
        if updater is not None and updater.running:
            await _within(_STOP_LIMIT, updater.stop())

    async def _end_application(self) -> None:
        if self._application.running:
            await self._application.stop()
        await self._application.shutdown()


def build_app(parts: BotParts) -> BotApp:
    """Puts the bot together without touching the network."""
    # The library's own opt-in: without it, reading how long to wait after a 429 is a deprecated use.
    os.environ.setdefault("PTB_TIMEDELTA", "true")
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    watch = PollWatch(parts.health)
    hands = Hands(parts.writer)
    application = _application(parts, watch)
    pairing = Pairing(parts.clock, parts.announce_code)
    gate = Gate(parts.ledger, hands, parts.clock, parts.market_clock, pairing, parts.fixed_owner, parts.reader)
    mark = Badge.SIMULATED.value if parts.world is World.SIMULATED else ""
    pace = Pace(0.0 if _is_loopback(parts.base_url) else TELEGRAM_PACE, parts.clock)
    transport = TelegramTransport(application.bot, gate.chat, mark, parts.checkpoint, pace.note)
    delivery = Delivery(
        transport,
        parts.ledger,
        parts.writer,
        parts.clock,
        lambda: parts.book.current.zone,
        health=parts.health,
        pace=pace,
        sleep=parts.sleep,
        status=lambda: _live_status(parts),
    )
    live = LiveStatusDesk(parts.ledger, parts.clock, parts.market_clock)
    talk = Talk(
        parts.owner,
        hands,
        parts.market_clock,
        parts.book,
        parts.ledger,
        live,
        parts.clock,
        parts.lookup,
        parts.coverage,
        SecondFactor(parts.code_secret, parts.ledger, parts.clock) if parts.code_secret is not None else None,
        parts.models,
    )
    conversation = Conversation(talk, gate, transport, delivery, parts.ledger, parts.sleep)
    application.add_handler(TypeHandler(Update, conversation.on_update))
    application.add_error_handler(conversation.on_error)
    return BotApp(application, watch, gate, hands, delivery, live, conversation.expire, parts)


def _live_status(parts: BotParts) -> Message:
    return render_status.status(parts.owner.status(), parts.book.current.zone)


def _application(parts: BotParts, watch: PollWatch) -> AnyApplication:
    options: dict[str, Any] = {"connect_timeout": 5.0, "read_timeout": 10.0, "write_timeout": 10.0, "pool_timeout": 5.0}
    if _is_loopback(parts.base_url):
        # A proxy from the environment must not come between us and our own machine.
        options["httpx_kwargs"] = {"trust_env": False}
        if urlsplit(parts.base_url).scheme == "http":
            # To read the certificates of the world takes a while, and here nobody shows one.
            options["httpx_kwargs"]["verify"] = False
    bot = PromptBot(
        watch,
        parts.token,
        base_url=parts.base_url or TELEGRAM_URL,
        request=FencedRequest(parts.fence, connection_pool_size=16, **options),
        get_updates_request=FencedPoll(parts.fence, watch, connection_pool_size=2, **options),
    )
    return ApplicationBuilder().bot(bot).updater(None).concurrent_updates(True).job_queue(None).build()


def _is_loopback(base_url: str | None) -> bool:
    return base_url is not None and urlsplit(base_url).hostname in {"127.0.0.1", "::1", "localhost"}


def _already_reported(_error: TelegramError) -> None:
    """The watch has told health; the library would log a traceback for every lost poll."""


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _within(seconds: float, ending: Awaitable[None]) -> None:
    """Waits for an ending that may hang or fail because the network does; there is nothing left to save by then."""
    with suppress(TimeoutError, TelegramError, RuntimeError):
        await asyncio.wait_for(ending, seconds)
