"""A sign of life for a watch service on the internet (D9): it alerts the owner when the signs stop coming.

That is the one alarm which works when this machine, its network or its power is gone. The URL is a secret: whoever has
it can pretend that all is well. It is never logged, and neither is any error text of the HTTP client.
"""

from __future__ import annotations

import logging

import httpx

from bot.health_hook import HealthHook, OnChange
from core.domain.views import Health

_LOG = logging.getLogger(__name__)
COMPONENT = "sign of life"
TIMEOUT = 10.0
_PATIENCE = 3


class DeadManPing:
    """`ping` blocks for ten seconds at most and never raises: nothing here depends on it."""

    def __init__(self, url: str, health: HealthHook) -> None:
        # The client's own log line names the URL.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._url = url
        self._health = OnChange(health, COMPONENT)
        self._failures = 0

    def ping(self) -> bool:
        """Whether the service took it; three failures in a row are told to health."""
        problem = self._problem()
        if problem is None:
            self._failures = 0
            self._health(Health.RUNNING, "the watch service hears it")
            return True
        self._failures += 1
        _LOG.info("no sign of life could be given: %s", problem)
        if self._failures >= _PATIENCE:
            self._health(Health.DEGRADED, f"the watch service cannot be told that all is well ({problem})")
        return False

    def _problem(self) -> str | None:
        try:
            answer = httpx.get(self._url, timeout=TIMEOUT)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return type(error).__name__
        return None if answer.status_code < 300 else f"status {answer.status_code}"
