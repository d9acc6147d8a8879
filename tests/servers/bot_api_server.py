"""The local phone's Bot API server as tests use it: fails on demand, remembers every call, is itself held to account.

Each request it accepts and each answer it gives is checked against the published description of the Bot API, where that
lies beside the checkout; what does not fit is raised when the server stops.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import web

from bot.localphone.access import refusal
from bot.localphone.errors import ApiError
from bot.localphone.limits import RateLimits
from bot.localphone.parameters import read_request
from bot.localphone.polling import MAX_TIMEOUT
from bot.localphone.server import LocalPhone
from core.clock import SystemClock
from core.ports import Clock
from tests.contract.bot_api_spec import published
from tests.servers.faults import Faults, body_of

TOKEN = "123456789:" + "A" * 35


class BotApiServer(LocalPhone):
    """`calls` are the requests as they came, also those that a fault ate. `limits` are off until switched on.

    A poll without news is answered after `longest_poll` seconds.
    """

    def __init__(
        self,
        store_path: Path | None = None,
        clock: Clock | None = None,
        *,
        token: str = TOKEN,
        longest_poll: float = MAX_TIMEOUT,
    ) -> None:
        self._folder = TemporaryDirectory() if store_path is None else None
        self.limits = RateLimits(clock or SystemClock())
        self.limits.active = False
        super().__init__(
            store_path=store_path or Path(self._folder.name if self._folder else "") / "phone.sqlite3",
            clock=clock or SystemClock(),
            token=token,
            limits=self.limits,
            middlewares=[self._watched],
        )
        self._longest_poll = longest_poll
        self.faults = Faults()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.violations: list[str] = []

    async def start(self) -> None:
        await super().start()
        assert self._updates is not None
        self._updates.longest_poll = self._longest_poll

    async def stop(self) -> None:
        """Raises AssertionError where a request or an answer was not what the Bot API publishes."""
        await super().stop()
        assert not self.violations, "\n".join(self.violations)

    def texts(self) -> list[str]:
        """Of all messages a bot tried to send."""
        return [values["text"] for method, values in self.calls if method == "sendMessage"]

    def count(self, method: str) -> int:
        return sum(name == method for name, _ in self.calls)

    def hears(self, kind: str, body: dict[str, Any], *, unwanted: bool = False) -> None:
        """Something for the bot that the page cannot cause: a stranger, a group, a forwarded or an edited message.

        `kind` is the Update's field, `body` its value. A kind that the bot did not ask for is dropped, unless
        `unwanted`: those from before it said what it wants still come, and a gate must hold without that filter.
        """
        assert self._updates is not None and self._store is not None, "the server is not running"
        if unwanted:
            self._store.add_update({kind: body}, self._clock.now())
        else:
            self._updates.put(kind, body)
        self._updates.wake()

    def is_owed(self) -> int:
        """How many updates no bot has acknowledged."""
        assert self._store is not None, "the server is not running"
        return self._store.update_count()

    @property
    def _watched(self) -> Any:
        @web.middleware
        async def watched(request: web.Request, handler: Any) -> web.StreamResponse:
            method = request.match_info.get("method")
            if method is None or "token" not in request.match_info:
                response: web.StreamResponse = await handler(request)
                return response
            try:
                values, uploads = await read_request(request)
            except ApiError as error:  # no second reading: the body is used up
                return refusal(error.code, error.description)
            self.calls.append((method, values))

            async def act() -> web.StreamResponse:
                response: web.StreamResponse = await handler(request)
                self._check(method, values, set(uploads), body_of(response))
                return response

            fault = self.faults.due(method)
            return await (fault.meet(request, act) if fault is not None else act())

        return watched

    def _check(self, method: str, values: dict[str, Any], uploads: set[str], answer: dict[str, Any] | None) -> None:
        spec = published()
        if spec is None or answer is None:
            return
        try:
            spec.check_exchange(method, values, uploads, answer)
        except AssertionError as error:
            self.violations.append(f"{method} {json.dumps(values)[:300]}: {error}")


def a_message(text: str, message_id: int, user_id: int, **more: Any) -> dict[str, Any]:
    """A Message of the Bot API from somebody's private chat, sent in a minute: to no bot that starts now is it late."""
    person = {"id": user_id, "first_name": "Owner"}
    return {
        "message_id": message_id,
        "date": int(SystemClock().now().timestamp()) + 60,
        "chat": person | {"type": "private"},
        "from": person | {"is_bot": False},
        "text": text,
    } | more
