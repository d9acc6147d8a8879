"""Who may talk to the local phone: programs of this machine with the bot token, and the browser that was given the key.

A web page anywhere can make the owner's browser send requests to 127.0.0.1. Three things keep it out: the Host header
must name loopback (a rebound DNS name does not), the Origin and Sec-Fetch-Site headers must not name another site, and
nothing is answered without the token or a cookie that only the key in the printed address yields.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

COOKIE_DAYS = 30
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def loopback_guard(hosts: Callable[[], frozenset[str]]) -> Any:
    """A middleware that answers 403 unless the request names one of `hosts` ("127.0.0.1:8000") and comes from there."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host", "").lower()
        origin = request.headers.get("Origin")
        if host not in hosts():
            return refusal(403, "Forbidden: wrong Host")
        if origin is not None and origin.lower() != f"http://{host}":
            return refusal(403, "Forbidden: wrong Origin")
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not _is_opening(request):
            return refusal(403, "Forbidden: asked for by another site")
        return await handler(request)

    return guard


def _is_opening(request: web.Request) -> bool:
    """Following a link to the page from elsewhere is allowed; it carries the key or nothing happens."""
    return request.method == "GET" and request.path == "/" and request.headers.get("Sec-Fetch-Mode") == "navigate"


def refusal(code: int, description: str, parameters: dict[str, Any] | None = None) -> web.Response:
    body: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
    return web.json_response(body | ({"parameters": parameters} if parameters else {}), status=code)


class PageAccess:
    """Exchanges the key in the address for a cookie. The cookie is derived from the key, so it survives a restart."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._cookie = hmac.new(key.encode(), b"local phone page", hashlib.sha256).hexdigest()

    def knows_key(self, request: web.Request) -> bool:
        return hmac.compare_digest(request.query.get("key", "").encode(), self._key.encode())

    def knows_cookie(self, request: web.Request) -> bool:
        return hmac.compare_digest(request.cookies.get(_cookie_name(request), "").encode(), self._cookie.encode())

    def give_cookie(self, request: web.Request, response: web.Response) -> None:
        response.set_cookie(
            _cookie_name(request),
            self._cookie,
            max_age=COOKIE_DAYS * 24 * 3600,
            path="/",
            httponly=True,
            samesite="Strict",
        )


def _cookie_name(request: web.Request) -> str:
    """Cookies do not tell ports apart, and two phones may run on one machine."""
    return f"phone_{request.host.rpartition(':')[2]}"
