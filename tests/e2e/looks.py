"""Pictures of the chat at the size of a phone, light and dark, to be looked at by a person: no test.

The real process with the simulated market and its local phone, and for the pairing the real bot beside the Bot API
server, are driven through the page in headless Chromium. Each scene is written as NAME-light.png and NAME-dark.png.

Run: python -m tests.e2e.looks FOLDER [--state FOLDER] [--scenes NAME ...]
With --state an installation is kept there and used again, which saves its first start."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path

from playwright.async_api import Error, expect

from core.domain.accounts import Badge
from core.domain.decisions import BrakeKind
from core.domain.events import BrakeSet, ErrorRaised, OrderUncertain, PositionUnguarded
from core.domain.instruments import DEFAULT_SYMBOLS
from core.domain.orders import Side
from tests.bot_line import a_line
from tests.e2e.phone_page import DESKTOP, PHONE, PhonePage, phone_page
from tests.e2e.process import Orchestrator
from tests.fakes_owner import NOON

ALERTS = (
    BrakeSet(BrakeKind.DAILY_LOSS, "simulated", "4.2 % lost today", NOON, (Badge.PAPER,)),
    ErrorRaised("prices", "Yahoo has sent no bar of SPY since 15:05", "SPY is not bought until bars come again."),
    PositionUnguarded("simulated", "SPY", Decimal(5), "the stop was refused three times", (Badge.PAPER,)),
    OrderUncertain("simulated", "QQQ", Side.BUY, Decimal(4), "no answer within 10 s", (Badge.PAPER,)),
)
PHOTO = Path(__file__).parents[2] / "docs" / "phone.png"
START_SECONDS = 400.0
SOON_MS = 180_000
SETTLING_MS = 400
SCALE = 2


class Pictures:
    def __init__(self, page: PhonePage, folder: Path) -> None:
        self._page = page
        self._folder = folder

    async def take(self, name: str, top: str | None = None) -> None:
        """Both colour schemes; with `top` the newest message with these words stands at the top."""
        page = self._page.page
        if top is not None:
            bubble = page.locator(".message").filter(has_text=top).last
            await bubble.evaluate(
                "e => { const all = document.querySelector('#scroll');"
                " all.scrollTop += e.getBoundingClientRect().top - all.getBoundingClientRect().top - 8; }"
            )
        await page.mouse.move(0, 0)
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            await page.wait_for_timeout(SETTLING_MS)
            await self._page.screenshot(self._folder / f"{name}-{scheme}.png")


async def pairing(pictures: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with a_line(Path(folder), paired=False) as line, phone_page(scale=SCALE) as page:
            await page.open(line.server.page_url)
            await page.send("/status")
            await page.wait_for_bubble("send /start CODE")
            await page.send("/start WRONG")
            await page.wait_for_bubble("not the code")
            await page.send(f"/start {line.codes[0]}")
            await page.wait_for_bubble("Paired")
            await page.wait_for_bubble("AutoTrader")
            await Pictures(page, pictures).take("pairing")


async def warnings(pictures: Path) -> None:
    """What comes seldom: critical alerts, answers to what could not be read, a picture and its zoom, focus rings."""
    with tempfile.TemporaryDirectory() as folder:
        async with a_line(Path(folder)) as line, phone_page(scale=SCALE) as page:
            await page.open(line.server.page_url)
            taken = Pictures(page, pictures)
            await page.wait_for_link("open")
            with line.ledger.unit_of_work() as work:
                for event in ALERTS:
                    work.publish(event, market_time=NOON)
                work.commit()
            line.app.delivery.wake()
            await page.wait_for_bubble("sent, answer unknown")
            await taken.take("alerts")
            for said in ("/executed SPY ten", "/pause soon", "/statsu", "/settings STOP_LOSS 200%"):
                await page.send(said)
                await page.page.wait_for_timeout(700)
            await taken.take("errors")
            await line.app._application.bot.send_photo(
                line.server.owner_id, PHOTO.read_bytes(), caption="A picture with its caption"
            )
            await page.page.locator(".message img").last.wait_for()
            await taken.take("photo")
            await page.page.locator(".message img").last.click()
            await taken.take("photo-open")
            await page.page.keyboard.press("Escape")
            await page.send("/status")
            await page.wait_for_bubble("RUNNING")
            for _ in range(3):
                await page.page.keyboard.press("Shift+Tab")
            await taken.take("focus")


async def newcomer(page: PhonePage, pictures: Pictures) -> None:
    await expect(page.page.locator(".message").filter(has_text="Hi, I am AutoTrader")).to_be_attached(timeout=SOON_MS)
    await pictures.take("newcomer", top="Hi, I am AutoTrader")


async def status(page: PhonePage, pictures: Pictures) -> None:
    await page.send("/status")
    await page.wait_for_bubble(re.compile("RUNNING|DEGRADED"))
    await pictures.take("status")


async def proposal(page: PhonePage, pictures: Pictures) -> None:
    """In mode confirm each buy waits for approval."""
    approve = page.page.locator(".keys").get_by_role("button", name=re.compile("Approve"))
    await expect(approve.last).to_be_visible(timeout=SOON_MS)
    card = page.page.locator(".message").filter(has=approve).last
    number = re.search(r"#\d+", await card.inner_text())
    assert number is not None
    words = f"· {number[0]}"
    card = page.page.locator(".message").filter(has_text="Only at").filter(has_text=words).last
    await pictures.take("proposal-before", top=words)
    await card.get_by_role("button", name=re.compile("Change")).click()
    await card.get_by_role("button", name=re.compile("Back")).wait_for()
    await pictures.take("proposal-change", top=words)
    await card.get_by_role("button", name=re.compile("Back")).click()
    await card.get_by_role("button", name=re.compile("Approve")).click()
    await page.page.wait_for_timeout(4000)
    await pictures.take("proposal-after", top=words)
    await pictures.take("proposal-end")
    await page.page.locator(".keys").get_by_role("button", name=re.compile("Why")).last.click()
    await page.page.wait_for_timeout(1500)
    await pictures.take("proposal-why", top="why")


async def fill(page: PhonePage, pictures: Pictures) -> None:
    """The first start raises an instruction for the manual account."""
    await page.send("/pending")
    card = await page.wait_for_bubble(re.compile("MANUAL.*#"))
    text = await card.inner_text()
    found = re.search(r"(\S+) BUY ([\d.,]+).*?(#\d+).*?Price\s+([\d.,]+)", text, re.DOTALL)
    assert found is not None, text
    symbol, quantity, number, price = found.groups()
    await pictures.take("fill-card", top=f"· {number}")
    part = round(float(quantity.replace(",", "")) / 3, 3)
    await page.send(f"/executed {symbol} {part:g} @ {price.replace(',', '')} fee 0.35")
    await page.page.wait_for_timeout(2500)
    await pictures.take("fill-partial")
    confirm = page.page.locator(".keys").get_by_role("button", name=re.compile("Book|Confirm"))
    if await confirm.count():
        await confirm.last.click()
        await page.page.wait_for_timeout(3000)
        await pictures.take("fill-booked")


async def positions(page: PhonePage, pictures: Pictures) -> None:
    await page.send("/positions")
    await page.wait_for_bubble(re.compile("📊"))
    await pictures.take("positions")


async def flatten(page: PhonePage, pictures: Pictures) -> None:
    await page.send("/flatten")
    await page.wait_for_bubble("Sell everything?")
    await pictures.take("flatten")


async def settings(page: PhonePage, pictures: Pictures) -> None:
    await page.send("/settings")
    await page.page.wait_for_timeout(1500)
    await pictures.take("settings")


async def report(page: PhonePage, pictures: Pictures) -> None:
    await page.send("/report")
    await page.wait_for_bubble("Ledger head")
    await pictures.take("report", top="Report")


async def chapters(page: PhonePage, pictures: Pictures) -> None:
    await page.send("/help")
    await page.wait_for_bubble("What I understand")
    await pictures.take("help")
    await page.tap(re.compile("Books"))
    await page.wait_for_bubble("/deposit")
    await pictures.take("help-books")
    await page.send("/settings risk")
    await page.wait_for_bubble("Settings: Risk")
    await pictures.take("settings-risk")
    await page.send("/menu")
    await page.wait_for_bubble("Menu")
    await pictures.take("menu")


async def notices(page: PhonePage, pictures: Pictures) -> None:
    for word in ("/notify", "/locks", "/mode"):
        await page.send(word)
        await page.page.wait_for_timeout(1000)
        await pictures.take(word.removeprefix("/"))


async def menu(page: PhonePage, pictures: Pictures) -> None:
    await page.page.get_by_label("Message", exact=True).fill("/s")
    await pictures.take("command-menu")
    await page.page.get_by_label("Message", exact=True).fill("")


async def desktop(page: PhonePage, pictures: Pictures) -> None:
    await page.page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    await pictures.take("desktop")
    await page.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})


Scene = Callable[[PhonePage, Pictures], Awaitable[None]]
SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (
        newcomer,
        status,
        proposal,
        fill,
        positions,
        flatten,
        settings,
        report,
        notices,
        chapters,
        menu,
        desktop,
    )
}


ASIDE = {"pairing": pairing, "warnings": warnings}
"""Scenes beside the Bot API server, without the product's process."""


