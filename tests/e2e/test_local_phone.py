"""The chat page in a real browser, against a small bot on the real python-telegram-bot."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from telegram import BotCommand, InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import (
    Application,
    CallbackQueryHandler,
    CommandHandler,
    ContextTypes,
    ExtBot,
    MessageHandler,
    filters,
)
from telegram.request import HTTPXRequest

from bot.localphone.server import LocalPhone
from tests.e2e.phone_page import DESKTOP, browser, chromium, phone_page
from tests.servers.bot_api_server import BotApiServer

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.browser,
    pytest.mark.feature("U3"),
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
]
CARD = (
    "<b>BUY SPY</b> 5 at about 471.20\n"
    "Probability 0.64 &gt; 0.60; details: /why\n"
    "<pre>Stop      447.64   -5.0 %\nTarget    541.88  +15.0 %\nSpend   2,356.00   23.6 %</pre>"
)
KEYS = InlineKeyboardMarkup(
    [
        [
            InlineKeyboardButton("Executed", callback_data="executed", api_kwargs={"style": "success"}),
            InlineKeyboardButton("Skip", callback_data="skip"),
        ],
        [InlineKeyboardButton("Explain", callback_data="explain")],
    ]
)


async def _card(update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
    assert update.message is not None
    await update.message.reply_html(CARD, reply_markup=KEYS)


async def _echo(update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
    assert update.message is not None and update.message.text is not None
    await update.message.reply_text(f"You said: {update.message.text}", do_quote=True)


async def _tapped(update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
    query = update.callback_query
    assert query is not None
    if query.data == "explain":
        await query.answer("The trend and the model agree.", show_alert=True)
    elif query.data == "skip":
        await query.answer()
        await query.delete_message()
    else:
        await query.answer("Booked")
        await query.edit_message_text("<b>BOUGHT SPY</b> 5", parse_mode="HTML")


@asynccontextmanager
async def answering_bot(phone: LocalPhone) -> AsyncIterator[ExtBot[None]]:
    """A polling bot with a card, an echo and the three buttons above."""
    straight = [HTTPXRequest(httpx_kwargs={"trust_env": False, "verify": False}) for _ in range(2)]
    builder = Application.builder().token(phone.token).base_url(phone.base_url)
    application = builder.request(straight[0]).get_updates_request(straight[1]).build()
    application.add_handler(CommandHandler("card", _card))
    application.add_handler(CallbackQueryHandler(_tapped))
    application.add_handler(MessageHandler(filters.TEXT, _echo))
    async with application:
        await application.bot.set_my_commands(
            [BotCommand("card", "Show me a card"), BotCommand("cash", "How much is left"), BotCommand("why", "Reasons")]
        )
        await application.start()
        assert application.updater is not None
        await application.updater.start_polling()
        yield application.bot
        await application.updater.stop()
        await application.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chrome() -> AsyncIterator[Browser]:
    async with browser() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def phone(tmp_path: Path) -> AsyncIterator[LocalPhone]:
    served = BotApiServer(tmp_path / "phone.sqlite3")
    await served.start()
    yield served
    await served.stop()


async def test_a_card_is_asked_for_tapped_and_changes_before_the_owners_eyes(
    phone: LocalPhone, chrome: Browser, tmp_path: Path
) -> None:
    async with phone_page(shared=chrome) as page, answering_bot(phone):
        await page.open(phone.page_url)
        assert "key=" not in page.page.url
        await page.send("/card")
        await page.wait_for_bubble("/card", mine=True)
        card = await page.wait_for_bubble("BUY SPY")
        await expect(card.locator("b")).to_have_text("BUY SPY")
        await expect(card.locator("pre")).to_contain_text("Target    541.88  +15.0 %")
        await page.screenshot(tmp_path / "light.png")

        await page.tap("Explain")
        dialog = page.page.get_by_role("dialog")
        await expect(dialog).to_contain_text("The trend and the model agree.")
        await dialog.get_by_role("button", name="OK").click()

        await page.tap("Executed")
        await page.wait_for_toast("Booked")
        await page.wait_for_bubble("BOUGHT SPY")
        await expect(page.page.get_by_role("button", name="Executed")).to_have_count(0)
        assert page.problems == []


async def test_a_skipped_card_disappears_and_a_command_in_a_text_can_be_tapped(
    phone: LocalPhone, chrome: Browser
) -> None:
    async with phone_page(shared=chrome) as page, answering_bot(phone):
        await page.open(phone.page_url)
        await page.send("/card")
        card = await page.wait_for_bubble("BUY SPY")
        await card.get_by_role("button", name="/why").click()
        await page.wait_for_bubble("You said: /why")
        await page.tap("Skip")
        await page.wait_until_gone("BUY SPY")


async def test_text_is_shown_as_text_whatever_it_looks_like(phone: LocalPhone, chrome: Browser) -> None:
    nasty = "<img src=x onerror=\"document.title='owned'\"> <b>not bold</b> 📈 & co"
    async with phone_page(shared=chrome) as page, answering_bot(phone):
        await page.open(phone.page_url)
        await page.send(nasty)
        echoed = await page.wait_for_bubble("You said: <img")
        await expect(echoed.locator(".text")).to_have_text(f"You said: {nasty}")
        await expect(echoed.locator("img, b")).to_have_count(0)
        await expect(page.page).to_have_title("AutoTrader")
        assert page.problems == []


async def test_the_keyboard_alone_is_enough(phone: LocalPhone, chrome: Browser) -> None:
    async with phone_page(shared=chrome) as page, answering_bot(phone):
        await page.open(phone.page_url)
        box, menu, keyboard = (
            page.page.get_by_label("Message", exact=True),
            page.page.locator("#menu"),
            page.page.keyboard,
        )
        await box.press_sequentially("/ca")
        await expect(menu.get_by_role("option")).to_have_count(2)
        await keyboard.press("Escape")
        await expect(menu).to_be_hidden()
        await box.press("s")
        await expect(menu.get_by_role("option")).to_have_count(1)
        await keyboard.press("Tab")
        await expect(box).to_have_value("/cash ")
        await box.fill("first")
        await keyboard.press("Shift+Enter")
        await keyboard.type("second")
        await keyboard.press("Enter")
        await page.wait_for_bubble(re.compile("You said: first\nsecond"))
        await expect(box).to_have_value("")
        await page.page.get_by_role("button", name="Commands").click()
        await expect(menu.get_by_role("option")).to_have_count(3)
        await keyboard.press("ArrowDown")
        await keyboard.press("Enter")
        await page.wait_for_bubble("BUY SPY")


async def test_a_button_waits_visibly_until_the_bot_answers(phone: LocalPhone, chrome: Browser) -> None:
    async with phone_page(shared=chrome) as page:
        await page.open(phone.page_url)
        async with answering_bot(phone) as bot:
            await bot.send_message(phone.owner_id, CARD, parse_mode="HTML", reply_markup=KEYS)
        await page.tap("Explain")
        waiting = page.page.locator(".key.waiting")
        await expect(waiting).to_have_attribute("aria-busy", "true")
        await expect(page.page.locator(".keys button:disabled")).to_have_count(3)
        async with answering_bot(phone):
            await expect(waiting).to_have_count(0)
        await expect(page.page.get_by_role("dialog")).to_contain_text("The trend")


async def test_a_restart_is_shown_and_then_caught_up_with(phone: LocalPhone, chrome: Browser) -> None:
    async with phone_page(shared=chrome) as page:
        await page.open(phone.page_url)
        await page.send("before")
        await page.wait_for_bubble("before", mine=True)
        await phone.stop()
        await page.wait_for_link("broken")
        await expect(page.page.locator("#status")).to_have_text("reconnecting…")
        await phone.start()
        await page.wait_for_link("open")
        async with answering_bot(phone):
            await page.wait_for_bubble("You said: before")
        await expect(page.page.locator(".message.mine")).to_have_count(1)


async def test_a_long_history_is_fetched_as_one_scrolls_up(phone: LocalPhone, chrome: Browser) -> None:
    async with phone_page(shared=chrome) as page, answering_bot(phone) as bot:
        for number in range(130):
            await bot.send_message(phone.owner_id, f"line {number:03}")
        await page.open(phone.page_url)
        await page.wait_for_bubble("line 129")
        await expect(page.page.get_by_text("line 000")).to_have_count(0)
        await page.page.locator("#scroll").evaluate("element => { element.scrollTop = 0; }")
        await expect(page.page.get_by_text("line 000")).to_have_count(1)
        await bot.send_message(phone.owner_id, "news")
        await expect(page.page.get_by_role("button", name="To the newest message")).to_contain_text("1")


async def test_without_the_key_the_browser_is_told_where_to_find_it(phone: LocalPhone, chrome: Browser) -> None:
    async with phone_page(shared=chrome) as page:
        await page.page.goto(f"http://127.0.0.1:{phone.port}/")
        await expect(page.page.locator("body")).to_contain_text("Open the address that AutoTrader printed")


@pytest.mark.parametrize("dark", [False, True])
async def test_nothing_sticks_out_on_a_phone_or_a_desk_in_light_or_dark(
    phone: LocalPhone, chrome: Browser, tmp_path: Path, dark: bool
) -> None:
    async with answering_bot(phone) as bot:
        await bot.send_message(phone.owner_id, CARD, parse_mode="HTML", reply_markup=KEYS)
        await bot.send_message(phone.owner_id, f"{CARD}\n{'because ' * 40}", parse_mode="HTML")
        await bot.send_message(phone.owner_id, "w" * 300)
        for size in ((390, 844), DESKTOP):
            async with phone_page(size=size, dark=dark, shared=chrome) as page:
                await page.open(phone.page_url)
                await page.wait_for_bubble("www")
                wider = await page.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
                assert wider <= 0
                # A focused button that hangs over the edge would move the whole chat sideways.
                assert await page.page.locator("#scroll").evaluate("one => one.scrollWidth <= one.clientWidth")
                inner = page.page.locator("pre").first
                assert await inner.evaluate("block => block.scrollWidth <= block.clientWidth")
                column = await page.page.locator(".phone").bounding_box()
                assert column is not None and abs(column["x"] * 2 + column["width"] - size[0]) <= 1
                picture = tmp_path / f"{size[0]}.png"
                await page.screenshot(picture)
                assert picture.stat().st_size > 5_000
