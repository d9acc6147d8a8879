"""The real python-telegram-bot against the local phone: what it relies on at Telegram must hold here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from telegram import (
    Bot,
    BotCommand,
    BotCommandScopeAllPrivateChats,
    CopyTextButton,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    MessageEntity,
    ReplyKeyboardMarkup,
    ReplyParameters,
    Update,
)
from telegram.constants import ChatAction, ParseMode
from telegram.error import BadRequest, Conflict, InvalidToken, TelegramError
from telegram.ext import Application, CallbackQueryHandler, CommandHandler, ContextTypes
from telegram.request import HTTPXRequest

from bot.localphone.conversation import CALLBACK_LIFETIME, DELETABLE_FOR
from bot.localphone.server import LocalPhone, new_token
from bot.localphone.store import MAX_MESSAGES, UPDATE_LIFETIME, PhoneStore
from core.clock import VirtualClock
from tests.contract.phone_owner import Owner
from tests.servers.bot_api_server import BotApiServer

pytestmark = pytest.mark.feature("U3")
START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def request() -> HTTPXRequest:
    """Straight to loopback: no proxy, and no time spent on loading certificates for plain HTTP."""
    return HTTPXRequest(httpx_kwargs={"trust_env": False, "verify": False})


@asynccontextmanager
async def connected(phone: LocalPhone, token: str | None = None) -> AsyncIterator[Bot]:
    async with Bot(
        token or phone.token, base_url=phone.base_url, request=request(), get_updates_request=request()
    ) as bot:
        yield bot


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
async def phone(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[LocalPhone]:
    served = BotApiServer(tmp_path / "phone.sqlite3", clock)
    await served.start()
    yield served
    await served.stop()


@pytest.fixture
async def bot(phone: LocalPhone) -> AsyncIterator[Bot]:
    async with connected(phone) as connection:
        yield connection


@pytest.fixture
async def owner(phone: LocalPhone) -> AsyncIterator[Owner]:
    async with Owner(phone) as person:
        yield person


def buttons(*rows: list[tuple[str, str]]) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(
        [[InlineKeyboardButton(text, callback_data=data) for text, data in row] for row in rows]
    )


async def eventually(true: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(400):
        if await true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("did not come true within four seconds")


async def refusal(call: Awaitable[Any]) -> str:
    """The description of the 400 that the call gets, in the letter case that the library leaves of it."""
    with pytest.raises(BadRequest) as caught:
        await call
    return str(caught.value.message)


async def test_the_bot_learns_who_it_is(bot: Bot, phone: LocalPhone) -> None:
    me = await bot.get_me()
    assert me.is_bot
    assert me.id == int(phone.token.partition(":")[0])
    assert me.username == "autotrader_local_bot"
    assert me.can_join_groups is False


async def test_a_message_in_html_comes_back_as_text_with_entities_counted_in_utf16(bot: Bot, phone: LocalPhone) -> None:
    message = await bot.send_message(
        phone.owner_id,
        '📈 <b>BUY <i>SPY</i></b> &lt;5&gt; &amp; <a href="https://example.org/?a=1&amp;b=2">more</a>\n<pre>a  b</pre>',
        parse_mode=ParseMode.HTML,
        disable_notification=True,
        link_preview_options=LinkPreviewOptions(is_disabled=True),
        protect_content=True,
    )
    assert message.text == "📈 BUY SPY <5> & more\na  b"
    assert [(e.type, message.parse_entity(e), e.url) for e in message.entities] == [
        ("bold", "BUY SPY", None),
        ("italic", "SPY", None),
        ("text_link", "more", "https://example.org/?a=1&b=2"),
        ("pre", "a  b", None),
    ]
    assert message.entities[0].offset == 3
    assert message.date == START
    assert message.chat.id == phone.owner_id
    assert message.chat.type == "private"
    assert message.from_user is not None and message.from_user.id == bot.id
    assert message.has_protected_content is True


async def test_commands_and_links_are_found_without_markup(bot: Bot, phone: LocalPhone) -> None:
    message = await bot.send_message(phone.owner_id, "see /help or https://example.org/a, not a/b")
    assert [(e.type, message.parse_entity(e)) for e in message.entities] == [
        ("bot_command", "/help"),
        ("url", "https://example.org/a"),
    ]


async def test_entities_may_be_given_instead_of_markup(bot: Bot, phone: LocalPhone) -> None:
    message = await bot.send_message(phone.owner_id, "📈 up", entities=[MessageEntity(MessageEntity.BOLD, 3, 2)])
    assert [(e.type, message.parse_entity(e)) for e in message.entities] == [("bold", "up")]


async def test_every_kind_of_entity_given_comes_back(bot: Bot, phone: LocalPhone) -> None:
    given = [
        MessageEntity(MessageEntity.TEXT_LINK, 0, 1, url="https://example.org/"),
        MessageEntity(MessageEntity.CUSTOM_EMOJI, 1, 1, custom_emoji_id="5"),
        MessageEntity(MessageEntity.DATE_TIME, 2, 1, unix_time=START, date_time_format="tD"),
        MessageEntity(MessageEntity.PRE, 3, 1, language="python"),
        MessageEntity(MessageEntity.BLOCKQUOTE, 4, 1),
    ]
    passed_over = [MessageEntity(MessageEntity.HASHTAG, 0, 3), MessageEntity(MessageEntity.BOLD, 2, 0)]
    message = await bot.send_message(phone.owner_id, "abcdefg", entities=given + passed_over)
    assert list(message.entities) == given


@pytest.mark.parametrize(
    ("entity", "reason"),
    [
        (("bold", 9, 1), "Entity begins after the end of the text at UTF-16 offset 9"),
        (("bold", 0, 9), "Entity beginning at UTF-16 offset 0 ends after the end of the text at UTF-16 offset 9"),
        (("bold", 1, 2), "Entity begins in a middle of a UTF-16 symbol at byte offset 4"),
        (("bold", 0, 1), "Entity beginning at UTF-16 offset 0 ends in a middle of a UTF-16 symbol at byte offset 4"),
        (("bold", -1, 2), "Receive an entity with incorrect offset -1"),
        (("bold", 0, -2), "Receive an entity with incorrect length -2"),
        (("shiny", 0, 2), "Can't parse MessageEntity: Unsupported type specified"),
        (("text_link", 0, 2), "Can't parse MessageEntity: Can't find field \"url\""),
        (("custom_emoji", 0, 2), "Can't parse MessageEntity: Can't find field \"custom_emoji_id\""),
        (("date_time", 0, 2), "Can't parse MessageEntity: Can't find field \"unix_time\""),
    ],
)
async def test_an_entity_beside_the_text_is_refused_in_telegrams_words(
    bot: Bot, phone: LocalPhone, entity: tuple[str, int, int], reason: str
) -> None:
    said = await refusal(bot.send_message(phone.owner_id, "📈 up", entities=[MessageEntity(*entity)]))
    assert said.lower() == reason.lower()


async def test_surrounding_white_space_is_dropped_as_telegram_drops_it(bot: Bot, phone: LocalPhone) -> None:
    message = await bot.send_message(phone.owner_id, " \n <b>x </b> \n", parse_mode=ParseMode.HTML)
    assert message.text == "x"
    assert [(e.offset, e.length) for e in message.entities] == [(0, 1)]


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ("<p>x</p>", 'Unsupported start tag "p" at byte offset 0'),
        ("é a < b", 'Unsupported start tag "" at byte offset 5'),
        ("a <b", "Unclosed start tag at byte offset 2"),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
        ("<a href=x/y>z</a>", "Unexpected end of name token at byte offset 8"),
        ("<b\u00a0x>y</b>", 'Unsupported start tag "b\u00a0x" at byte offset 0'),
        ("<b ", 'Empty attribute name in the tag "b" at byte offset 0'),
        ("<b x", 'Unclosed start tag "b" at byte offset 0'),
        ("<b x=", 'Unclosed start tag "b" at byte offset 0'),
        ("<b x='y", "Unclosed start tag at byte offset 0"),
        ("<tg-time unix='1' format='x'>y</tg-time>", "Invalid date format used"),
        ("<tg-emoji emoji-id='x'>y</tg-emoji>", "Invalid custom emoji identifier specified"),
        ("<span class='spoiler'>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
        ("a\r<p>", 'Unsupported start tag "p" at byte offset 2'),
    ],
)
async def test_markup_that_telegram_refuses_is_refused_in_its_words(
    bot: Bot, phone: LocalPhone, html: str, reason: str
) -> None:
    said = await refusal(bot.send_message(phone.owner_id, html, parse_mode=ParseMode.HTML))
    assert said.lower() == f"can't parse entities: {reason}".lower()


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a & b &nbsp; &copy;", "a & b &nbsp; &copy;"),
        ("&lt;&gt;&amp;&quot;&#39;&#x20AC;", "<>&\"'€"),
        ("<B>x</B> <tg-spoiler>y</tg-spoiler> <blockquote expandable>z</blockquote>", "x y z"),
        ("1 > 0", "1 > 0"),
        ("<tg-time unix='1790000000' format='tD'>then</tg-time> <tg-time unix='soon'>soon</tg-time>", "then soon"),
        ("a\rb\u2028c\td", "abc d"),
    ],
)
async def test_markup_that_telegram_takes_is_taken(bot: Bot, phone: LocalPhone, html: str, text: str) -> None:
    assert (await bot.send_message(phone.owner_id, html, parse_mode=ParseMode.HTML)).text == text


async def test_styles_stop_where_monospace_text_begins(bot: Bot, phone: LocalPhone) -> None:
    html = '<b>a <code>b</code> c</b> <pre><code class="language-python">d</code></pre>'
    message = await bot.send_message(phone.owner_id, html, parse_mode=ParseMode.HTML)
    found = [(e.type, message.parse_entity(e), e.language) for e in message.entities]
    assert found == [("bold", "a ", None), ("code", "b", None), ("bold", " c", None), ("pre", "d", "python")]


async def test_the_length_limit_counts_utf16_units_after_parsing(bot: Bot, phone: LocalPhone) -> None:
    longest = "<b>" + "📈" * 2048 + "</b>"
    assert len((await bot.send_message(phone.owner_id, longest, parse_mode=ParseMode.HTML)).text or "") == 2048
    assert await refusal(bot.send_message(phone.owner_id, "📈" * 2048 + "x")) == "Message is too long"


async def test_bad_messages_are_refused_in_telegrams_words(bot: Bot, phone: LocalPhone) -> None:
    me = phone.owner_id
    assert await refusal(bot.send_message(me, "")) == "Message text is empty"
    assert await refusal(bot.send_message(me, " \n ")) == "Text must be non-empty"
    assert await refusal(bot.send_message(me, "<b></b>", parse_mode=ParseMode.HTML)) == "Text must be non-empty"
    assert await refusal(bot.send_message(me + 1, "x")) == "Chat not found"
    assert await refusal(bot.send_message(me, "x", parse_mode="BBCode")) == "Unsupported parse_mode"


async def test_bad_buttons_are_refused_in_telegrams_words(bot: Bot, phone: LocalPhone) -> None:
    me = phone.owner_id
    assert (await bot.send_message(me, "x", reply_markup=buttons([("é", "é" * 32)]))).reply_markup is not None
    assert await refusal(bot.send_message(me, "x", reply_markup=buttons([("a", "é" * 32 + "x")]))) == (
        "Button_data_invalid"
    )
    assert "not supported by the local phone" in await refusal(
        bot.send_message(me, "x", reply_markup=ReplyKeyboardMarkup([["a"]]))
    )


async def test_buttons_of_every_supported_kind_come_back_unchanged(bot: Bot, phone: LocalPhone) -> None:
    markup = InlineKeyboardMarkup(
        [
            [
                InlineKeyboardButton("Executed", callback_data="e:1", api_kwargs={"style": "success"}),
                InlineKeyboardButton("Site", url="https://example.org"),
            ],
            [InlineKeyboardButton("Copy", copy_text=CopyTextButton("SPY"))],
        ]
    )
    message = await bot.send_message(phone.owner_id, "card", reply_markup=markup)
    assert message.reply_markup is not None
    assert message.reply_markup.to_dict() == markup.to_dict()


async def test_a_reply_holds_what_it_replies_to(bot: Bot, phone: LocalPhone) -> None:
    first = await bot.send_message(phone.owner_id, "first")
    second = await bot.send_message(phone.owner_id, "second", reply_parameters=ReplyParameters(first.message_id))
    assert second.reply_to_message is not None
    assert second.reply_to_message.text == "first"
    lost = ReplyParameters(999)
    assert await refusal(bot.send_message(phone.owner_id, "x", reply_parameters=lost)) == (
        "Message to be replied not found"
    )
    forgiving = ReplyParameters(999, allow_sending_without_reply=True)
    assert (await bot.send_message(phone.owner_id, "x", reply_parameters=forgiving)).reply_to_message is None


async def test_an_edit_changes_the_text_and_removes_the_buttons_it_does_not_repeat(
    bot: Bot, phone: LocalPhone, clock: VirtualClock
) -> None:
    card = await bot.send_message(phone.owner_id, "card", reply_markup=buttons([("Go", "go")]))
    clock.advance(timedelta(minutes=1))
    edited = await bot.edit_message_text("<b>done</b>", phone.owner_id, card.message_id, parse_mode=ParseMode.HTML)
    assert isinstance(edited, type(card))
    assert (edited.text, edited.reply_markup, edited.edit_date) == ("done", None, START + timedelta(minutes=1))
    assert edited.message_id == card.message_id
    assert edited.date == START


async def test_an_edit_that_changes_nothing_is_refused(bot: Bot, phone: LocalPhone) -> None:
    card = await bot.send_message(
        phone.owner_id, "<b>card</b>", parse_mode="HTML", reply_markup=buttons([("Go", "go")])
    )
    same = "Message is not modified: specified new message content and reply markup are exactly the same"
    edits = (
        bot.edit_message_text(
            "<strong>card</strong>", phone.owner_id, card.message_id, parse_mode="HTML", reply_markup=card.reply_markup
        ),
        bot.edit_message_reply_markup(phone.owner_id, card.message_id, reply_markup=card.reply_markup),
    )
    for edit in edits:
        assert (await refusal(edit)).startswith(same)
    changed = await bot.edit_message_reply_markup(phone.owner_id, card.message_id, reply_markup=None)
    assert not isinstance(changed, bool) and changed.reply_markup is None


async def test_only_existing_messages_of_the_bot_can_be_edited(bot: Bot, phone: LocalPhone, owner: Owner) -> None:
    mine = await owner.sends("hello")
    assert await refusal(bot.edit_message_text("x", phone.owner_id, 999)) == "Message to edit not found"
    assert await refusal(bot.edit_message_reply_markup(phone.owner_id, 999)) == "Message to edit not found"
    assert await refusal(bot.edit_message_text("x", phone.owner_id, mine["message_id"])) == "Message can't be edited"
    sent = await bot.send_message(phone.owner_id, "x")
    assert await refusal(bot.edit_message_text("y" * 4097, phone.owner_id, sent.message_id)) == "Message_too_long"


async def test_a_deleted_message_is_gone_and_an_old_one_stays(
    bot: Bot, phone: LocalPhone, owner: Owner, clock: VirtualClock
) -> None:
    sent = await bot.send_message(phone.owner_id, "secret")
    assert await bot.delete_message(phone.owner_id, sent.message_id)
    assert await owner.sees() == []
    assert await refusal(bot.delete_message(phone.owner_id, sent.message_id)) == "Message to delete not found"
    kept = await bot.send_message(phone.owner_id, "old")
    clock.advance(DELETABLE_FOR + timedelta(seconds=1))
    assert await refusal(bot.delete_message(phone.owner_id, kept.message_id)) == (
        "Message can't be deleted for everyone"
    )


async def test_what_the_owner_types_reaches_the_bot_with_its_command_marked(
    bot: Bot, phone: LocalPhone, owner: Owner
) -> None:
    await owner.sends("  /pause 2h ")
    (update,) = await bot.get_updates()
    assert update.message is not None and update.effective_user is not None
    assert update.message.text == "/pause 2h"
    assert update.message.parse_entities() == {MessageEntity("bot_command", 0, 6): "/pause"}
    assert update.effective_user.id == phone.owner_id
    assert not update.effective_user.is_bot


async def test_updates_come_again_until_a_higher_offset_is_asked_for(bot: Bot, owner: Owner) -> None:
    for text in ("one", "two", "three"):
        await owner.sends(text)
    first = await bot.get_updates()
    again = await bot.get_updates()
    assert [u.update_id for u in first] == [u.update_id for u in again]
    assert len(await bot.get_updates(limit=1)) == 1
    rest = await bot.get_updates(offset=first[0].update_id + 1)
    assert [u.message.text for u in rest if u.message] == ["two", "three"]
    newest = await bot.get_updates(offset=-1)
    assert [u.message.text for u in newest if u.message] == ["three"]
    assert await bot.get_updates(offset=newest[0].update_id + 1) == ()
    assert await bot.get_updates() == ()


async def test_a_long_poll_is_answered_as_soon_as_the_owner_writes(bot: Bot, owner: Owner) -> None:
    poll = asyncio.create_task(bot.get_updates(timeout=30))
    await asyncio.sleep(0.05)
    assert not poll.done()
    await owner.sends("hello")
    async with asyncio.timeout(5):
        (update,) = await poll
    assert update.message is not None and update.message.text == "hello"


async def test_a_second_poller_takes_over_and_the_first_is_told_of_the_conflict(
    bot: Bot, phone: LocalPhone, owner: Owner
) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=30))
    await asyncio.sleep(0.05)
    async with connected(phone) as other:
        second = asyncio.create_task(other.get_updates(timeout=30))
        with pytest.raises(Conflict, match="make sure that only one bot instance is running"):
            await first
        await owner.sends("for the second")
        (update,) = await second
    assert update.message is not None and update.message.text == "for the second"


async def test_a_poll_whose_client_has_gone_is_not_a_conflict_and_loses_nothing(bot: Bot, owner: Owner) -> None:
    gone = asyncio.create_task(bot.get_updates(timeout=30))
    await asyncio.sleep(0.05)
    gone.cancel()
    await asyncio.wait((gone,))
    await owner.sends("still here")
    assert len(await bot.get_updates(timeout=5)) == 1


async def test_only_allowed_kinds_of_update_are_kept(bot: Bot, phone: LocalPhone, owner: Owner) -> None:
    card = await bot.send_message(phone.owner_id, "card", reply_markup=buttons([("Go", "go")]))
    await bot.get_updates(allowed_updates=["callback_query"])
    await owner.sends("not wanted")
    await owner.taps(card.message_id, "go")
    (update,) = await bot.get_updates()
    assert update.callback_query is not None
    await bot.get_updates(offset=update.update_id + 1, allowed_updates=[])
    await owner.sends("wanted again")
    assert len(await bot.get_updates()) == 1


async def test_updates_nobody_fetches_are_dropped_after_a_day(bot: Bot, owner: Owner, clock: VirtualClock) -> None:
    await owner.sends("old")
    clock.advance(UPDATE_LIFETIME + timedelta(minutes=1))
    await owner.sends("new")
    assert [u.message.text for u in await bot.get_updates() if u.message] == ["new"]


async def test_pending_updates_can_be_dropped_with_the_webhook(bot: Bot, owner: Owner) -> None:
    await owner.sends("before")
    assert (await bot.get_webhook_info()).pending_update_count == 1
    assert await bot.delete_webhook(drop_pending_updates=False)
    assert len(await bot.get_updates()) == 1
    assert await bot.delete_webhook(drop_pending_updates=True)
    assert await bot.get_updates() == ()


async def test_a_tap_reaches_the_bot_once_with_the_message_it_belongs_to(
    bot: Bot, phone: LocalPhone, owner: Owner
) -> None:
    card = await bot.send_message(phone.owner_id, "card", reply_markup=buttons([("Go", "go"), ("No", "no")]))
    query_id = await owner.taps(card.message_id, "no")
    (update,) = await bot.get_updates()
    query = update.callback_query
    assert query is not None and query.message is not None
    assert (query.id, query.data, query.message.message_id) == (query_id, "no", card.message_id)
    assert query.from_user.id == phone.owner_id
    assert await query.answer("noted")


async def test_a_tap_on_a_button_that_is_gone_never_reaches_the_bot(bot: Bot, phone: LocalPhone, owner: Owner) -> None:
    card = await bot.send_message(phone.owner_id, "card", reply_markup=buttons([("Go", "go")]))
    await bot.edit_message_reply_markup(phone.owner_id, card.message_id, reply_markup=None)
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        await owner.taps(card.message_id, "go")
    assert await bot.get_updates() == ()


async def test_a_tap_can_be_answered_for_a_while_only(
    bot: Bot, phone: LocalPhone, owner: Owner, clock: VirtualClock
) -> None:
    card = await bot.send_message(phone.owner_id, "card", reply_markup=buttons([("Go", "go")]))
    query_id = await owner.taps(card.message_id, "go")
    assert await bot.answer_callback_query(query_id, "yes", show_alert=True)
    assert await refusal(bot.answer_callback_query(query_id, "x" * 201)) == "Message_too_long"
    clock.advance(CALLBACK_LIFETIME + timedelta(seconds=1))
    too_old = "Query is too old and response timeout expired or query id is invalid"
    for late in (query_id, "12345"):
        assert (await refusal(bot.answer_callback_query(late))).lower() == too_old.lower()


async def test_the_command_menu_is_kept_and_shown(bot: Bot, owner: Owner) -> None:
    await bot.set_my_commands([BotCommand("help", "What I understand")])
    await bot.set_my_commands([BotCommand("status", "Now")], scope=BotCommandScopeAllPrivateChats())
    assert await bot.get_my_commands() == (BotCommand("help", "What I understand"),)
    assert (await owner.state())["commands"] == [{"command": "status", "description": "Now"}]
    await bot.delete_my_commands(scope=BotCommandScopeAllPrivateChats())
    assert [one["command"] for one in (await owner.state())["commands"]] == ["help"]
    assert await refusal(bot.set_my_commands([BotCommand("Bad Name", "x")])) == "Bot_command_invalid"
    assert await refusal(bot.set_my_commands([BotCommand("x", " ")])) == "Bot_command_description_invalid"


async def test_a_chat_action_is_accepted_and_an_unknown_one_refused(bot: Bot, phone: LocalPhone) -> None:
    assert await bot.send_chat_action(phone.owner_id, ChatAction.TYPING)
    assert await refusal(bot.send_chat_action(phone.owner_id, "juggling")) == "Wrong parameter action in request"


async def test_an_unknown_method_is_404_and_a_wrong_token_401(bot: Bot, phone: LocalPhone) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        unknown = await http.post(f"{phone.base_url}{phone.token}/sendHologram")
        assert unknown.status_code == 404
        assert unknown.json() == {"ok": False, "error_code": 404, "description": "Not Found: method not found"}
        stranger = await http.post(f"{phone.base_url}{new_token()}/getMe")
        assert stranger.status_code == 401
        assert stranger.json() == {"ok": False, "error_code": 401, "description": "Unauthorized"}
    with pytest.raises(InvalidToken):
        async with connected(phone, new_token()):
            raise AssertionError("a stranger got in")


async def test_refusals_carry_the_exact_words_clients_compare(phone: LocalPhone) -> None:
    me = str(phone.owner_id)
    async with httpx.AsyncClient(base_url=f"{phone.base_url}{phone.token}/", trust_env=False, verify=False) as http:

        async def says(method: str, **fields: str) -> str:
            answer = await http.post(method, data=fields)
            assert answer.json()["error_code"] == answer.status_code == 400
            return str(answer.json()["description"])

        assert await says("sendMessage", chat_id=me, text="<p>x</p>", parse_mode="HTML") == (
            'Bad Request: can\'t parse entities: Unsupported start tag "p" at byte offset 0'
        )
        assert await says("sendMessage", chat_id=me, text="") == "Bad Request: message text is empty"
        keyboard = '{"inline_keyboard":[[{"text":"a","callback_data":"' + "x" * 65 + '"}]]}'
        assert await says("sendMessage", chat_id=me, text="x", reply_markup=keyboard) == (
            "Bad Request: BUTTON_DATA_INVALID"
        )
        idle = '{"inline_keyboard":[[{"text":"a"}]]}'
        assert await says("sendMessage", chat_id=me, text="x", reply_markup=idle) == (
            "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
        )
        assert await says("editMessageText", chat_id=me, message_id="9", text="x") == (
            "Bad Request: message to edit not found"
        )
        assert await says("answerCallbackQuery", callback_query_id="9") == (
            "Bad Request: query is too old and response timeout expired or query ID is invalid"
        )


async def test_query_form_multipart_and_json_are_read_alike(phone: LocalPhone, owner: Owner) -> None:
    url = f"{phone.base_url}{phone.token}/SENDMESSAGE"
    fields = {"chat_id": str(phone.owner_id), "text": "x"}
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        answers = [
            await http.get(url, params=fields),
            await http.post(url, data=fields),
            await http.post(url, files={name: (None, value) for name, value in fields.items()}),
            await http.post(url, json=fields | {"chat_id": phone.owner_id}),
        ]
        assert [answer.status_code for answer in answers] == [200] * 4
        broken = await http.post(url, content=b"{", headers={"Content-Type": "application/json"})
        assert (broken.status_code, broken.json()["ok"]) == (400, False)
    assert len(await owner.sees()) == 4


async def test_history_updates_and_keys_outlive_a_restart(tmp_path: Path, clock: VirtualClock) -> None:
    first = LocalPhone(store_path=tmp_path / "p.sqlite3", clock=clock)
    await first.start()
    async with connected(first) as bot, Owner(first) as owner:
        await bot.set_my_commands([BotCommand("help", "What I understand")])
        sent = await bot.send_message(first.owner_id, "before", reply_markup=buttons([("Go", "go")]))
        await owner.taps(sent.message_id, "go")
    await first.stop()

    second = LocalPhone(store_path=tmp_path / "p.sqlite3", clock=clock, port=first.port)
    await second.start()
    assert (second.page_url, second.token) == (first.page_url, first.token)
    async with connected(second) as bot, Owner(second) as owner:
        assert [message["text"] for message in await owner.sees()] == ["before"]
        assert [one["command"] for one in (await owner.state())["commands"]] == ["help"]
        (update,) = await bot.get_updates()
        assert update.callback_query is not None and await update.callback_query.answer()
        after = await bot.send_message(second.owner_id, "after")
        assert after.message_id == sent.message_id + 1
        assert await bot.get_updates(offset=update.update_id + 1) == ()
        await owner.sends("hi")
        (later,) = await bot.get_updates()
        assert later.update_id == update.update_id + 1
    await second.stop()


def test_the_history_is_bounded(tmp_path: Path) -> None:
    store = PhoneStore(tmp_path / "p.sqlite3")
    with store.transaction():
        for number in range(MAX_MESSAGES + 5):
            store.add_message({"text": str(number)})
    kept = store.latest_messages(MAX_MESSAGES * 2)
    assert len(kept) == MAX_MESSAGES
    assert kept[0]["text"] == "5"
    store.close()


async def test_an_application_polls_answers_and_stops_quickly(phone: LocalPhone, owner: Owner) -> None:
    async def start(update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.message is not None
        await update.message.reply_html("<b>hello</b>", reply_markup=buttons([("Go", "go")]))

    async def go(update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.callback_query is not None
        await update.callback_query.answer("gone")
        await update.callback_query.edit_message_text("went")

    builder = Application.builder().token(phone.token).base_url(phone.base_url)
    application = builder.request(request()).get_updates_request(request()).build()
    application.add_handler(CommandHandler("start", start))
    application.add_handler(CallbackQueryHandler(go))
    failures: list[TelegramError] = []

    async def last_text(wanted: str) -> bool:
        seen = await owner.sees()
        return bool(seen) and seen[-1]["text"] == wanted

    async with application:
        await application.start()
        assert application.updater is not None
        await application.updater.start_polling(timeout=10, error_callback=failures.append)
        await owner.sends("/start")
        await eventually(lambda: last_text("hello"))
        await owner.taps((await owner.sees())[-1]["message_id"], "go")
        await eventually(lambda: last_text("went"))
        async with asyncio.timeout(3):
            await application.updater.stop()
        await application.stop()
    assert failures == []


async def test_stopping_ends_waiting_polls_and_streams_at_once(tmp_path: Path, clock: VirtualClock) -> None:
    phone = LocalPhone(store_path=tmp_path / "p.sqlite3", clock=clock)
    await phone.start()
    async with connected(phone) as bot, Owner(phone) as owner:
        poll = asyncio.create_task(bot.get_updates(timeout=30))
        async with owner.http.stream("GET", "/phone/events?after=0") as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == ": still here"
            await asyncio.sleep(0.05)
            async with asyncio.timeout(5):
                await phone.stop()
                assert [line async for line in lines if line] == []
        assert await poll == ()
    await phone.stop()


async def test_dropped_characters_move_the_entities_that_follow(bot: Bot, phone: LocalPhone) -> None:
    html = "a\r\r<b>b\rc</b><i>\r</i><blockquote expandable=''>d</blockquote>"
    message = await bot.send_message(phone.owner_id, html, parse_mode=ParseMode.HTML)
    assert message.text == "abcd"
    found = [(e.type, message.parse_entity(e)) for e in message.entities]
    assert found == [("bold", "bc"), ("expandable_blockquote", "d")]
