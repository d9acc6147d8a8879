"""Pictures, documents, pins, reactions and replies on the chat page, in a real browser."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect
from telegram import Bot, ForceReply, InlineKeyboardButton, InlineKeyboardMarkup, InputMediaPhoto, ReplyParameters
from telegram.request import HTTPXRequest

from tests.e2e.phone_page import DESKTOP, PHONE, PhonePage, browser, chromium, phone_page
from tests.servers.bot_api_server import TOKEN, BotApiServer

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.browser,
    pytest.mark.feature("U3"),
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
]
SMALL = (320, 640)
KEYS = InlineKeyboardMarkup(
    [[InlineKeyboardButton("Approve", callback_data="a"), InlineKeyboardButton("Skip", callback_data="s")]]
)
_SWIPE = """(box) => {
  const touch = (x, y) => new Touch({ identifier: 1, target: box, clientX: x, clientY: y });
  const tell = (kind, touches) => box.dispatchEvent(new TouchEvent(kind, { touches, bubbles: true }));
  tell("touchstart", [touch(300, 100)]);
  for (const x of [280, 250, 220]) tell("touchmove", [touch(x, 102)]);
  tell("touchend", []);
}"""
_NAMELESS = """() => [...document.querySelectorAll("button, a[href], textarea, img, [role]")].filter((one) =>
  !one.closest("[hidden], dialog:not([open])")
  && !(one.getAttribute("aria-label") || one.getAttribute("alt") || one.textContent.trim() || one.title)
).map((one) => one.outerHTML)"""


def png(width: int, height: int, shade: int = 200) -> bytes:
    """A grey picture."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = (b"\0" + bytes([shade]) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chrome() -> AsyncIterator[Browser]:
    async with browser() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def phone(tmp_path: Path) -> AsyncIterator[BotApiServer]:
    served = BotApiServer(tmp_path / "phone.sqlite3")
    await served.start()
    yield served
    await served.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def bot(phone: BotApiServer) -> AsyncIterator[Bot]:
    straight = [HTTPXRequest(httpx_kwargs={"trust_env": False, "verify": False}) for _ in range(2)]
    async with Bot(TOKEN, base_url=phone.base_url, request=straight[0], get_updates_request=straight[1]) as one:
        yield one


@asynccontextmanager
async def opened(phone: BotApiServer, chrome: Browser, **options: object) -> AsyncIterator[PhonePage]:
    """The page; what its console complained of fails the test."""
    async with phone_page(shared=chrome, **options) as page:  # type: ignore[arg-type]
        await page.open(phone.page_url)
        yield page
        assert page.problems == []


async def drawn(image: Locator) -> tuple[float, float]:
    """The size of a picture that has arrived, as it was sent."""
    await expect(image).to_have_js_property("complete", True)
    return tuple(await image.evaluate("one => [one.naturalWidth, one.naturalHeight]"))


async def test_a_picture_is_opened_by_a_tap_zoomed_and_closed_again(
    phone: BotApiServer, bot: Bot, chrome: Browser
) -> None:
    async with opened(phone, chrome) as page:
        await bot.send_photo(phone.owner_id, png(900, 500), caption="<b>SPY</b> today", parse_mode="HTML")
        bubble = await page.wait_for_bubble("SPY today")
        await expect(bubble.locator("b")).to_have_text("SPY")
        assert await drawn(bubble.locator("img")) == (900, 500)
        opener = page.page.get_by_role("button", name="Picture: SPY today. Open")
        await opener.click()
        viewer = page.page.get_by_role("dialog", name="Picture")
        await expect(viewer).to_be_visible()
        image = viewer.get_by_role("img", name="Picture: SPY today")
        fitting = await image.bounding_box()
        await image.click()
        zoom = viewer.get_by_role("button", name="Zoom")
        await expect(zoom).to_have_attribute("aria-pressed", "true")
        larger = await image.bounding_box()
        assert fitting is not None and larger is not None and larger["width"] > fitting["width"] * 1.9
        await page.page.keyboard.press("0")
        await expect(zoom).to_have_attribute("aria-pressed", "false")
        await page.page.keyboard.press("+")
        await expect(zoom).to_have_attribute("aria-pressed", "true")
        await page.page.keyboard.press("Escape")
        await expect(viewer).to_be_hidden()
        await expect(opener).to_be_focused()


