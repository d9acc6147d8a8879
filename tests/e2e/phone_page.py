"""The local phone's page as a person uses it, in headless Chromium. Shared by the browser tests."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from weakref import WeakKeyDictionary

from playwright.async_api import Browser, ConsoleMessage, Error, Locator, Page, async_playwright, expect

PHONE = (390, 844)
DESKTOP = (1280, 800)
_WAIT_MS = 15_000
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def chromium() -> str | None:
    """Path of a Chromium, from CHROMIUM_PATH or the search path; None where there is none."""
    named = os.environ.get("CHROMIUM_PATH")
    return named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """One headless Chromium. Starting it takes seconds, so tests that share an event loop may share it."""
    path = chromium()
    if path is None:
        raise RuntimeError("no Chromium found: install it or set CHROMIUM_PATH")
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            yield started
        finally:
            await started.close()


_idle: WeakKeyDictionary[Browser, list[Page]] = WeakKeyDictionary()


@asynccontextmanager
async def phone_page(
    *, size: tuple[int, int] = PHONE, dark: bool = False, scale: float = 1, shared: Browser | None = None
) -> AsyncIterator[PhonePage]:
    """A page that knows nothing of earlier ones, in `shared` or in a browser of its own; `size` in CSS pixels of
    `scale` dots.

    A shared browser's tab is handed on: a new profile starts a process, and all it could have kept is a cookie, because
    every phone has an address of its own.
    """
    if shared is None:
        async with browser() as own, phone_page(size=size, dark=dark, scale=scale, shared=own) as page:
            yield page
        return
    idle = _idle.setdefault(shared, [])
    tab = idle.pop() if idle and scale == 1 else await _new_tab(shared, scale)
    await tab.set_viewport_size({"width": size[0], "height": size[1]})
    await tab.emulate_media(color_scheme="dark" if dark else "light")
    page = PhonePage(tab)
    try:
        yield page
    finally:
        await page.let_go()
        if scale == 1:
            idle.append(tab)


async def _new_tab(used: Browser, scale: float) -> Page:
    context = await used.new_context(device_scale_factor=scale, locale="en-GB", timezone_id="UTC")
    return await context.new_page()


class PhonePage:
    """Waits for what it names, up to 15 seconds, and raises AssertionError otherwise.

    `problems` collects the page's console errors and uncaught exceptions.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        page.set_default_timeout(_WAIT_MS)
        page.on("console", self._heard)
        page.on("pageerror", self._failed)

    def _heard(self, line: ConsoleMessage) -> None:
        if line.type == "error":
            self.problems.append(line.text)

    def _failed(self, error: Error) -> None:
        self.problems.append(str(error))

    async def let_go(self) -> None:
        """Leaves the tab as it was before the first page in it."""
        self.page.remove_listener("console", self._heard)
        self.page.remove_listener("pageerror", self._failed)
        await self.page.unroute_all(behavior="ignoreErrors")
        await self.page.goto("about:blank")
        await self.page.context.clear_cookies()

    async def open(self, url: str) -> None:
        """Opens the address with the access key and waits until the page follows the server."""
        await self.page.goto(url)
        await self.wait_for_link("open")

    async def wait_for_link(self, state: str) -> None:
        """`open`, `broken` or `refused`."""
        await expect(self.page.locator("body")).to_have_attribute("data-link", state, timeout=_WAIT_MS)

    async def send(self, text: str) -> None:
        await self.page.get_by_label("Message", exact=True).fill(text)
        await self.page.get_by_label("Send", exact=True).click()

    async def wait_for_bubble(self, text: str | re.Pattern[str], *, mine: bool = False) -> Locator:
        """The newest bubble that holds `text`, of the bot unless `mine`."""
        side = ".message.mine" if mine else ".message:not(.mine)"
        bubble = self.page.locator(side).filter(has_text=text).last
        await expect(bubble).to_be_visible(timeout=_WAIT_MS)
        return bubble

    async def tap(self, button_label: str | re.Pattern[str]) -> None:
        """Taps the newest button under a message with that label."""
        exact = isinstance(button_label, str)
        await self.page.locator(".keys").get_by_role("button", name=button_label, exact=exact).last.click()

    async def wait_for_toast(self, text: str) -> None:
        await expect(self.page.locator("#toast")).to_have_text(text, timeout=_WAIT_MS)

    async def wait_until_gone(self, text: str) -> None:
        await expect(self.page.locator(".message").filter(has_text=text)).to_have_count(0, timeout=_WAIT_MS)

    async def screenshot(self, path: Path) -> None:
        await self.page.screenshot(path=path, animations="disabled")