async def product(folder: Path, state: Path, wanted: Sequence[str]) -> None:
    """The scenes of the real process, one conversation."""
    started = Orchestrator(
        state, SYMBOLS=",".join(DEFAULT_SYMBOLS), MODEL_TREES="200", SIMULATION_SEED="5", SPEED="10", MODE="confirm"
    )
    try:
        await asyncio.to_thread(started.until_said, "Ready in", START_SECONDS)
        found = re.search(r"Your phone:\s+(\S+)", started.console)
        assert found is not None
        async with phone_page(scale=SCALE) as page:
            await page.open(found[1])
            for name in wanted:
                try:
                    await SCENES[name](page, Pictures(page, folder))
                except (AssertionError, Error) as missing:
                    print(f"{name}: {missing}", file=sys.stderr)
            print("\n".join(page.problems))
    finally:
        await asyncio.to_thread(started.stop)
        started.clear_away()


async def take_all(folder: Path, state: Path, wanted: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, scene in ASIDE.items():
        if name in wanted:
            await scene(folder)
    scenes = [name for name in wanted if name in SCENES]
    if scenes:
        await product(folder, state, scenes)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--scenes", nargs="+", default=[*ASIDE, *SCENES])
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="looks-") as scratch:
        state = given.state or Path(scratch)
        state.mkdir(parents=True, exist_ok=True)
        asyncio.run(take_all(given.folder, state, given.scenes))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
