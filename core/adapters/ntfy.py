"""Alarms by ntfy (https://docs.ntfy.sh/publish/): one HTTP POST to a topic. Another way to the owner than the chat."""

from __future__ import annotations

import base64
import http.client
from email.header import Header
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from core.errors import Transient

DEADLINE = 10.0
"""Seconds that any one answer of the server may take."""
LONGEST = 3800
"""Bytes: above 4096 ntfy makes an attachment of a message."""


class Ntfy:
    """`url` names server and topic; user and password, or a token as password alone, may stand before the host."""

    name = "ntfy"

    def __init__(self, url: str, deadline: float = DEADLINE) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        place = f"[{host}]" if ":" in host else host
        place += f":{parts.port}" if parts.port is not None else ""
        self._url = urlunsplit((parts.scheme, place, parts.path, parts.query, ""))
        self._headers = _authorization(unquote(parts.username or ""), unquote(parts.password or ""))
        self._deadline = deadline
        self._opener = build_opener(_NoRedirect)

    def send(self, title: str, text: str) -> None:
        """Raises Transient, in words that hold nothing of the address."""
        body = text.encode("utf-8", "replace")[:LONGEST].decode("utf-8", "ignore").encode()
        headers = {"Title": Header(title, "utf-8", maxlinelen=1000).encode(), "Priority": "urgent", "Tags": "warning"}
        request = Request(self._url, body, {**headers, **self._headers}, method="POST")
        try:
            with self._opener.open(request, timeout=self._deadline):
                return
        except HTTPError as error:
            error.close()
            raise Transient(f"ntfy answered with status {error.code}") from None
        except (URLError, OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise Transient(f"ntfy cannot be reached ({type(reason).__name__})") from None


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would turn the POST into a GET, which publishes nothing."""

    def redirect_request(self, *_arguments: object) -> None:
        return None


def _authorization(user: str, password: str) -> dict[str, str]:
    if not password:
        return {}
    if not user:
        return {"Authorization": f"Bearer {password}"}
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}
