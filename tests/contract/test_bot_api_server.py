"""The server that tests stand before the bot: it limits, fails and forgets as the real one does, and is checked too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from telegram import Bot
from telegram.error import Conflict, InvalidToken, NetworkError, RetryAfter, TelegramError, TimedOut
from telegram.request import HTTPXRequest

from bot.localphone.errors import ApiError
from bot.localphone.limits import CHAT_BURST, OVERALL, OVERALL_BURST, RateLimits
from bot.localphone.polling import UpdateQueue
from core.clock import VirtualClock
from tests.contract.bot_api_spec import SPEC_PATH, BotApiSpec
from tests.contract.phone_owner import Owner
from tests.servers.bot_api_server import TOKEN, BotApiServer, a_message
from tests.servers.faults import (
    BAD_GATEWAY,
    DROP,
    LOSE_ANSWER,
    UNAUTHORIZED,
    Drop,
    Fault,
    LoseAnswer,
    Slow,
    failure,
    flood,
    internal_error,
)

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
STRANGER = 77


@pytest.fixture(autouse=True)
def waits_are_durations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own opt-in, as the bot makes it: without it, reading a wait is a deprecated use."""
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
async def server(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[BotApiServer]:
    served = BotApiServer(tmp_path / "phone.sqlite3", clock)
    await served.start()
    yield served
    await served.stop()


@asynccontextmanager
async def connected(server: BotApiServer, read_timeout: float = 5.0) -> AsyncIterator[Bot]:
    def request() -> HTTPXRequest:
        return HTTPXRequest(httpx_kwargs={"trust_env": False, "verify": False}, read_timeout=read_timeout)

    async with Bot(TOKEN, base_url=server.base_url, request=request(), get_updates_request=request()) as bot:
        yield bot


@pytest.fixture
async def bot(server: BotApiServer) -> AsyncIterator[Bot]:
    async with connected(server) as one:
        yield one


@pytest.fixture
async def owner(server: BotApiServer) -> AsyncIterator[Owner]:
    async with Owner(server) as person:
        yield person


def seconds_of(error: RetryAfter) -> float:
    wait = error.retry_after
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)


@pytest.mark.feature("D2")
async def test_a_chat_takes_a_few_messages_at_once_and_then_one_a_second(
    bot: Bot, server: BotApiServer, clock: VirtualClock, owner: Owner
) -> None:
    server.limits.active = True
    for number in range(CHAT_BURST):
        await bot.send_message(server.owner_id, str(number))
    with pytest.raises(RetryAfter) as told:
        await bot.send_message(server.owner_id, "too fast")
    assert len(await owner.sees()) == CHAT_BURST
    clock.advance(seconds_of(told.value) * SECOND)
    for number in range(3):
        await bot.send_message(server.owner_id, f"paced {number}")
        clock.advance(SECOND)
    assert len(await owner.sees()) == CHAT_BURST + 3


@pytest.mark.feature("D2")
async def test_asking_again_while_told_to_wait_makes_the_wait_longer(
    bot: Bot, server: BotApiServer, clock: VirtualClock
) -> None:
    server.limits.active = True
    waits = []
    for _ in range(CHAT_BURST + 5):
        try:
            await bot.send_message(server.owner_id, "again")
        except RetryAfter as told:
            waits.append(seconds_of(told))
    assert waits == [1, 2, 3, 4, 5]
    clock.advance(4 * SECOND)
    with pytest.raises(RetryAfter):
        await bot.send_message(server.owner_id, "one second early")
    clock.advance(2 * SECOND)
    await bot.send_message(server.owner_id, "in time")


async def test_edits_count_and_answers_to_taps_do_not(bot: Bot, server: BotApiServer) -> None:
    sent = await bot.send_message(server.owner_id, "x")
    server.limits.active = True
    for number in range(CHAT_BURST):
        await bot.edit_message_text(str(number), server.owner_id, sent.message_id)
    with pytest.raises(RetryAfter):
        await bot.edit_message_text("too fast", server.owner_id, sent.message_id)
    for _ in range(5):
        await bot.send_chat_action(server.owner_id, "typing")


