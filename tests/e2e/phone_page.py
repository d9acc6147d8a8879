"""The local phone's page as a person uses it, in headless Chromium. Shared by the browser tests."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

from playwright.async_api import Browser, Locator, Page, async_playwright, expect

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


@asynccontextmanager
async def phone_page(
    *, size: tuple[int, int] = PHONE, dark: bool = False, scale: float = 1, shared: Browser | None = None
) -> AsyncIterator[PhonePage]:
    """A page with its own profile, in `shared` or in a browser of its own; `size` in CSS pixels of `scale` dots."""
    async with nullcontext(shared) if shared else browser() as used:
        context = await used.new_context(
            viewport={"width": size[0], "height": size[1]},
            device_scale_factor=scale,
            color_scheme="dark" if dark else "light",
            locale="en-GB",
            timezone_id="UTC",
        )
        try:
            yield PhonePage(await context.new_page())
        finally:
            await context.close()


class PhonePage:
    """Waits for what it names, up to 15 seconds, and raises AssertionError otherwise.

    `problems` collects the page's console errors and uncaught exceptions.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        page.set_default_timeout(_WAIT_MS)
        page.on("console", lambda line: self.problems.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))

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
