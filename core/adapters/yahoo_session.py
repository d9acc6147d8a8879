"""The HTTP session yfinance uses, with the deadline it lacks: it asks up to seven times behind one call, with
time-outs of up to 30 seconds each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from curl_cffi.requests import Session
from curl_cffi.requests.exceptions import Timeout


class DeadlineSession(Session[Any]):
    """A browser-like session whose requests together keep within the budget of the thread that makes them."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__(impersonate="chrome")
        self._monotonic = monotonic
        self._until = threading.local()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """All requests of this thread inside the block end by then, or raise curl_cffi's Timeout."""
        self._until.at = self._monotonic() + seconds
        try:
            yield
        finally:
            del self._until.at

    def request(self, method: Any, url: str, *positional: Any, **options: Any) -> Any:
        left = self._until.at - self._monotonic() if hasattr(self._until, "at") else None
        if left is not None:
            if left <= 0:
                raise Timeout("the time for this call is used up")
            options["timeout"] = min(left, options.get("timeout") or left)
        return super().request(method, url, *positional, **options)
