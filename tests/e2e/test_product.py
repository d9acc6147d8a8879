"""The whole product as a newcomer meets it: the real process, its local phone, a real browser, nothing prepared."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Locator, expect

from core.domain.instruments import DEFAULT_SYMBOLS
from core.settings import load_settings
from tests.e2e.phone_page import PhonePage, chromium, phone_page
from tests.e2e.process import Orchestrator
from tests.e2e.small_png import small_png

pytestmark = [
    pytest.mark.browser,
    pytest.mark.feature("U3"),
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
]
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "phone.png"
TAKES_README_PICTURE = bool(os.environ.get("AUTOTRADER_README_PICTURE"))
QUICK_TREES, DEFAULT_TREES = 50, int(load_settings({}, None).model_trees)
"""Three forests are grown until a newcomer sees his phone: most of the wait, and the same code whatever their size."""
START_SECONDS = 240.0
"""On two busy cores the search for a lively start and the first training take most of a minute."""
SOON_MS = 90_000
"""At 300 times real time the signal, the trade and the card come within seconds of the ready line."""


@pytest.fixture(params=[QUICK_TREES, pytest.param(DEFAULT_TREES, marks=pytest.mark.long)])
def product(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Orchestrator]:
    trees = DEFAULT_TREES if TAKES_README_PICTURE else request.param
    started = Orchestrator(
        tmp_path, SYMBOLS=",".join(DEFAULT_SYMBOLS), MODEL_TREES=str(trees), SIMULATION_SEED="5", SPEED="300"
    )
    try:
        started.until_said("Ready in", START_SECONDS)
        yield started
        assert started.stop() == 0, started.console
    finally:
        started.clear_away()


def _page_url(product: Orchestrator) -> str:
    found = re.search(r"Your phone:\s+(\S+)", product.console)
    assert found is not None
    return found[1]


def told(page: PhonePage, words: str | re.Pattern[str]) -> Locator:
    return page.page.locator(".message:not(.mine)").filter(has_text=words)


@pytest.mark.timeout(600)
async def test_a_newcomer_sees_a_trade_and_steers_it_from_the_page(product: Orchestrator, tmp_path: Path) -> None:
    async with phone_page(scale=2) as page:
        await page.open(_page_url(product))
        await _the_first_minutes(page)
        await _take_picture(page, tmp_path)
        await _pause_and_resume(page)
        await _execute_the_card(page)
        await _ask_for_things(page)
        await _every_message_says_simulated(page)
        assert page.problems == []


async def _the_first_minutes(page: PhonePage) -> None:
    for words in (
        "Hi, I am AutoTrader",
        "New model in use",
        re.compile(r"buy signal \d+\.\d% ·\sSIMULATED"),
        re.compile(r"bought .* ·\sSIMULATED"),
        re.compile(r"BUY .* ·\sMANUAL\sSIMULATED ·\s#1"),
    ):
        await expect(told(page, words).first).to_be_attached(timeout=SOON_MS)
    signal = told(page, "Why I want to buy").first
    for reason in ("✓ Probability: ", "✓ Trend: ", "✓ RSI(14) ", "✓ MACD histogram "):
        await expect(signal).to_contain_text(reason)
    welcome = told(page, "Hi, I am AutoTrader")
    await expect(welcome).to_contain_text("Nothing here can cost you a cent")
    await expect(welcome).to_contain_text("To go real")


async def _take_picture(page: PhonePage, folder: Path) -> None:
    """The README's picture: a signal with its reasons, the trade and the card, on a long phone."""
    path = PICTURE if TAKES_README_PICTURE else folder / "phone.png"
    path.parent.mkdir(exist_ok=True)
    shown = [told(page, words).first for words in ("Why I want to buy", re.compile(r"BUY .*\s#1"), " bought ")]
    tops = [await one.evaluate("e => e.offsetTop") for one in shown]
    ends = [await one.evaluate("e => e.offsetTop + e.offsetHeight") for one in shown]
    around = await page.page.evaluate("innerHeight - document.querySelector('#scroll').clientHeight")
    await page.page.set_viewport_size({"width": 390, "height": int(max(ends) - min(tops) + around + 16)})
    await page.page.locator("#scroll").evaluate("(e, top) => { e.scrollTop = top; }", min(tops) - 8)
    await page.screenshot(path)
    path.write_bytes(await small_png(path.read_bytes(), page.page.context))
    assert 20_000 < path.stat().st_size < 300_000
    await page.page.set_viewport_size({"width": 390, "height": 844})


async def _pause_and_resume(page: PhonePage) -> None:
    await page.send("/status")
    await page.wait_for_bubble(re.compile("RUNNING .*SIMULATED"))
    await page.tap(re.compile("Pause"))
    await page.wait_for_bubble("Paused until you send /resume")
    await page.send("/status")
    status = await page.wait_for_bubble("RUNNING, PAUSED")
    await expect(status).to_contain_text(re.compile(r"Mode\s+auto, paused"))
    await page.tap(re.compile("Resume"))
    await page.wait_for_bubble("Active in mode auto")
    await page.send("/status")
    await expect(told(page, "Next cycle").last).to_contain_text(re.compile(r"Mode\s+auto\n"))


async def _execute_the_card(page: PhonePage) -> None:
    """/pending shows the card again; after one tap no copy of it counts or looks alive any more."""
    original = told(page, "#1").first
    for copies in (1, 2):
        await page.send("/pending")
        await expect(told(page, "Only at").filter(has=page.page.locator(".keys"))).to_have_count(1 + copies)
    await page.tap("✅ Executed")
    await page.wait_for_toast("Got it: booking #1 at the shown price.")
    await expect(original).to_contain_text(re.compile(r"✅ .* executed ·\sMANUAL\sSIMULATED ·\s#1"))
    await expect(original.locator(".keys")).to_have_count(0)
    await expect(told(page, "Only at").last.locator(".keys")).to_have_count(0)

    await page.tap("⏭ Skip")
    dialog = page.page.get_by_role("dialog")
    await expect(dialog).to_contain_text("#1 is closed already. Nothing was changed.")
    await dialog.get_by_role("button", name="OK").click()
    await expect(page.page.get_by_role("button", name="⏭ Skip")).to_have_count(0)

    await page.send("/positions")
    held = await page.wait_for_bubble(re.compile(r"positions? "))
    await expect(held).to_contain_text("Manual account")
    await expect(held).to_contain_text("you; I only alert")


async def _ask_for_things(page: PhonePage) -> None:
    await page.send("/help")
    await page.wait_for_bubble("What I understand")
    await page.send("/mode")
    await page.wait_for_bubble("Mode auto")
    await page.tap("confirm")
    await page.wait_for_bubble("Active in mode confirm")
    await page.send("/psitions")
    await page.wait_for_bubble("Did you mean /positions?")
    await page.send("/report")
    await page.wait_for_bubble("Ledger head")


async def _every_message_says_simulated(page: PhonePage) -> None:
    texts = await told(page, re.compile("")).locator(".text").all_inner_texts()
    assert len(texts) > 12
    assert [text for text in texts if "SIMULATED" not in text] == []
