"""The local phone as a whole: one small web server on loopback, inside the bot's own event loop."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from bot.localphone.access import PageAccess, loopback_guard, refusal
from bot.localphone.api import BotApi
from bot.localphone.conversation import OWNER_ID, Conversation
from bot.localphone.errors import ApiError
from bot.localphone.feed import Feed
from bot.localphone.files import MAX_DOCUMENT_BYTES, FileBox
from bot.localphone.limits import RateLimits
from bot.localphone.marks import Marks
from bot.localphone.page import ChatPage
from bot.localphone.parameters import read_request
from bot.localphone.polling import UpdateQueue
from bot.localphone.store import PhoneStore
from core.ports import Clock

BOT_NAME = "AutoTrader"
_TOKEN = re.compile(r"(\d{3,}):[A-Za-z0-9_-]{30,}")
_GOODBYE_SECONDS = 1.0
_LARGEST_REQUEST = MAX_DOCUMENT_BYTES + (1 << 20)


def new_token() -> str:
    """A random bot token in Telegram's form."""
    return f"{secrets.randbelow(9 * 10**9) + 10**9}:{secrets.token_urlsafe(26)}"


def new_access_key() -> str:
    return secrets.token_urlsafe(24)


class LocalPhone:
    """Start it before the bot and stop it after the bot.

    The bot's HTTP client must not use a proxy for it: `HTTPXRequest(httpx_kwargs={"trust_env": False})`, because httpx
    would otherwise send even loopback requests through HTTP_PROXY.
    """

    def __init__(
        self,
        *,
        store_path: Path,
        clock: Clock,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        access_key: str | None = None,
        limits: RateLimits | None = None,
        middlewares: Sequence[Any] = (),
    ) -> None:
        """`clock` stamps the messages: the system clock. Port 0 takes a free one.

        Without `limits` a bot may talk as fast as it likes. `middlewares` see every request first and every answer
        last: tests watch and fail there.

        Without `token` or `access_key` the ones of the last start are used again, or random ones on the first, so an
        open page and a bookmark outlive a restart on the same port. Raises ValueError for an address that is not
        loopback and for a token that does not look like one.
        """
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"the local phone serves loopback only, not {host}")
        if token is not None and not _TOKEN.fullmatch(token):
            raise ValueError("a bot token is digits, a colon and at least 30 letters, digits, _ or -")
        self._host = host
        self._port = port
        self._token = token
        self._access_key = access_key
        self._store_path = store_path
        self._clock = clock
        self._limits = limits
        self._middlewares = tuple(middlewares)
        self._runner: web.AppRunner | None = None
        self._store: PhoneStore | None = None
        self._feed = Feed()
        self._updates: UpdateQueue | None = None

    @property
    def owner_id(self) -> int:
        """The user and chat id of the person at the page."""
        return OWNER_ID

    @property
    def port(self) -> int:
        """The port served; known after start when 0 was asked for."""
        return self._port

    @property
    def token(self) -> str:
        """For the bot. Known after start."""
        return _known(self._token)

    @property
    def base_url(self) -> str:
        """For python-telegram-bot, which appends the token and the method."""
        return f"{self._address}/bot"

    @property
    def base_file_url(self) -> str:
        """The same for downloads: the library appends the token and the path."""
        return f"{self._address}/file/bot"

    @property
    def page_url(self) -> str:
        """To open in a browser. Holds the access key: known after start, and nothing to be logged."""
        return f"{self._address}/?key={_known(self._access_key)}"

    @property
    def _address(self) -> str:
        return f"http://{self._named_host}:{self._port}"

    @property
    def _named_host(self) -> str:
        return f"[{self._host}]" if ":" in self._host else self._host

    async def start(self) -> None:
        """Opens the store and the port. Raises OSError when the port is taken."""
        store = PhoneStore(self._store_path)
        try:
            self._token = self._token or store.setting("token") or new_token()
            self._access_key = self._access_key or store.setting("access_key") or new_access_key()
            store.set_setting("token", self._token)
            store.set_setting("access_key", self._access_key)
            self._feed = Feed()
            self._updates = UpdateQueue(store, self._clock)
            files = FileBox(store, self._store_path.with_name(self._store_path.name + ".files"))
            files.open()
            runner = web.AppRunner(
                self._application(store, self._updates, files),
                handle_signals=False,
                access_log=None,  # it would write the token, which is part of the path
                handler_cancellation=True,  # a poll whose client has gone must not take updates
                shutdown_timeout=_GOODBYE_SECONDS,
            )
            await runner.setup()
        except BaseException:
            store.close()
            raise
        self._store, self._runner = store, runner
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except BaseException:
            await self.stop()
            raise
        self._port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Ends polls and event streams, then closes. Does nothing when not running."""
        self._feed.close()
        if self._updates is not None:
            self._updates.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._store is not None:
            self._store.close()
            self._store = None

    def _application(self, store: PhoneStore, updates: UpdateQueue, files: FileBox) -> web.Application:
        access_key = _known(self._access_key)
        bot = _bot_user(self.token)
        marks = Marks(store, self._feed)
        conversation = Conversation(bot, store, updates, self._feed, self._clock, marks)
        api = BotApi(bot, conversation, updates, store, files, marks, self._limits)
        page = ChatPage(bot, PageAccess(access_key), conversation, store, self._feed, api.menu, files, marks)

        async def bot_method(request: web.Request) -> web.StreamResponse:
            self._check_token(request)
            result = await api.call(request.match_info["method"], *await read_request(request))
            return web.json_response({"ok": True, "result": result})

        async def bot_file(request: web.Request) -> web.StreamResponse:
            self._check_token(request)
            file = files.at(request.match_info["path"])
            if file is None:
                raise ApiError(404, "Not Found")
            return web.FileResponse(files.location(file), headers={"Content-Type": "application/octet-stream"})

        guards = [*self._middlewares, loopback_guard(self._hosts), _refusals]
        application = web.Application(client_max_size=_LARGEST_REQUEST, middlewares=guards)
        application.router.add_route("*", "/bot{token:[^/]+}/{method:[^/]+}", bot_method)
        application.router.add_get("/file/bot{token:[^/]+}/{path:.+}", bot_file)
        application.add_routes(page.routes())
        return application

    def _check_token(self, request: web.Request) -> None:
        given = request.match_info["token"]
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            raise ApiError(401, "Unauthorized" if ":" in given else "Unauthorized: invalid token specified")

    def _hosts(self) -> frozenset[str]:
        return frozenset({f"{self._named_host}:{self._port}", f"localhost:{self._port}"})


@web.middleware
async def _refusals(request: web.Request, handler: Any) -> web.StreamResponse:
    """Errors in the Bot API's shape, for the page too."""
    try:
        response: web.StreamResponse = await handler(request)
    except ApiError as error:
        return refusal(error.code, error.description, error.parameters)
    except web.HTTPException as error:
        return refusal(error.status, error.reason)
    return response


def _bot_user(token: str) -> dict[str, Any]:
    return {
        "id": int(token.partition(":")[0]),
        "is_bot": True,
        "first_name": BOT_NAME,
        "username": "autotrader_local_bot",
        "can_join_groups": False,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


def _known(value: str | None) -> str:
    if value is None:
        raise RuntimeError("known only after start")
    return value
