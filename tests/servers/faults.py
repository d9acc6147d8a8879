"""What can go wrong between a bot and the Bot API, chosen by a test for one call or for all that follow.

Nothing of this is in the product: the local phone lets its tests stand before its door and lose the post there.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Act = Callable[[], Awaitable[web.StreamResponse]]
EVERY_METHOD = "*"


class Fault:
    """One way to fail: `meet` answers instead of the server, which does what was asked only by `act`."""

    async def meet(self, request: web.Request, act: Act) -> web.StreamResponse:
        raise NotImplementedError


@dataclass(frozen=True)
class Answer(Fault):
    """This answer, and nothing is done. `body` is an object for JSON, or the page of a gateway."""

    status: int
    body: dict[str, Any] | str

    async def meet(self, request: web.Request, act: Act) -> web.StreamResponse:
        if isinstance(self.body, str):
            return web.Response(status=self.status, text=self.body, content_type="text/html")
        return web.json_response(self.body, status=self.status)


@dataclass(frozen=True)
class Drop(Fault):
    """The connection breaks before anything is done; `quietly`, it stays open and nobody ever answers."""

    quietly: bool = False

    async def meet(self, request: web.Request, act: Act) -> web.StreamResponse:
        return await _no_answer(request, quietly=self.quietly)


@dataclass(frozen=True)
class LoseAnswer(Fault):
    """It is done, and the answer is lost: the connection breaks, or `quietly` stays open until the client gives up."""

    quietly: bool = False

    async def meet(self, request: web.Request, act: Act) -> web.StreamResponse:
        await act()
        return await _no_answer(request, quietly=self.quietly)


@dataclass(frozen=True)
class Slow(Fault):
    """It is done once `gate` opens: a test decides how long is long."""

    gate: asyncio.Event

    async def meet(self, request: web.Request, act: Act) -> web.StreamResponse:
        await self.gate.wait()
        return await act()


DROP = Drop()
LOSE_ANSWER = LoseAnswer()
UNAUTHORIZED = Answer(401, {"ok": False, "error_code": 401, "description": "Unauthorized"})
BAD_GATEWAY = Answer(502, "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>")


def failure(code: int, description: str, **parameters: Any) -> Answer:
    """An answer in the Bot API's shape."""
    body: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
    return Answer(code, {**body, "parameters": parameters} if parameters else body)


def flood(seconds: int) -> Answer:
    return failure(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)


def internal_error() -> Answer:
    return failure(500, "Internal Server Error")


@dataclass
class Faults:
    """`once` are used up one after another, each method's for itself; `standing` hold until they are taken away.

    `choose` is asked for every other call: for faults by chance, on the test's own seeded generator.
    """

    once: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    standing: dict[str, Fault] = field(default_factory=dict)
    choose: Callable[[str], Fault | None] | None = None

    def due(self, method: str) -> Fault | None:
        if self.once[method]:
            return self.once[method].pop(0)
        fault = self.standing.get(method) or self.standing.get(EVERY_METHOD)
        return fault or (self.choose(method) if self.choose is not None else None)

    def go_offline(self) -> None:
        """Every connection breaks, until `clear`. For an address where nobody answers, stop the server."""
        self.standing = {EVERY_METHOD: DROP}

    def revoke_token(self) -> None:
        self.standing = {EVERY_METHOD: UNAUTHORIZED}

    def clear(self) -> None:
        self.once.clear()
        self.standing.clear()
        self.choose = None


async def _no_answer(request: web.Request, *, quietly: bool) -> web.StreamResponse:
    if quietly:
        await asyncio.Event().wait()  # ended by the client's leaving
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def body_of(response: web.StreamResponse) -> dict[str, Any] | None:
    """The answer as JSON; None for anything else."""
    if isinstance(response, web.Response) and response.content_type == "application/json":
        return dict(json.loads(response.text or "{}"))
    return None