async def test_a_picture_and_a_document_are_saved_under_their_names(
    phone: BotApiServer, bot: Bot, chrome: Browser, tmp_path: Path
) -> None:
    async with opened(phone, chrome) as page:
        await bot.send_document(phone.owner_id, b"symbol,quantity\n" * 100, filename="trades über.csv", caption="All")
        await page.wait_for_bubble("All")
        link = page.page.get_by_role("link", name="Save trades über.csv, 1.6 KB")
        async with page.page.expect_download() as saving:
            await link.click()
        saved = await saving.value
        assert saved.suggested_filename == "trades über.csv"
        await saved.save_as(tmp_path / "saved")
        assert (tmp_path / "saved").read_bytes() == b"symbol,quantity\n" * 100
        await bot.send_photo(phone.owner_id, png(300, 300))
        await page.page.get_by_role("button", name="Picture. Open").click()
        async with page.page.expect_download() as saving:
            await page.page.get_by_role("link", name="Save the picture").click()
        assert (await saving.value).suggested_filename == "photo.png"
        await page.page.get_by_role("button", name="Close").click()


async def test_a_chart_changes_and_disappears_before_the_owners_eyes(
    phone: BotApiServer, bot: Bot, chrome: Browser
) -> None:
    async with opened(phone, chrome) as page:
        sent = await bot.send_photo(phone.owner_id, png(400, 200), caption="first", reply_markup=KEYS)
        bubble = await page.wait_for_bubble("first")
        await bot.edit_message_caption(phone.owner_id, sent.message_id, caption="second", reply_markup=KEYS)
        await page.wait_for_bubble("second")
        await bot.edit_message_media(InputMediaPhoto(png(200, 400), caption="third"), phone.owner_id, sent.message_id)
        bubble = await page.wait_for_bubble("third")
        assert await drawn(bubble.locator("img")) == (200, 400)
        await expect(bubble.locator(".key")).to_have_count(0)
        await bot.delete_message(phone.owner_id, sent.message_id)
        await page.wait_until_gone("third")
        await expect(page.page.locator(".empty")).to_be_visible()


async def test_a_picture_that_is_not_kept_any_more_says_so(phone: BotApiServer, bot: Bot, chrome: Browser) -> None:
    async with phone_page(shared=chrome) as page:
        await page.open(phone.page_url)
        await page.page.route("**/phone/file/*", lambda route: route.fulfill(status=404))
        await bot.send_photo(phone.owner_id, png(100, 100), caption="old")
        await page.wait_for_bubble("This picture is no longer kept.")


@pytest.mark.feature("D12")
async def test_the_pinned_message_stands_above_and_always_says_what_it_says_now(
    phone: BotApiServer, bot: Bot, chrome: Browser
) -> None:
    async with opened(phone, chrome) as page:
        status = await bot.send_message(phone.owner_id, "RUNNING\nnext tick 14:35")
        await bot.pin_chat_message(phone.owner_id, status.message_id)
        bar = page.page.get_by_role("button", name=re.compile("^Pinned message"))
        await expect(bar).to_contain_text("RUNNING")
        await expect(bar).not_to_contain_text("next tick")
        await expect(page.page.get_by_role("button", name="AutoTrader pinned “RUNNING”")).to_be_visible()
        await bot.edit_message_text("DEGRADED", phone.owner_id, status.message_id)
        await expect(bar).to_contain_text("DEGRADED")
        for number in range(130):
            await bot.send_message(phone.owner_id, f"line {number}")
        await page.page.reload()
        await page.wait_for_bubble("line 129")
        await expect(page.page.locator(".message").filter(has_text="DEGRADED")).to_have_count(0)
        await bar.click()
        await expect(page.page.locator(f'.sought[data-id="{status.message_id}"]')).to_be_in_viewport()
        await bot.unpin_chat_message(phone.owner_id)
        await expect(bar).to_be_hidden()


