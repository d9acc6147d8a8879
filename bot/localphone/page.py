"""The chat page and what it calls: state, history, events, files, send, tap."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from aiohttp import web

from bot.localphone.access import PAGE_HEADERS, Handler, PageAccess, refusal
from bot.localphone.conversation import OWNER_ID, Conversation
from bot.localphone.errors import ApiError
from bot.localphone.feed import Change, Feed
from bot.localphone.files import PHOTO, FileBox
from bot.localphone.marks import Marks
from bot.localphone.store import PhoneStore

_ASSETS = {
    "index.html": "text/html",
    "style.css": "text/css",
    "media.css": "text/css",
    "app.js": "text/javascript",
    "bubbles.js": "text/javascript",
    "composer.js": "text/javascript",
    "link.js": "text/javascript",
    "log.js": "text/javascript",
    "elements.js": "text/javascript",
    "media.js": "text/javascript",
    "pinned.js": "text/javascript",
    "taps.js": "text/javascript",
    "viewer.js": "text/javascript",
}
_HEARTBEAT = 15.0
"""Seconds between signs of life on a quiet event stream."""

_PAGE = 100
_FILE_SECONDS = 24 * 3600
_NO_KEY = (
    "This is AutoTrader's local phone. Open the address that AutoTrader printed when it started: "
    "it ends with an access key.\n"
)


class ChatPage:
    """Everything here needs the cookie, except the opening address with its key."""

    def __init__(
        self,
        bot: dict[str, Any],
        access: PageAccess,
        conversation: Conversation,
        store: PhoneStore,
        feed: Feed,
        menu: Callable[[], list[dict[str, str]]],
        files_sent: FileBox,
        marks: Marks,
    ) -> None:
        self._bot = bot
        self._access = access
        self._conversation = conversation
        self._store = store
        self._feed = feed
        self._menu = menu
        self._files_sent = files_sent
        self._marks = marks
        self._files = {name: (files("bot.localphone") / name).read_bytes() for name in _ASSETS}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._open),
            web.get("/assets/{name}", self._guarded(self._asset)),
            web.get("/phone/state", self._guarded(self._state)),
            web.get("/phone/history", self._guarded(self._history)),
            web.get("/phone/file/{file_id}", self._guarded(self._file_sent)),
            web.get("/phone/events", self._guarded(self._events)),
            web.post("/phone/send", self._guarded(self._send)),
            web.post("/phone/tap", self._guarded(self._tap)),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if not self._access.knows_cookie(request):
                return refusal(403, "Forbidden: open the address that AutoTrader printed")
            # A browser always names the origin of a POST, and only a script of the same origin may send JSON.
            if request.method == "POST" and (
                "Origin" not in request.headers or request.content_type != "application/json"
            ):
                return refusal(403, "Forbidden: not sent by the chat page")
            return await handler(request)

        return guarded

    async def _open(self, request: web.Request) -> web.StreamResponse:
        # The page itself answers the address with the key, and its script then hides the key: after a redirect that
        # began in another program, a browser would not send a SameSite=Strict cookie.
        if not (self._access.knows_key(request) or self._access.knows_cookie(request)):
            return web.Response(status=403, text=_NO_KEY, headers=PAGE_HEADERS)
        response = self._file("index.html")
        self._access.give_cookie(request, response)
        return response

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        return self._file(name) if name in self._files else refusal(404, "Not Found")

    def _file(self, name: str) -> web.Response:
        return web.Response(body=self._files[name], content_type=_ASSETS[name], charset="utf-8", headers=PAGE_HEADERS)

    async def _state(self, _request: web.Request) -> web.StreamResponse:
        messages = self._store.latest_messages(_PAGE)
        return _json(
            {
                "number": self._feed.number,
                "owner_id": OWNER_ID,
                "bot_name": self._bot["first_name"],
                "commands": self._menu(),
                "pinned": self._marks.pinned(),
                "asked": self._marks.asked(),
            }
            | self._shown(messages)
        )

    async def _history(self, request: web.Request) -> web.StreamResponse:
        before = request.query.get("before", "")
        if not before.isdecimal():
            return refusal(400, "Bad Request: before must be a message id")
        messages = self._store.latest_messages(_PAGE, int(before))
        return _json(self._shown(messages))

    def _shown(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """Messages with what stands on them, and whether there are earlier ones."""
        if not messages:
            return {"messages": [], "reactions": {}, "has_older": False}
        first, last = messages[0]["message_id"], messages[-1]["message_id"]
        return {
            "messages": messages,
            "reactions": self._store.reactions(first, last),
            "has_older": bool(self._store.latest_messages(1, first)),
        }

    async def _file_sent(self, request: web.Request) -> web.StreamResponse:
        """A photo is shown, anything else only saved: the page's own address must never run what a file holds."""
        file = self._files_sent.file(request.match_info["file_id"])
        if file is None:
            return refusal(404, "Not Found")
        headers = PAGE_HEADERS | {"Cache-Control": f"private, max-age={_FILE_SECONDS}, immutable"}
        if file.kind == PHOTO and "save" not in request.query:
            headers["Content-Type"] = file.mime_type
        else:
            headers["Content-Type"] = "application/octet-stream"
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
        return web.FileResponse(self._files_sent.location(file), headers=headers)

    async def _send(self, request: web.Request) -> web.StreamResponse:
        body = await _body(request)
        reply_to = body.get("reply_to")
        if reply_to is not None and type(reply_to) is not int:
            return refusal(400, "Bad Request: reply_to must be a message id")
        return _json(self._conversation.owner_sends(str(body.get("text", "")), reply_to))

    async def _tap(self, request: web.Request) -> web.StreamResponse:
        body = await _body(request)
        message_id, data = body.get("message_id"), body.get("data")
        if not isinstance(message_id, int) or not isinstance(data, str):
            return refusal(400, "Bad Request: message_id and data are needed")
        return _json({"id": self._conversation.owner_taps(message_id, data)})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        after = request.query.get("after", "")
        number = int(after) if after.isdecimal() else self._feed.number
        response = web.StreamResponse(headers=PAGE_HEADERS | {"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        while not self._feed.closed:
            changes = self._feed.since(number)
            if changes is None:
                await response.write(b"event: reset\ndata: {}\n\n")
                break
            for change in changes:
                await response.write(_event(change))
                number = change.number
            if not changes:
                await response.write(b": still here\n\n")
            await self._feed.wait(_HEARTBEAT)
        return response


def _event(change: Change) -> bytes:
    # JSON has no raw line breaks, so one data line holds it.
    return f"id: {change.number}\nevent: {change.kind}\ndata: {json.dumps(change.data)}\n\n".encode()


def _json(body: dict[str, Any]) -> web.Response:
    return web.json_response(body, headers=PAGE_HEADERS)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise ApiError(400, "Bad Request: can't parse JSON-encoded request body") from error
    if not isinstance(body, dict):
        raise ApiError(400, "Bad Request: object expected")
    return body
