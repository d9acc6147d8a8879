"""autotrader owner revoke | pair, beside a running bot (A9)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from telegram import Update

from bot.cli import main
from bot.gate import Gate, Standing
from bot.hands import Hands
from bot.owner_console import pair_owner, revoke_owner
from bot.ownership import Identity
from bot.pairing import LIFETIME, TRIES, Pairing
from core.clock import VirtualClock
from core.errors import Fatal
from core.settings import Settings, load_settings
from core.storage.store import Database, open_database
from jobs.writer import InlineWriter

TOKEN = "123456789:" + "A" * 35
OWNER, THIEF = 111, 222
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Database]:
    """The engine's own, open all the time."""
    (tmp_path / "data").mkdir()
    database = open_database(tmp_path / "data" / "ledger.sqlite", durable=False)
    yield database
    database.close()


def settings(folder: Path, **more: str) -> Settings:
    return load_settings({"STATE_DIR": str(folder), "TELEGRAM_BOT_TOKEN": TOKEN, **more}, None)


class Running:
    """The gate of a running bot, with the codes that its own console has shown."""

    def __init__(self, ledger: Database, clock: VirtualClock, fixed: Identity | None = None) -> None:
        self.ledger = ledger
        self.codes: list[str] = []
        pairing = Pairing(clock, lambda code, _until: self.codes.append(code))
        hands = Hands(InlineWriter())
        self.gate = Gate(ledger.unit_of_work, hands, clock, clock, pairing, fixed, ledger.reading)

    async def hears(self, sender: int, text: str) -> Standing:
        person = {"id": sender, "is_bot": False, "first_name": "Someone"}
        chat = {"id": sender, "type": "private", "first_name": "Someone"}
        message: dict[str, Any] = {"message_id": 5, "date": 1_790_000_000, "from": person, "chat": chat, "text": text}
        update = Update.de_json({"update_id": 1, "message": message}, None)
        return (await self.gate.admit(update)).standing


def code_in(words: str) -> str:
    found = re.search(r"/start ([A-Z0-9]{8})\b", words)
    assert found is not None, words
    return found[1]


@pytest.mark.feature("A9")
async def test_a_revoked_owner_is_a_stranger_at_once_and_the_new_code_pairs_another_phone(
    tmp_path: Path, ledger: Database, clock: VirtualClock
) -> None:
    bot = Running(ledger, clock)
    await bot.gate.open()
    await bot.hears(THIEF, f"/start {bot.codes[0]}")
    assert await bot.hears(THIEF, "/status") is Standing.OWNER
    words = revoke_owner(settings(tmp_path), clock)
    assert f"user {THIEF}" in words
    assert await bot.hears(THIEF, "/flatten yes") is Standing.STRANGER
    assert bot.gate.chat() is None
    assert await bot.hears(OWNER, f"/start {code_in(words).lower()}") is Standing.OWNER
    assert bot.gate.owner == Identity(OWNER, OWNER)
    assert await bot.hears(THIEF, f"/start {code_in(words)}") is not Standing.OWNER
    with ledger.reading() as work:
        trail = {(record.actor, record.action) for record in work.audit_trail()}
        kept = [work.value(key) for key in ("owner", "owner_revoked", "pairing_offer")]
    assert ("console", "owner revoke") in trail
    assert not any(code_in(words) in str(value) for value in kept)


@pytest.mark.feature("A9")
async def test_messages_stop_going_to_a_revoked_owner_without_a_word_from_him(
    tmp_path: Path, ledger: Database, clock: VirtualClock
) -> None:
    bot = Running(ledger, clock)
    await bot.gate.open()
    await bot.hears(THIEF, f"/start {bot.codes[0]}")
    assert bot.gate.chat() == THIEF
    revoke_owner(settings(tmp_path), clock)
    await bot.gate.refresh()
    assert bot.gate.chat() is None


@pytest.mark.feature("A9")
async def test_an_owner_from_the_settings_is_revoked_too_until_his_account_is_paired_again(
    tmp_path: Path, ledger: Database, clock: VirtualClock
) -> None:
    bot = Running(ledger, clock, Identity(THIEF, THIEF))
    await bot.gate.open()
    assert await bot.hears(THIEF, "/status") is Standing.OWNER
    words = revoke_owner(settings(tmp_path, TELEGRAM_OWNER_ID=str(THIEF)), clock)
    assert "TELEGRAM_OWNER_ID" in words
    assert await bot.hears(THIEF, "/status") is not Standing.OWNER
    restarted = Running(ledger, clock, Identity(THIEF, THIEF))
    await restarted.gate.open()
    assert restarted.gate.owner is None
    assert await restarted.hears(THIEF, f"/start {code_in(words)}") is Standing.OWNER
    assert await restarted.hears(THIEF, "/status") is Standing.OWNER


@pytest.mark.feature("A2")
@pytest.mark.feature("A9")
async def test_a_code_of_the_console_unlocks_pairing_and_has_tries_and_an_end_of_its_own(
    tmp_path: Path, ledger: Database, clock: VirtualClock
) -> None:
    bot = Running(ledger, clock)
    await bot.gate.open()
    for _ in range(TRIES):
        await bot.hears(THIEF, "/start WRONGONE")
    assert await bot.hears(OWNER, f"/start {bot.codes[0]}") is not Standing.OWNER
    late = code_in(pair_owner(settings(tmp_path), clock))
    clock.advance(LIFETIME)
    assert await bot.hears(OWNER, f"/start {late}") is not Standing.OWNER
    fresh = code_in(pair_owner(settings(tmp_path), clock))
    for _ in range(TRIES):
        await bot.hears(THIEF, "/start WRONGONE")
    assert await bot.hears(OWNER, f"/start {fresh}") is not Standing.OWNER, "locked again"
    another = code_in(pair_owner(settings(tmp_path), clock))
    assert await bot.hears(OWNER, f"/start {another}") is Standing.OWNER
    with pytest.raises(Fatal, match=f"user {OWNER} is the owner"):
        pair_owner(settings(tmp_path), clock)


def test_without_a_bot_or_a_ledger_the_console_says_what_to_do(tmp_path: Path, clock: VirtualClock) -> None:
    with pytest.raises(Fatal, match="local phone"):
        revoke_owner(load_settings({"STATE_DIR": str(tmp_path)}, None), clock)
    with pytest.raises(Fatal, match="start the engine"):
        pair_owner(settings(tmp_path), clock)
    assert list(tmp_path.iterdir()) == [], "asking makes no ledger"


@pytest.mark.feature("A9")
def test_the_command_line_revokes_and_prints_the_code(
    tmp_path: Path, ledger: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", TOKEN)
    assert main(["owner", "revoke", "--env-file", "/dev/null"]) == 0
    printed = capsys.readouterr().out
    assert "nobody was paired" in printed
    assert code_in(printed)
    assert main(["owner", "pair", "--env-file", "/dev/null"]) == 0
    with pytest.raises(SystemExit):
        main(["owner"])
