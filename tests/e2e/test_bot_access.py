"""Every handler of the bot against everybody who can reach it: nothing leaks and nothing changes but for the owner in
his private chat. Over the wire, with updates that Telegram would not even hand out: the gate must hold by itself."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot.cards import CardAction
from bot.commands.table import COMMANDS
from bot.confirmations import ConfirmToken
from core.clock import SystemClock
from core.domain.records import QuestionChoice
from core.ports import Owner
from tests.bot_line import Line, a_line, eventually
from tests.fakes_owner import FakeOwner, a_question, an_instruction

STRANGER, BOT, ANONYMOUS = 2_000_222, 2_000_333, 1087968824
GROUP = {"id": -500, "type": "group", "title": "Club"}
SUPERGROUP = {"id": -1_000_000_000_500, "type": "supergroup", "title": "Club"}
CHANNEL = {"id": -1_000_000_000_600, "type": "channel", "title": "News"}
FORWARD = {"type": "user", "date": 1_790_000_000, "sender_user": {"id": STRANGER, "is_bot": False, "first_name": "S"}}
UNTOUCHED = ("audit", "outbox", "taps")
PUBLIC = {name for name in dir(Owner) if not name.startswith("_")}
USAGES = {
    "executed": "SPY 10 @ 512.30",
    "skip": "#7",
    "close": "SPY",
    "stop": "SPY 495",
    "target": "SPY 560",
    "pause": "2h",
    "unlock": "daily_loss",
    "flatten": "yes",
    "mode": "observe",
    "cash": "5000",
    "notify": "signals silent",
    "quiet": "22:00-07:00",
    "status": "live",
    "audit": "1",
}
"""Words with which a command does something; any other command is tried without."""
TEXTS = (
    *(f"/{each.name} {USAGES.get(each.name, '')}".strip() for each in COMMANDS),
    *(f"/{each.name}" for each in COMMANDS if each.name in USAGES),
    "/nonsense",
    "hello",
    "512.30",
)
TOKENS = (
    *(f"i:{action}:7:1" for action in CardAction),
    *(f"i:{action}:8:1" for action in CardAction),
    *(f"q:{choice}:3:1" for choice in QuestionChoice),
    *(f"m:{each.name}{f'-{words}' if words else ''}" for each in COMMANDS for words in {"", USAGES.get(each.name, "")}),
    "m:pause!",
    "m:status!",
    ConfirmToken("abcdefghijklmnop", True).text(),
    ConfirmToken("abcdefghijklmnop", False).text(),
    "from another version",
)


class WatchedOwner(FakeOwner):
    """Notes every question and every deed."""

    def __getattribute__(self, name: str) -> Any:
        if name in PUBLIC:
            self.__dict__.setdefault("asked_for", []).append(name)
        return super().__getattribute__(name)

    @property
    def touched(self) -> list[str]:
        return list(self.__dict__.get("asked_for", []))


def user(number: int, *, is_bot: bool = False) -> dict[str, Any]:
    return {"id": number, "is_bot": is_bot, "first_name": "Someone"}


def private(number: int) -> dict[str, Any]:
    return {"id": number, "type": "private", "first_name": "Someone"}


def message_by(sender: dict[str, Any], chat: dict[str, Any], **more: Any) -> Callable[[int, str], dict[str, Any]]:
    def made(number: int, text: str) -> dict[str, Any]:
        # Of this moment: what is old is listed as unheard, whoever sent it, and would show nothing about the handlers.
        date = int(SystemClock().now().timestamp())
        body = {"message_id": number, "date": date, "from": sender, "chat": chat, "text": text, **more}
        return {name: value for name, value in body.items() if value is not None}

    return made


def speakers(owner: int) -> dict[str, tuple[str, Callable[[int, str], dict[str, Any]], bool]]:
    """By name: the kind of update, how its message looks, and whether its sender can tap there, too."""
    me = user(owner)
    return {
        "stranger": ("message", message_by(user(STRANGER), private(STRANGER)), True),
        "owner in a group": ("message", message_by(me, GROUP), True),
        "owner in a supergroup": ("message", message_by(me, SUPERGROUP), True),
        "stranger in a group": ("message", message_by(user(STRANGER), GROUP), True),
        "anonymous admin": ("message", message_by(user(ANONYMOUS, is_bot=True), GROUP, sender_chat=GROUP), True),
        "forwarded by the owner": ("message", message_by(me, private(owner), forward_origin=FORWARD), False),
        "edited by the owner": ("edited_message", message_by(me, private(owner), edit_date=1_790_000_009), False),
        "channel post": ("channel_post", message_by(None, CHANNEL, sender_chat=CHANNEL), True),  # type: ignore[arg-type]
        "edited channel post": (
            "edited_channel_post",
            message_by(None, CHANNEL, sender_chat=CHANNEL, edit_date=1_790_000_009),  # type: ignore[arg-type]
            False,
        ),
        "linked channel": ("message", message_by(me, private(owner), is_automatic_forward=True), False),
        "another bot": ("message", message_by(user(BOT, is_bot=True), private(BOT)), True),
        "owner through a bot": ("message", message_by(me, private(owner), via_bot=user(BOT, is_bot=True)), False),
        "owner's id in a stranger's chat": ("message", message_by(me, private(STRANGER)), True),
        "a stranger's id in the owner's chat": ("message", message_by(user(STRANGER), private(owner)), True),
        "business message": ("business_message", message_by(me, private(owner), business_connection_id="b"), False),
    }


SPEAKERS = list(speakers(1))
REFUSED = ("stranger", "owner's id in a stranger's chat", "a stranger's id in the owner's chat")


def tap(number: int, message: dict[str, Any], data: str) -> dict[str, Any]:
    sender = message.get("from", user(STRANGER))
    return {"id": f"tap-{number}", "from": sender, "chat_instance": "1", "message": message, "data": data}


def tables(folder: Path) -> dict[str, list[Any]]:
    """Every row of the ledger but for what the gate may write about strangers."""
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names if name not in UNTOUCHED
        }


async def heard_everything(line: Line) -> None:
    """Everything that the server owed has been handled."""
    await eventually(lambda: line.server.is_owed() == 0, 30)
    for _ in range(3):
        await asyncio.sleep(0.02)


@pytest.fixture
def owner() -> Iterator[WatchedOwner]:
    yield WatchedOwner([an_instruction(), an_instruction(8, needs_approval=True)], asked=[a_question()])


@pytest.mark.feature("A3")
@pytest.mark.feature("A4")
@pytest.mark.parametrize("who", SPEAKERS)
async def test_no_handler_answers_or_obeys_anybody_but_the_owner_in_his_private_chat(
    tmp_path: Path, owner: WatchedOwner, who: str
) -> None:
    async with a_line(tmp_path, owner) as line:
        before, touched, said = tables(tmp_path), owner.touched, len(line.server.texts())
        kind, looks, taps = speakers(line.server.owner_id)[who]
        number = 1000
        for text in TEXTS:
            number += 1
            line.server.hears(kind, looks(number, text), unwanted=True)
            replied = {**looks(number, "an older message")}
            line.server.hears(kind, {**looks(number + 5000, text), "reply_to_message": replied}, unwanted=True)
        for data in TOKENS if taps else ():
            number += 1
            line.server.hears("callback_query", tap(number, looks(number, "a card"), data), unwanted=True)
        await heard_everything(line)
        await eventually(lambda: len(line.server.texts()) - said >= 2 * (who in REFUSED))
        assert owner.touched == touched, "not even a question was asked of the engine"
        assert tables(tmp_path) == before
        told = line.server.texts()[said:]
        # A stranger is refused once, with words that give nothing away, and the owner told once; others hear nothing.
        refusals = [text for text in told if text == "This is a private bot; it answers its owner only."]
        alarms = [text for text in told if "Somebody else wrote to me" in text]
        assert (len(refusals), len(alarms)) == ((1, 1) if who in REFUSED else (0, 0)), told
        assert len(told) == len(refusals) + len(alarms), told
        assert line.server.count("answerCallbackQuery") == 0
        assert line.server.count("editMessageReplyMarkup") == line.server.count("editMessageText") == 0


@pytest.mark.feature("A3")
async def test_an_inline_query_and_a_tap_without_its_message_are_heard_by_nobody(
    tmp_path: Path, owner: WatchedOwner
) -> None:
    async with a_line(tmp_path, owner) as line:
        touched, me = owner.touched, user(line.server.owner_id)
        line.server.hears("inline_query", {"id": "1", "from": me, "query": "status", "offset": ""}, unwanted=True)
        chosen = {"result_id": "1", "from": me, "query": "status"}
        line.server.hears("chosen_inline_result", chosen, unwanted=True)
        bare = {"id": "tap-1", "from": me, "chat_instance": "1", "inline_message_id": "x", "data": "m:pause"}
        line.server.hears("callback_query", bare)
        await heard_everything(line)
        assert owner.touched == touched
        assert line.server.texts() == []


@pytest.mark.feature("A3")
async def test_each_of_these_is_answered_when_it_comes_from_the_owner(tmp_path: Path, owner: WatchedOwner) -> None:
    """What the matrix shows would be true of a bot that answers nobody."""
    async with a_line(tmp_path, owner) as line:
        me, server = line.server.owner_id, line.server
        looks = message_by(user(me), private(me))
        for number, text in enumerate(TEXTS, 1000):
            said = len(server.texts())
            server.hears("message", looks(number, text))
            await eventually(lambda before=said: len(server.texts()) > before)
        for data in TOKENS:
            tapped = await line.person.taps(await a_button(line, data), data)
            await eventually(lambda tapped=tapped: tapped in answered(line))
        assert [text for text in server.texts() if "could not hear you" in text] == []


async def a_button(line: Line, data: str) -> int:
    """The id of a message of the bot's with that button."""
    keyboard = {"inline_keyboard": [[{"text": "A button", "callback_data": data}]]}
    body = {"chat_id": line.server.owner_id, "text": "a card", "reply_markup": keyboard}
    sent = await line.person.http.post(f"/bot{line.server.token}/sendMessage", json=body)
    return int(sent.raise_for_status().json()["result"]["message_id"])


