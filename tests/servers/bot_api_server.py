"""A Bot API server that fails as the real one does: a second poller, a dead token, floods, lost answers, bad gateways.

Answers what python-telegram-bot asks at a start; every other behaviour is set by the test through `replies`, which maps
a method's name to a list of replies used up one after another before the ordinary one.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from aiohttp import web

TOKEN = "123456789:" + "A" * 35


class HangUp:
    """Accepts the request, perhaps acts on it, and never answers."""


HANG_UP = HangUp()
Reply = tuple[int, dict[str, Any]] | HangUp


def failure(code: int, description: str, **parameters: Any) -> Reply:
    body: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
    return code, {**body, "parameters": parameters} if parameters else body


class BotApiServer:
    """`standing` replies hold until they are taken away; `replies` are used once each."""

    def __init__(self) -> None:
        self.replies: dict[str, list[Reply]] = defaultdict(list)
        self.standing: dict[str, Reply] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.updates: list[dict[str, Any]] = []
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/bot"

    def texts(self) -> list[str]:
        return [body["text"] for method, body in self.calls if method == "sendMessage"]

    def count(self, method: str) -> int:
        return sum(name == method for name, _ in self.calls)

    async def start(self) -> None:
        """Keeps its port over a stop and a new start."""
        application = web.Application()
        application.router.add_route("*", "/bot{token}/{method}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        body = dict(await request.post())
        self.calls.append((method, body))
        reply = self.replies[method].pop(0) if self.replies[method] else self.standing.get(method)
        if isinstance(reply, HangUp):
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if reply is not None:
            return web.json_response(reply[1], status=reply[0])
        return web.json_response({"ok": True, "result": await self._result(method, body)})

    async def _result(self, method: str, body: dict[str, Any]) -> Any:
        if method == "getMe":
            return {"id": 123456789, "is_bot": True, "first_name": "Bot", "username": "a_bot"}
        if method == "getUpdates":
            return await self._poll(int(body.get("offset", 0)))
        if method in ("sendMessage", "editMessageText"):
            chat = {"id": int(body["chat_id"]), "type": "private"}
            return {"message_id": len(self.calls), "date": 1_790_000_000, "chat": chat, "text": body["text"]}
        return True

    async def _poll(self, offset: int) -> list[dict[str, Any]]:
        due = [update for update in self.updates if update["update_id"] >= offset]
        if not due:
            await asyncio.sleep(0.02)
        return due
