"""Pictures, documents, captions, pins, reactions and forced replies: the real library against the local phone."""

from __future__ import annotations

import struct
import zlib
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from telegram import (
    Bot,
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    InputMediaVideo,
    MenuButtonCommands,
    MenuButtonDefault,
    MenuButtonWebApp,
    MessageEntity,
    ReactionTypeCustomEmoji,
    ReactionTypeEmoji,
    ReplyParameters,
    WebAppInfo,
)
from telegram.error import BadRequest, NetworkError, TelegramError
from telegram.request import HTTPXRequest

from bot.localphone.files import MAX_DOCUMENT_BYTES, MAX_DOWNLOAD_BYTES, MAX_PHOTO_BYTES
from bot.localphone.pictures import picture
from core.clock import VirtualClock
from tests.contract.phone_owner import Owner
from tests.servers.bot_api_server import TOKEN, BotApiServer
from tests.servers.faults import LOSE_ANSWER

pytestmark = pytest.mark.feature("U3")
START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
KEYS = InlineKeyboardMarkup([[InlineKeyboardButton("Go", callback_data="go")]])
HTML = "HTML"
CSV = b"symbol,quantity\nSPY,3\n"


def png(width: int = 40, height: int = 20) -> bytes:
    """A white picture."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + b"\xff" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[BotApiServer]:
    served = BotApiServer(tmp_path / "phone.sqlite3", VirtualClock(START))
    await served.start()
    yield served
    await served.stop()


@pytest.fixture
async def bot(server: BotApiServer) -> AsyncIterator[Bot]:
    straight = [HTTPXRequest(httpx_kwargs={"trust_env": False, "verify": False}) for _ in range(2)]
    async with Bot(
        TOKEN,
        base_url=server.base_url,
        base_file_url=server.base_file_url,
        request=straight[0],
        get_updates_request=straight[1],
    ) as one:
        yield one


@pytest.fixture
async def owner(server: BotApiServer) -> AsyncIterator[Owner]:
    async with Owner(server) as person:
        yield person


@pytest.fixture
def me(server: BotApiServer) -> int:
    return server.owner_id


async def refusal(call: Awaitable[Any]) -> str:
    with pytest.raises(BadRequest) as caught:
        await call
    return str(caught.value.message)


async def test_a_photo_arrives_with_its_size_caption_and_buttons(bot: Bot, me: int, owner: Owner) -> None:
    sent = await bot.send_photo(
        me, png(640, 360), caption="<b>SPY</b> +1.2 %", parse_mode=HTML, reply_markup=KEYS, has_spoiler=True
    )
    (photo,) = sent.photo
    assert (photo.width, photo.height, photo.file_size) == (640, 360, len(png(640, 360)))
    assert sent.caption == "SPY +1.2 %"
    assert [(entity.type, entity.offset, entity.length) for entity in sent.caption_entities] == [("bold", 0, 3)]
    assert sent.reply_markup == KEYS
    assert sent.has_media_spoiler is True
    assert sent.text is None
    seen = await owner.http.get(f"/phone/file/{photo.file_id}")
    assert (seen.headers["Content-Type"], seen.content) == ("image/png", png(640, 360))
    assert "attachment" not in seen.headers.get("Content-Disposition", "")


async def test_a_document_arrives_under_its_name_and_is_only_ever_saved(bot: Bot, me: int, owner: Owner) -> None:
    sent = await bot.send_document(me, CSV, filename="trades über.csv", caption="All of it")
    document = sent.document
    assert document is not None
    assert (document.file_name, document.mime_type, document.file_size) == ("trades über.csv", "text/csv", len(CSV))
    page = await bot.send_document(me, b"<script>alert(1)</script>", filename="page.html")
    assert page.document is not None
    for file_id, content in ((document.file_id, CSV), (page.document.file_id, b"<script>alert(1)</script>")):
        saved = await owner.http.get(f"/phone/file/{file_id}")
        assert saved.content == content
        assert saved.headers["Content-Type"] == "application/octet-stream"
        assert saved.headers["Content-Disposition"].startswith("attachment;")
        assert saved.headers["X-Content-Type-Options"] == "nosniff"
    assert (
        "trades%20%C3%BCber.csv"
        in (await owner.http.get(f"/phone/file/{document.file_id}")).headers["Content-Disposition"]
    )


async def test_a_bot_gets_its_file_back(bot: Bot, server: BotApiServer, me: int) -> None:
    document = (await bot.send_document(me, CSV, filename="trades.csv")).document
    assert document is not None
    file = await bot.get_file(document.file_id)
    assert (file.file_size, file.file_unique_id) == (len(CSV), document.file_unique_id)
    assert bytes(await file.download_as_bytearray()) == CSV
    assert await refusal(bot.get_file("nonsense")) == "Invalid file_id"
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        lost = await http.get(f"{server.base_file_url}{TOKEN}/documents/{'0' * 24}.csv")
        assert (lost.status_code, lost.json()["description"]) == (404, "Not Found")
        stranger = await http.get(f"{server.base_file_url}{TOKEN[:-1]}B/documents/x.csv")
        assert stranger.status_code == 401


async def test_a_file_is_sent_again_by_its_id_and_nothing_else(bot: Bot, me: int) -> None:
    first = await bot.send_photo(me, png())
    again = await bot.send_photo(me, first.photo[0].file_id, caption="again")
    assert again.photo == first.photo
    same = await bot.send_photo(me, png())
    assert same.photo[0].file_unique_id == first.photo[0].file_unique_id
    wrong = "Wrong file identifier/http url specified"
    assert (await refusal(bot.send_photo(me, "nonsense"))).lower() == wrong.lower()
    assert (await refusal(bot.send_photo(me, "https://example.org/a.png"))).lower() == wrong.lower()
    as_document = await refusal(bot.send_document(me, first.photo[0].file_id))
    assert as_document.lower() == "can't use file of type photo as document"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "file must be non-empty"),
        (b"no picture at all", "image_process_failed"),
        (png()[:20], "image_process_failed"),
        (png(1, 21), "photo_invalid_dimensions"),
        (png(5001, 5000), "photo_invalid_dimensions"),
        (
            png() + b"\0" * MAX_PHOTO_BYTES,
            f"file of size {len(png()) + MAX_PHOTO_BYTES} bytes is too big for a photo; "
            f"the maximum size is {MAX_PHOTO_BYTES} bytes",
        ),
    ],
    ids=["empty", "text", "broken", "too narrow", "too large", "too heavy"],
)
async def test_what_is_no_photo_for_telegram_is_refused(
    bot: Bot, me: int, owner: Owner, content: bytes, reason: str
) -> None:
    assert (await refusal(bot.send_photo(me, content, filename="a.png"))).lower() == reason
    assert await owner.sees() == []


async def test_a_document_may_have_50_megabytes_and_not_more(bot: Bot, me: int) -> None:
    heavy = await bot.send_document(me, b"\0" * (MAX_DOWNLOAD_BYTES + 1), filename="a.bin")
    assert heavy.document is not None
    assert await refusal(bot.get_file(heavy.document.file_id)) == "File is too big"
    with pytest.raises(TelegramError, match="Request Entity Too Large"):
        await bot.send_document(me, b"\0" * (MAX_DOCUMENT_BYTES + (2 << 20)), filename="b.bin")


async def test_a_caption_has_1024_utf16_units_after_parsing(bot: Bot, me: int) -> None:
    longest = "<b>" + "📈" * 512 + "</b>"
    sent = await bot.send_photo(me, png(), caption=longest, parse_mode=HTML)
    assert sent.caption == "📈" * 512
    assert await refusal(bot.send_photo(me, png(), caption="📈" * 512 + "x")) == "Message caption is too long"
    assert await refusal(bot.edit_message_caption(me, sent.message_id, caption="x" * 1025)) == "Media_caption_too_long"
    assert "unsupported start tag" in (await refusal(bot.send_photo(me, png(), caption="<p>", parse_mode=HTML))).lower()
    entity = MessageEntity(MessageEntity.BOLD, 0, 1)
    marked = await bot.send_document(me, CSV, filename="a.csv", caption="ab", caption_entities=[entity])
    assert marked.caption_entities == (entity,)
    assert (await bot.send_photo(me, png(), caption="  ")).caption is None


async def test_a_caption_is_edited_and_taken_away_and_buttons_with_it(bot: Bot, me: int) -> None:
    sent = await bot.send_photo(me, png(), caption="old", reply_markup=KEYS)
    edited = await bot.edit_message_caption(me, sent.message_id, caption="<i>new</i>", parse_mode=HTML)
    assert not isinstance(edited, bool)
    assert (edited.caption, edited.photo, edited.reply_markup) == ("new", sent.photo, None)
    bare = await bot.edit_message_caption(me, sent.message_id)
    assert not isinstance(bare, bool) and bare.caption is None
    assert (await refusal(bot.edit_message_caption(me, sent.message_id))).startswith("Message is not modified")
    text = await bot.send_message(me, "only text")
    nothing = "There is no caption in the message to edit"
    assert await refusal(bot.edit_message_caption(me, text.message_id, caption="x")) == nothing
    assert await refusal(bot.edit_message_caption(me, 999, caption="x")) == "Message to edit not found"


async def test_a_text_becomes_a_picture_and_a_picture_no_text(bot: Bot, me: int) -> None:
    text = await bot.send_message(me, "soon a chart")
    drawn = await bot.edit_message_media(
        InputMediaPhoto(png(30, 30), caption="<b>a</b>", parse_mode=HTML), me, text.message_id
    )
    assert not isinstance(drawn, bool)
    assert (drawn.photo[0].width, drawn.caption, drawn.text) == (30, "a", None)
    assert await refusal(bot.edit_message_text("x", me, text.message_id)) == "There is no text in the message to edit"
    saved = await bot.edit_message_media(
        InputMediaDocument(CSV, filename="a.csv"), me, text.message_id, reply_markup=KEYS
    )
    assert not isinstance(saved, bool) and saved.document is not None
    assert (saved.document.file_name, saved.photo, saved.caption, saved.reply_markup) == ("a.csv", (), None, KEYS)
    same = InputMediaDocument(saved.document.file_id)
    assert (await refusal(bot.edit_message_media(same, me, text.message_id, reply_markup=KEYS))).startswith(
        "Message is not modified"
    )
    assert "not served" in await refusal(bot.edit_message_media(InputMediaVideo(b"x"), me, text.message_id))
    assert await refusal(bot.edit_message_media(InputMediaPhoto(png()), me, 999)) == "Message to edit not found"


async def test_media_that_names_no_file_or_no_kind_is_refused(server: BotApiServer) -> None:
    sent = {"chat_id": str(server.owner_id), "message_id": "1"}
    async with httpx.AsyncClient(base_url=f"{server.base_url}{TOKEN}/", trust_env=False, verify=False) as http:

        async def says(method: str, **fields: str) -> str:
            return str((await http.post(method, data=fields)).json().get("description"))

        await says("sendMessage", chat_id=str(server.owner_id), text="x")
        assert await says("sendPhoto", chat_id="1") == "Bad Request: there is no photo in the request"
        assert await says("sendDocument", chat_id="1") == "Bad Request: there is no document in the request"
        assert await says("getFile") == "Bad Request: file_id not specified"
        assert await says("editMessageMedia", **sent) == 'Bad Request: parameter "media" is required'
        assert await says("editMessageMedia", **sent, media="{") == "Bad Request: can't parse input media JSON object"
        assert await says("editMessageMedia", **sent, media="[]") == (
            "Bad Request: can't parse InputMedia: expected an Object"
        )
        assert await says("editMessageMedia", **sent, media='{"type": "hologram", "media": "x"}') == (
            'Bad Request: can\'t parse InputMedia: type "hologram" is unsupported'
        )
        assert await says("editMessageMedia", **sent, media='{"type": "photo", "media": "attach://gone"}') == (
            "Bad Request: wrong file identifier/HTTP URL specified"
        )


async def test_files_outlive_a_restart_as_long_as_a_message_shows_them(tmp_path: Path) -> None:
    path = tmp_path / "p.sqlite3"
    server = BotApiServer(path, VirtualClock(START))
    await server.start()
    straight = [HTTPXRequest(httpx_kwargs={"trust_env": False, "verify": False}) for _ in range(2)]
    async with Bot(TOKEN, base_url=server.base_url, request=straight[0], get_updates_request=straight[1]) as bot:
        kept = await bot.send_photo(server.owner_id, png(10, 10))
        gone = await bot.send_photo(server.owner_id, png(20, 20))
        await bot.delete_message(server.owner_id, gone.message_id)
        folder = path.with_name("p.sqlite3.files")
        assert len(list(folder.iterdir())) == 2
        assert folder.stat().st_mode & 0o077 == 0
        await server.stop()
        (folder / "half.part").write_bytes(b"x")
        await server.start()
        assert [one.name for one in folder.iterdir()] == [kept.photo[0].file_unique_id]
        assert (await bot.send_photo(server.owner_id, kept.photo[0].file_id)).photo == kept.photo
        assert await refusal(bot.get_file(gone.photo[0].file_id)) == "Invalid file_id"
    await server.stop()


async def test_a_pinned_message_is_announced_shown_and_unpinned(bot: Bot, me: int, owner: Owner) -> None:
    status = await bot.send_message(me, "RUNNING")
    assert await bot.pin_chat_message(me, status.message_id, disable_notification=True)
    assert await bot.pin_chat_message(me, status.message_id)
    notices = [message for message in await owner.sees() if "pinned_message" in message]
    assert [notice["pinned_message"]["text"] for notice in notices] == ["RUNNING"]
    await bot.edit_message_text("DEGRADED", me, status.message_id)
    pinned = (await owner.state())["pinned"]
    assert (pinned["message_id"], pinned["text"]) == (status.message_id, "DEGRADED")
    chat = await bot.get_chat(me)
    assert chat.pinned_message is not None and chat.pinned_message.text == "DEGRADED"
    assert await bot.unpin_chat_message(me)
    assert (await owner.state())["pinned"] is None
    assert await refusal(bot.unpin_chat_message(me)) == "Message to unpin not found"
    assert await refusal(bot.pin_chat_message(me, 999)) == "Message to pin not found"
    assert await refusal(bot.unpin_chat_message(me, 999)) == "Message to unpin not found"
    assert await refusal(bot.edit_message_text("x", me, notices[0]["message_id"])) == "Message can't be edited"
    second = await bot.send_message(me, "two")
    for message in (status, second):
        await bot.pin_chat_message(me, message.message_id)
    assert await bot.delete_message(me, second.message_id)
    assert (await owner.state())["pinned"]["message_id"] == status.message_id
    assert await bot.unpin_all_chat_messages(me)
    assert (await owner.state())["pinned"] is None


async def test_a_reaction_is_set_changed_and_taken_away(bot: Bot, me: int, owner: Owner) -> None:
    mine = (await owner.sends("/executed SPY"))["message_id"]
    assert await bot.set_message_reaction(me, mine, "👍")
    assert (await owner.state())["reactions"] == {str(mine): "👍"}
    assert await bot.set_message_reaction(me, mine, [ReactionTypeEmoji("👀")])
    assert (await owner.state())["reactions"] == {str(mine): "👀"}
    assert await refusal(bot.set_message_reaction(me, mine, "🦖")) == "Reaction_invalid"
    assert await refusal(bot.set_message_reaction(me, mine, ReactionTypeCustomEmoji("5"))) == "Reaction_invalid"
    assert await refusal(bot.set_message_reaction(me, mine, ["👍", "👀"])) == "Reactions_too_many"
    assert await refusal(bot.set_message_reaction(me, 999, "👍")) == "Message to react not found"
    assert await bot.set_message_reaction(me, mine)
    assert (await owner.state())["reactions"] == {}


@pytest.mark.feature("M9")
async def test_a_forced_reply_begins_the_owners_answer_once(bot: Bot, me: int, owner: Owner) -> None:
    asked = await bot.send_message(me, "At which price?", reply_markup=ForceReply(input_field_placeholder="512.30"))
    assert asked.reply_markup is None
    assert (await owner.state())["asked"] == {"message_id": asked.message_id, "placeholder": "512.30"}
    answer = await owner.sends("512.40", reply_to=asked.message_id)
    assert answer["reply_to_message"]["text"] == "At which price?"
    assert (await owner.state())["asked"] is None
    (update,) = await bot.get_updates()
    assert update.message is not None and update.message.reply_to_message is not None
    assert update.message.reply_to_message.message_id == asked.message_id
    again = await bot.send_message(me, "And how many?", reply_markup=ForceReply())
    await bot.delete_message(me, again.message_id)
    assert (await owner.state())["asked"] is None


async def test_a_reply_to_a_message_that_is_gone_is_not_sent(owner: Owner) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        await owner.sends("x", reply_to=999)
    assert await owner.sees() == []


@pytest.mark.feature("D13")
async def test_pictures_and_documents_reply_to_messages_too(bot: Bot, me: int) -> None:
    first = await bot.send_message(me, "BUY SPY")
    chart = await bot.send_photo(me, png(), reply_parameters=ReplyParameters(first.message_id))
    assert chart.reply_to_message is not None and chart.reply_to_message.message_id == first.message_id
    export = await bot.send_document(me, CSV, filename="a.csv", reply_parameters=ReplyParameters(chart.message_id))
    assert export.reply_to_message is not None and export.reply_to_message.photo == chart.photo
    assert export.reply_to_message.reply_to_message is None


async def test_many_messages_are_deleted_at_once_and_lost_ones_passed_over(bot: Bot, me: int, owner: Owner) -> None:
    sent = [(await bot.send_message(me, str(number))).message_id for number in range(3)]
    assert await bot.delete_messages(me, [sent[0], 999, sent[2]])
    assert [message["text"] for message in await owner.sees()] == ["1"]
    assert await refusal(bot.delete_messages(me, list(range(1, 102)))) == "Too many message identifiers specified"
    assert await refusal(bot.delete_messages(me, [])) == "Message identifiers are not specified"


async def test_the_menu_button_is_kept(bot: Bot, me: int) -> None:
    assert await bot.get_chat_menu_button() == MenuButtonDefault()
    assert await bot.set_chat_menu_button(menu_button=MenuButtonCommands())
    assert await bot.get_chat_menu_button(me) == MenuButtonCommands()
    assert await bot.set_chat_menu_button(me, MenuButtonDefault())
    assert await bot.get_chat_menu_button(me) == MenuButtonDefault()
    web_app = MenuButtonWebApp("x", WebAppInfo("https://example.org"))
    assert "not supported" in await refusal(bot.set_chat_menu_button(menu_button=web_app))


async def test_a_photo_whose_answer_is_lost_has_arrived(bot: Bot, server: BotApiServer, me: int, owner: Owner) -> None:
    server.faults.once["sendPhoto"] = [LOSE_ANSWER]
    with pytest.raises(NetworkError):
        await bot.send_photo(me, png())
    assert len((await owner.sees())[0]["photo"]) == 1


JPEG = b"\xff\xd8\xff\xe0\x00\x04\x00\x00\xff\xff\xd0\xff\xc2\x00\x11\x08\x01\x2c\x02\x58"
GIF = b"GIF89a" + struct.pack("<HH", 7, 9)
LOSSLESS = 6 | 8 << 14
WEBPS = [
    (b"VP8X" + b"\0" * 8 + (6).to_bytes(3, "little") + (8).to_bytes(3, "little"), 7, 9),
    (b"VP8L" + b"\0" * 4 + b"\x2f" + struct.pack("<I", LOSSLESS), 7, 9),
    (b"VP8 " + b"\0" * 10 + struct.pack("<HH", 7, 9), 7, 9),
]


@pytest.mark.parametrize(
    ("content", "mime_type", "size"),
    [
        (png(3, 4), "image/png", (3, 4)),
        (JPEG, "image/jpeg", (600, 300)),
        (GIF, "image/gif", (7, 9)),
        *[(b"RIFF\0\0\0\0WEBP" + body, "image/webp", (width, height)) for body, width, height in WEBPS],
    ],
)
def test_the_size_of_a_picture_is_read_from_its_header(content: bytes, mime_type: str, size: tuple[int, int]) -> None:
    found = picture(content)
    assert found is not None
    assert (found.mime_type, (found.width, found.height)) == (mime_type, size)
    for length in range(len(content) - 1):
        cut = picture(content[:length])
        assert cut is None or (cut.width, cut.height) == size


def test_a_picture_without_extent_is_none() -> None:
    assert picture(b"GIF89a" + struct.pack("<HH", 0, 9)) is None
    assert picture(b"\xff\xd8\xff\xd9" + b"\0" * 50) is None
    assert picture(b"RIFF\0\0\0\0WEBPNONE" + b"\0" * 30) is None