def answered(line: Line) -> list[str]:
    """The taps whose buttons have stopped spinning."""
    return [values["callback_query_id"] for method, values in line.server.calls if method == "answerCallbackQuery"]


@pytest.mark.feature("A1")
@pytest.mark.parametrize("who", ["stranger", "owner in a group", "forwarded by the owner"])
async def test_without_an_owner_every_handler_is_closed_to_everybody(
    tmp_path: Path, owner: WatchedOwner, who: str
) -> None:
    async with a_line(tmp_path, owner, paired=False) as line:
        touched = owner.touched
        kind, looks, taps = speakers(line.server.owner_id)[who]
        for number, text in enumerate(TEXTS, 1000):
            line.server.hears(kind, looks(number, text), unwanted=True)
        for number, data in enumerate(TOKENS if taps else (), 2000):
            line.server.hears("callback_query", tap(number, looks(number, "a card"), data), unwanted=True)
        await heard_everything(line)
        assert owner.touched == touched
        texts = line.server.texts()
        assert len(texts) <= 1
        assert not any(line.codes[0] in text for text in texts)
        assert line.app.gate.owner is None


@pytest.mark.feature("A5")
async def test_a_stranger_gets_one_refusal_and_the_owner_one_warning(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        for number in range(20):
            body = message_by(user(STRANGER), private(STRANGER))(1000 + number, "/status")
            line.server.hears("message", body)
        await heard_everything(line)
        await line.until_said(str(STRANGER))
        to_him = [
            values for method, values in line.server.calls if method == "sendMessage" and "private bot" in str(values)
        ]
        assert [int(values["chat_id"]) for values in to_him] == [STRANGER]
        assert sum(str(STRANGER) in text for text in await line.texts()) == 1


@pytest.mark.feature("A7")
async def test_the_audit_is_read_page_by_page_in_one_message(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        for number in range(30):
            await line.app.gate.audit("owner 1", f"deed {number} <b>", "done")
        await line.person.sends("/audit")
        first = await line.until_said("Audit, page 1")
        assert "deed 29 <b>: done" in first and "deed 17" not in first
        (message,) = [each for each in await line.person.sees() if "Audit" in each.get("text", "")]
        await line.person.taps(message["message_id"], "m:audit-2!")
        second = await line.until_said("Audit, page 2")
        assert "deed 17 <b>: done" in second
        (message,) = [each for each in await line.person.sees() if "Audit" in each.get("text", "")]
        labels = [each["text"] for row in message["reply_markup"]["inline_keyboard"] for each in row]
        assert labels == ["⬅️ Newer", "Older ➡️"]
        await line.person.sends("/audit 99")
        await line.until_said("Nothing is recorded that far back")
        await line.person.sends("/audit yesterday")
        await line.until_said("Which page?")