def test_all_chats_together_are_limited_too() -> None:
    clock = VirtualClock(START)
    limits = RateLimits(clock)
    for chat in range(OVERALL_BURST):
        limits.check("sendMessage", str(chat))
    with pytest.raises(ApiError, match="Too Many Requests: retry after 1"):
        limits.check("sendMessage", "another")
    clock.advance(SECOND)
    for chat in range(int(OVERALL) - 1):
        limits.check("sendMessage", f"later {chat}")
    limits.active = False
    for _ in range(100):
        limits.check("sendMessage", "1")


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (internal_error(), NetworkError, "internal server error"),
        (BAD_GATEWAY, NetworkError, "bad gateway"),
        (failure(503, "Service Unavailable"), NetworkError, "service unavailable"),
        (flood(7), RetryAfter, "retry in"),
        (UNAUTHORIZED, InvalidToken, ""),
        (failure(403, "Forbidden: bot was blocked by the user"), TelegramError, "blocked"),
        (failure(409, "Conflict: terminated by other getUpdates request"), Conflict, "terminated"),
        (DROP, NetworkError, "disconnected"),
    ],
)
async def test_a_call_that_fails_leaves_nothing_behind_and_the_next_succeeds(
    bot: Bot, server: BotApiServer, owner: Owner, fault: Fault, error: type[TelegramError], words: str
) -> None:
    server.faults.once["sendMessage"] = [fault]
    with pytest.raises(error) as caught:
        await bot.send_message(server.owner_id, "first")
    assert words in str(caught.value).lower()
    assert await owner.sees() == []
    await bot.send_message(server.owner_id, "second")
    assert [message["text"] for message in await owner.sees()] == ["second"]
    assert server.texts() == ["first", "second"]


async def test_an_answer_can_be_lost_after_the_message_arrived(bot: Bot, server: BotApiServer, owner: Owner) -> None:
    server.faults.once["sendMessage"] = [LOSE_ANSWER]
    with pytest.raises(NetworkError):
        await bot.send_message(server.owner_id, "arrived")
    assert [message["text"] for message in await owner.sees()] == ["arrived"]


@pytest.mark.parametrize(("fault", "arrived"), [(LoseAnswer(quietly=True), 1), (Drop(quietly=True), 0)])
async def test_silence_becomes_a_time_out_that_says_nothing_about_the_message(
    server: BotApiServer, owner: Owner, fault: Fault, arrived: int
) -> None:
    async with connected(server, read_timeout=0.2) as bot:
        server.faults.once["sendMessage"] = [fault]
        with pytest.raises(TimedOut):
            await bot.send_message(server.owner_id, "perhaps")
    assert len(await owner.sees()) == arrived


async def test_a_slow_server_acts_once_the_test_lets_it(bot: Bot, server: BotApiServer, owner: Owner) -> None:
    gate = asyncio.Event()
    server.faults.once["sendMessage"] = [Slow(gate)]
    sending = asyncio.create_task(bot.send_message(server.owner_id, "late"))
    await bot.get_me()
    assert await owner.sees() == []
    gate.set()
    assert (await sending).text == "late"


async def test_faults_may_come_by_a_rule_of_the_tests_own(bot: Bot, server: BotApiServer, owner: Owner) -> None:
    turns = iter([LOSE_ANSWER, None, DROP, None])
    server.faults.choose = lambda method: next(turns) if method == "sendMessage" else None
    for number in range(4):
        try:
            await bot.send_message(server.owner_id, str(number))
        except NetworkError:
            assert number in (0, 2)
    assert [message["text"] for message in await owner.sees()] == ["0", "1", "3"]


@pytest.mark.feature("D7")
async def test_after_days_offline_old_updates_are_gone_and_new_ones_come(
    bot: Bot, server: BotApiServer, owner: Owner, clock: VirtualClock
) -> None:
    await owner.sends("before")
    server.faults.go_offline()
    with pytest.raises(NetworkError):
        await bot.get_updates()
    clock.advance(timedelta(days=3))
    server.faults.clear()
    assert await bot.get_updates() == ()
    await owner.sends("after")
    assert [update.message.text for update in await bot.get_updates() if update.message] == ["after"]


@pytest.mark.feature("D7")
async def test_a_stopped_server_refuses_connections_and_comes_back_at_the_same_address(
    bot: Bot, server: BotApiServer, owner: Owner
) -> None:
    await owner.sends("before")
    await server.stop()
    with pytest.raises(NetworkError) as caught:
        await bot.get_updates()
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    await server.start()
    assert len(await bot.get_updates()) == 1


@pytest.mark.feature("D8")
async def test_a_revoked_token_is_refused_everywhere(bot: Bot, server: BotApiServer) -> None:
    server.faults.revoke_token()
    for call in (bot.get_me, bot.get_updates):
        with pytest.raises(InvalidToken):
            await call()
    server.faults.clear()
    assert (await bot.get_me()).id == bot.id