async def test_a_reaction_appears_changes_and_goes(phone: BotApiServer, bot: Bot, chrome: Browser) -> None:
    async with opened(phone, chrome) as page:
        await page.send("/executed SPY")
        bubble = await page.wait_for_bubble("/executed SPY", mine=True)
        message_id = int(await bubble.get_attribute("data-id") or 0)
        await bot.set_message_reaction(phone.owner_id, message_id, "👀")
        await expect(bubble.get_by_role("img", name="Reaction: 👀")).to_be_visible()
        await bot.set_message_reaction(phone.owner_id, message_id, "👍")
        await expect(bubble.locator(".reaction")).to_have_text("👍")
        await page.page.reload()
        await expect(bubble.locator(".reaction")).to_have_text("👍")
        await bot.set_message_reaction(phone.owner_id, message_id)
        await expect(bubble.locator(".reaction")).to_have_count(0)


@pytest.mark.feature("M9")
async def test_a_question_puts_the_cursor_under_itself_and_gets_a_reply(
    phone: BotApiServer, bot: Bot, chrome: Browser
) -> None:
    async with opened(phone, chrome) as page:
        box, bar = page.page.get_by_label("Message", exact=True), page.page.locator("#replying")
        await expect(bar).to_be_hidden()
        question = ForceReply(input_field_placeholder="512.30")
        asked = await bot.send_message(phone.owner_id, "At which price?", reply_markup=question)
        await expect(box).to_be_focused()
        await expect(box).to_have_attribute("placeholder", "512.30")
        await expect(bar).to_contain_text("At which price?")
        await page.page.reload()
        await expect(bar).to_contain_text("At which price?")
        await expect(box).to_be_focused()
        await page.page.keyboard.type("512,40")
        await page.page.keyboard.press("Enter")
        mine = await page.wait_for_bubble("512,40", mine=True)
        await expect(mine.locator(".quote")).to_contain_text("At which price?")
        await expect(bar).to_be_hidden()
        await expect(box).to_have_attribute("placeholder", "Message")
        (update,) = await bot.get_updates()
        assert update.message is not None and update.message.reply_to_message is not None
        assert update.message.reply_to_message.message_id == asked.message_id


async def test_a_message_is_answered_by_button_by_keys_and_by_a_swipe(
    phone: BotApiServer, bot: Bot, chrome: Browser
) -> None:
    async with opened(phone, chrome) as page:
        sent = await bot.send_message(phone.owner_id, "SPY BUY 5\nat 471.20")
        bubble, bar = await page.wait_for_bubble("SPY BUY"), page.page.locator("#replying")
        answer = bubble.get_by_role("button", name="Reply to: SPY BUY 5")
        await answer.focus()
        await page.page.keyboard.press("Enter")
        await expect(bar).to_contain_text("SPY BUY 5")
        await page.page.keyboard.press("Escape")
        await expect(bar).to_be_hidden()
        await bubble.evaluate(_SWIPE)
        await expect(bar).to_be_visible()
        await page.page.get_by_role("button", name="Do not reply").click()
        await expect(bar).to_be_hidden()
        await bubble.hover()
        await answer.click()
        await page.send("bought 5 at 471,25")
        mine = await page.wait_for_bubble("bought 5", mine=True)
        await mine.get_by_role("button", name="In reply to AutoTrader: SPY BUY 5. Show it").click()
        await expect(bubble).to_have_class(re.compile("sought"))
        await bot.edit_message_text("SPY BOUGHT 5", phone.owner_id, sent.message_id)
        await expect(mine.locator(".quote-text")).to_have_text("SPY BOUGHT 5")
        await page.page.reload()
        await expect(mine.locator(".quote-text")).to_have_text("SPY BOUGHT 5")
        await page.send("and a plain one")
        plain = await page.wait_for_bubble("and a plain one", mine=True)
        await expect(plain.locator(".quote")).to_have_count(0)


