"""The gate's matrix: who speaks, in which kind of chat, with what kind of update."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from telegram import Update

from bot.gate import Gate, Standing, standing
from bot.hands import Hands
from bot.ownership import Identity
from bot.pairing import LIFETIME, TRIES, Outcome, Pairing, new_code
from core.clock import VirtualClock
from core.domain.events import StrangerSpoke
from core.storage.store import Database, open_database
from jobs.writer import InlineWriter

OWNER = 111
STRANGER = 222
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def user(number: int, *, is_bot: bool = False) -> dict[str, Any]:
    return {"id": number, "is_bot": is_bot, "first_name": "Someone"}


def private(number: int) -> dict[str, Any]:
    return {"id": number, "type": "private", "first_name": "Someone"}


def a_message(sender: int, text: str, **changes: Any) -> dict[str, Any]:
    message = {"message_id": 5, "date": 1_790_000_000, "from": user(sender), "chat": private(sender), "text": text}
    return {**message, **changes}


GROUP = {"id": -500, "type": "group", "title": "Club"}
CHANNEL = {"id": -600, "type": "channel", "title": "News"}
FORWARD = {"type": "user", "date": 1_790_000_000, "sender_user": user(STRANGER)}


def updates_of(who: str, what: str) -> dict[str, Any]:
    """The update as Telegram sends it."""
    text = "/pause" if what == "command" else "hello"
    if what == "callback":
        return _tap_of(who)
    bodies: dict[str, dict[str, Any]] = {
        "owner": {"message": a_message(OWNER, text)},
        "stranger": {"message": a_message(STRANGER, text)},
        "owner in a group": {"message": a_message(OWNER, text, chat=GROUP)},
        "anonymous admin": {"message": a_message(1087968824, text, chat=GROUP, sender_chat=GROUP)},
        "forwarded by the owner": {"message": a_message(OWNER, text, forward_origin=FORWARD)},
        "edited by the owner": {"edited_message": a_message(OWNER, text, edit_date=1_790_000_009)},
        "channel post": {"channel_post": {**a_message(OWNER, text, chat=CHANNEL), "sender_chat": CHANNEL}},
        "another bot": {"message": a_message(333, text, **{"from": user(333, is_bot=True)})},
        "owner through a bot": {"message": a_message(OWNER, text, via_bot=user(333, is_bot=True))},
        "owner's id in a stranger's chat": {"message": a_message(OWNER, text, chat=private(STRANGER))},
    }
    return bodies[who]


def _tap_of(who: str) -> dict[str, Any]:
    sender = {"stranger": STRANGER, "another bot": 333}.get(who, OWNER)
    chat = {
        "owner in a group": GROUP,
        "anonymous admin": GROUP,
        "channel post": CHANNEL,
        "owner's id in a stranger's chat": private(STRANGER),
    }.get(who, private(sender))
    query = {
        "id": "1",
        "from": user(sender, is_bot=who == "another bot"),
        "chat_instance": "1",
        "data": "m:pause",
        "message": {"message_id": 5, "date": 1_790_000_000, "chat": chat, "text": "x"},
    }
    return {"callback_query": query}


def update_of(body: dict[str, Any]) -> Update:
    update = Update.de_json({"update_id": 1, **body}, None)
    assert update is not None
    return update


HEARD = {"owner": Standing.OWNER, "stranger": Standing.STRANGER, "owner's id in a stranger's chat": Standing.STRANGER}
# A tap has no forwarder, editor or bot in between: pressed in the private chat, it is the presser's own.
HEARD_TAPS = {
    **HEARD,
    "forwarded by the owner": Standing.OWNER,
    "edited by the owner": Standing.OWNER,
    "owner through a bot": Standing.OWNER,
}
SPEAKERS = [
    "owner",
    "stranger",
    "owner in a group",
    "anonymous admin",
    "forwarded by the owner",
    "edited by the owner",
    "channel post",
    "another bot",
    "owner through a bot",
    "owner's id in a stranger's chat",
]


@pytest.mark.feature("A3")
@pytest.mark.parametrize("what", ["command", "text", "callback"])
@pytest.mark.parametrize("who", SPEAKERS)
def test_only_the_owner_in_his_private_chat_is_heard(who: str, what: str) -> None:
    judged = standing(update_of(updates_of(who, what)), Identity(OWNER, OWNER))
    assert judged is (HEARD_TAPS if what == "callback" else HEARD).get(who, Standing.IGNORED)


@pytest.mark.feature("A1")
@pytest.mark.parametrize("what", ["command", "text", "callback"])
@pytest.mark.parametrize("who", SPEAKERS)
def test_without_an_owner_nobody_is_let_in(who: str, what: str) -> None:
    assert standing(update_of(updates_of(who, what)), None) is not Standing.OWNER


@pytest.mark.feature("A4")
def test_the_right_user_in_the_wrong_chat_is_a_stranger() -> None:
    update = update_of(updates_of("owner", "command"))
    assert standing(update, Identity(OWNER, 999)) is Standing.STRANGER


class Door:
    """A gate over a real ledger."""

    def __init__(self, ledger: Database, clock: VirtualClock, owner: Identity | None) -> None:
        self.ledger = ledger
        self.clock = clock
        self.codes: list[str] = []
        self.hands = Hands(InlineWriter())
        pairing = Pairing(clock, lambda code, _until: self.codes.append(code))
        self.gate = Gate(ledger.unit_of_work, self.hands, clock, clock, pairing, owner)

    async def hears(self, sender: int, text: str) -> Any:
        return await self.gate.admit(update_of({"message": a_message(sender, text)}))

    def events(self) -> list[Any]:
        with self.ledger.reading() as work:
            return [row.event for row in work.messages(1000)]

    def audited(self) -> list[tuple[str, str, str]]:
        with self.ledger.reading() as work:
            return [(record.actor, record.action, record.outcome) for record in work.audit_trail(1000)]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path / "ledger.sqlite", durable=False)
    yield database
    database.close()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.mark.feature("A5")
async def test_a_stranger_is_refused_once_and_the_owner_told_once(ledger: Database, clock: VirtualClock) -> None:
    door = Door(ledger, clock, Identity(OWNER, OWNER))
    await door.gate.open()
    first = await door.hears(STRANGER, "/status <b>")
    assert (first.standing, bool(first.words)) == (Standing.STRANGER, True)
    for _ in range(5):
        assert (await door.hears(STRANGER, "/status")).words == ""
    (event,) = door.events()
    assert isinstance(event, StrangerSpoke)
    assert event.user_id == STRANGER
    assert len(door.audited()) == 1


async def test_a_crowd_of_strangers_is_not_answered_for_ever(ledger: Database, clock: VirtualClock) -> None:
    door = Door(ledger, clock, Identity(OWNER, OWNER))
    answered = [bool((await door.hears(1000 + number, "hi")).words) for number in range(50)]
    assert sum(answered) == 20
    clock.advance(timedelta(hours=1))
    assert (await door.hears(9999, "hi")).words


async def test_an_unpaired_bot_gives_nothing_away(ledger: Database, clock: VirtualClock) -> None:
    door = Door(ledger, clock, None)
    await door.gate.open()
    admission = await door.hears(STRANGER, "/status")
    assert admission.standing is Standing.STRANGER
    assert door.codes[0] not in admission.words
    assert door.events() == []


@pytest.mark.feature("A2")
async def test_the_code_pairs_and_the_owner_is_remembered_across_a_restart(
    ledger: Database, clock: VirtualClock
) -> None:
    door = Door(ledger, clock, None)
    await door.gate.open()
    assert len(door.codes[0]) == 8
    admission = await door.hears(OWNER, f"/start  {door.codes[0].lower()} ")
    assert (admission.standing, admission.paired) == (Standing.OWNER, True)
    restarted = Door(ledger, clock, None)
    await restarted.gate.open()
    assert restarted.codes == []
    assert restarted.gate.owner == Identity(OWNER, OWNER)
    assert (await restarted.hears(STRANGER, f"/start {door.codes[0]}")).standing is Standing.STRANGER
    assert not any(door.codes[0] in action for _, action, _ in door.audited())


async def test_a_code_is_good_once(ledger: Database, clock: VirtualClock) -> None:
    door = Door(ledger, clock, None)
    await door.gate.open()
    await door.hears(OWNER, f"/start {door.codes[0]}")
    assert (await door.hears(STRANGER, f"/start {door.codes[0]}")).standing is Standing.STRANGER
    assert door.gate.owner == Identity(OWNER, OWNER)


async def test_a_fixed_owner_beats_a_stored_one(ledger: Database, clock: VirtualClock) -> None:
    door = Door(ledger, clock, None)
    await door.gate.open()
    await door.hears(STRANGER, f"/start {door.codes[0]}")
    fixed = Door(ledger, clock, Identity(OWNER, OWNER))
    await fixed.gate.open()
    assert fixed.gate.chat() == OWNER


@pytest.mark.feature("A2")
def test_five_wrong_codes_lock_pairing_until_a_restart(clock: VirtualClock) -> None:
    codes: list[str] = []
    pairing = Pairing(clock, lambda code, _until: codes.append(code))
    pairing.offer()
    assert [pairing.attempt("WRONG") for _ in range(TRIES)] == [Outcome.WRONG] * TRIES
    assert pairing.attempt(codes[0]) is Outcome.LOCKED
    assert pairing.offer() is False


@pytest.mark.feature("A2")
def test_a_code_expires_after_ten_minutes_and_a_new_one_is_shown(clock: VirtualClock) -> None:
    codes: list[str] = []
    pairing = Pairing(clock, lambda code, _until: codes.append(code))
    pairing.offer()
    assert pairing.offer() is False
    clock.advance(LIFETIME)
    assert pairing.attempt(codes[0]) is Outcome.EXPIRED
    assert pairing.offer() is True
    assert pairing.attempt(codes[1]) is Outcome.PAIRED
    assert pairing.attempt(codes[1]) is Outcome.EXPIRED


def test_codes_avoid_letters_that_look_alike() -> None:
    assert not set("".join(new_code() for _ in range(50))) & set("0O1IL")