async def test_updates_whose_answer_was_lost_come_again(bot: Bot, server: BotApiServer, owner: Owner) -> None:
    await owner.sends("important")
    server.faults.once["getUpdates"] = [LOSE_ANSWER]
    with pytest.raises(NetworkError):
        await bot.get_updates()
    (update,) = await bot.get_updates()
    assert server.is_owed() == 1
    assert await bot.get_updates(offset=update.update_id + 1) == ()
    assert server.is_owed() == 0


@pytest.mark.feature("A3")
async def test_what_the_page_cannot_cause_can_be_heard_all_the_same(bot: Bot, server: BotApiServer) -> None:
    server.hears("message", a_message("hi", 5, STRANGER))
    server.hears("edited_message", a_message("hi!", 5, STRANGER, edit_date=1_790_000_001))
    server.hears("message", a_message("hi", 6, STRANGER, chat={"id": -5, "type": "group", "title": "A group"}))
    first, second, third = await bot.get_updates()
    assert first.message is not None and first.message.from_user is not None
    assert first.message.from_user.id == STRANGER
    assert second.edited_message is not None
    assert third.effective_chat is not None and third.effective_chat.type == "group"


@pytest.mark.feature("A3")
async def test_a_kind_that_was_not_asked_for_comes_only_where_a_test_wants_it(bot: Bot, server: BotApiServer) -> None:
    await bot.get_updates(allowed_updates=["message"])
    server.hears("edited_message", a_message("hi!", 5, STRANGER, edit_date=1_790_000_001))
    assert await bot.get_updates() == ()
    server.hears("edited_message", a_message("hi!", 5, STRANGER, edit_date=1_790_000_001), unwanted=True)
    (update,) = await bot.get_updates()
    assert update.edited_message is not None


async def test_a_short_longest_poll_ends_polls_early(tmp_path: Path, clock: VirtualClock) -> None:
    server = BotApiServer(tmp_path / "p.sqlite3", clock, longest_poll=0.01)
    await server.start()
    async with asyncio.timeout(5), connected(server) as bot:
        assert await bot.get_updates(timeout=50) == ()
    await server.stop()


@pytest.mark.shared_data
@pytest.mark.skipif(not SPEC_PATH.exists(), reason="the description of the Bot API is not beside this checkout")
async def test_a_server_that_strays_from_the_published_api_is_found_out(
    tmp_path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UpdateQueue, "get", _answer_nonsense)
    server = BotApiServer(tmp_path / "p.sqlite3", clock)
    await server.start()
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        assert (await http.post(f"{server.base_url}{TOKEN}/getUpdates")).status_code == 200
    with pytest.raises(AssertionError, match=r"getUpdates.*lacks update_id"):
        await server.stop()


async def _answer_nonsense(*_arguments: object) -> list[dict[str, object]]:
    return [{"message": {}}]


@pytest.mark.shared_data
@pytest.mark.skipif(not SPEC_PATH.exists(), reason="the description of the Bot API is not beside this checkout")
@pytest.mark.parametrize(
    ("method", "values", "answer"),
    [
        ("getMe", {"x": "1"}, {"ok": True, "result": {"id": 1, "is_bot": True, "first_name": "x"}}),
        ("getMe", {}, {"ok": True, "result": {"id": "1", "is_bot": True, "first_name": "x"}}),
        ("getMe", {}, {"ok": True, "result": {"id": 1, "is_bot": True, "first_name": "x", "shoe_size": 42}}),
        ("getMe", {}, {"ok": True, "result": {"id": 1, "is_bot": True, "first_name": "x"}, "more": 1}),
        ("getMe", {}, {"ok": False, "error_code": "401", "description": "x"}),
        ("getMe", {}, {"ok": False, "error_code": 429, "description": "x", "parameters": {"retry_after": "1"}}),
        ("sendChatAction", {"chat_id": "1"}, {"ok": True, "result": True}),
        ("setMyCommands", {"commands": "[{}]"}, {"ok": True, "result": True}),
        ("deleteWebhook", {"drop_pending_updates": "maybe"}, {"ok": True, "result": True}),
    ],
)
def test_the_published_description_is_checked_to_the_last_field(method: str, values: dict, answer: dict) -> None:
    with pytest.raises(AssertionError):
        BotApiSpec().check_exchange(method, values, set(), answer)