async def test_a_reply_whose_message_goes_is_a_plain_text_again(phone: BotApiServer, bot: Bot, chrome: Browser) -> None:
    async with opened(phone, chrome) as page:
        sent = await bot.send_message(phone.owner_id, "card")
        bubble = await page.wait_for_bubble("card")
        await bubble.hover()
        await bubble.get_by_role("button", name="Reply to: card").click()
        await bot.delete_message(phone.owner_id, sent.message_id)
        await expect(page.page.locator("#replying")).to_be_hidden()


@pytest.mark.parametrize(("size", "dark"), [(SMALL, True), (PHONE, False), (DESKTOP, True)])
async def test_everything_fits_and_has_a_name_for_screen_readers(
    phone: BotApiServer, bot: Bot, chrome: Browser, size: tuple[int, int], dark: bool
) -> None:
    me = phone.owner_id
    first = await bot.send_message(me, "w" * 200)
    await bot.pin_chat_message(me, first.message_id)
    await bot.send_photo(me, png(1200, 300), caption="wide " * 40, reply_parameters=ReplyParameters(first.message_id))
    await bot.send_photo(me, png(60, 900), reply_markup=KEYS)
    await bot.send_document(me, b"x", filename="a" * 110 + ".csv")
    await bot.send_message(me, "price?", reply_markup=ForceReply(input_field_placeholder="0" * 60))
    async with opened(phone, chrome, size=size, dark=dark) as page:
        await page.wait_for_bubble("price?")
        for image in await page.page.locator(".photo img").all():
            await image.scroll_into_view_if_needed()
            await drawn(image)
            box = await image.bounding_box()
            assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= size[0]
        assert await page.page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        assert await page.page.locator("#scroll").evaluate("one => one.scrollWidth <= one.clientWidth")
        assert await page.page.evaluate(_NAMELESS) == []


async def test_the_newest_message_stays_in_sight_when_the_room_for_it_shrinks(
    phone: BotApiServer, bot: Bot, chrome: Browser
) -> None:
    async with opened(phone, chrome) as page:
        for number in range(30):
            await bot.send_message(phone.owner_id, f"line {number}")
        newest = await page.wait_for_bubble("line 29")
        await page.page.set_viewport_size({"width": 390, "height": 420})
        await expect(newest).to_be_in_viewport(ratio=1)
        question = await bot.send_photo(phone.owner_id, png(300, 100), caption="which?", reply_markup=ForceReply())
        assert question.photo
        await expect(await page.wait_for_bubble("which?")).to_be_in_viewport(ratio=0.99)


async def test_what_is_hidden_is_shown_by_tap_and_by_key(phone: BotApiServer, bot: Bot, chrome: Browser) -> None:
    async with opened(phone, chrome) as page:
        await bot.send_message(phone.owner_id, "price <tg-spoiler>512.30</tg-spoiler>", parse_mode="HTML")
        text = page.page.get_by_role("button", name="Hidden text. Show")
        await text.focus()
        await page.page.keyboard.press("Enter")
        await expect(page.page.locator(".spoiler.shown")).to_have_text("512.30")
        await expect(text).to_have_count(0)
        await bot.send_photo(phone.owner_id, png(200, 100), has_spoiler=True)
        await page.page.get_by_role("button", name="Hidden picture. Show").click()
        await page.page.get_by_role("button", name="Picture. Open").click()
        await expect(page.page.get_by_role("dialog", name="Picture")).to_be_visible()


async def test_who_begins_to_type_types_a_message(phone: BotApiServer, chrome: Browser) -> None:
    async with opened(phone, chrome) as page:
        await page.page.locator("#name").click()
        await page.page.keyboard.type("/status now")
        await expect(page.page.get_by_label("Message", exact=True)).to_have_value("/status now")
        await page.page.keyboard.press("Enter")
        await page.wait_for_bubble("/status now", mine=True)
