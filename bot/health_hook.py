"""How the bot tells the house how it is doing."""

from __future__ import annotations

from typing import Protocol

from core.domain.views import Health


class HealthHook(Protocol):
    """Called from the event loop whenever state or reason change."""

    def __call__(self, component: str, state: Health, reason: str) -> None: ...


class OnChange:
    """Passes a component's state on to the hook only when it differs from the last one."""

    def __init__(self, hook: HealthHook, component: str) -> None:
        self._hook = hook
        self._component = component
        self._last: tuple[Health, str] | None = None

    def __call__(self, state: Health, reason: str) -> None:
        if (state, reason) != self._last:
            self._last = (state, reason)
            self._hook(self._component, state, reason)
