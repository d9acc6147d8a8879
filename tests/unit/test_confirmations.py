"""What waits for a word of the owner: one outcome each, an end, and nothing forgotten by a restart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.confirmations import (
    LIVES,
    ConfirmToken,
    Outcome,
    Wants,
    ask,
    find,
    newest_open,
    settle,
    staleness,
)
from core.clock import VirtualClock
from core.ports import UnitOfWork
from core.storage.store import Database, open_database
from tests.ledger_builders import START, ledger


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = ledger(tmp_path, VirtualClock(START))
    yield database
    database.close()


def asked(work: UnitOfWork, subject: str = "Selling SPY", kind: str = "close", tap: str = "message:1", **more):
    return ask(work, kind, subject, {"symbol": "SPY"}, tap, START, **more)


@pytest.mark.feature("C3")
def test_an_asking_survives_a_restart_and_its_first_outcome_stands(tmp_path: Path) -> None:
    first = open_database(tmp_path / "ledger.sqlite", durable=False)
    with first.unit_of_work() as work:
        made = asked(work)
        work.commit("confirmation")
    first.close()
    again = open_database(tmp_path / "ledger.sqlite", durable=False)
    with again.unit_of_work() as work:
        assert find(work, made.token) == made
        settle(work, made.token, Outcome.DROPPED)
        settle(work, made.token, Outcome.CONFIRMED)
        known = find(work, made.token)
        assert known is not None
        assert known.outcome is Outcome.DROPPED
        assert "dropped" in (staleness(known, START) or "")
    again.close()


@pytest.mark.feature("C3")
def test_it_counts_until_its_end_and_not_at_it(database: Database) -> None:
    with database.unit_of_work() as work:
        made = asked(work)
        assert staleness(made, START + LIVES - timedelta(microseconds=1)) is None
        assert "expired" in (staleness(made, START + LIVES) or "")
        assert newest_open(work, START + LIVES) is None


def test_a_newer_asking_about_the_same_takes_the_place_of_the_older_and_leaves_others(database: Database) -> None:
    with database.unit_of_work() as work:
        old, other = asked(work), asked(work, "Selling QQQ", tap="message:2")
        new = asked(work, tap="message:3")
        assert old.token != new.token
        assert [find(work, each.token).outcome for each in (old, other, new)] == [
            Outcome.REPLACED,
            Outcome.OPEN,
            Outcome.OPEN,
        ]
        assert newest_open(work, START) == new


def test_only_one_question_waits_for_words(database: Database) -> None:
    with database.unit_of_work() as work:
        card = asked(work)
        first = asked(work, "New stop of SPY", "level", wants=Wants.TEXT)
        second = asked(work, "STOP_LOSS", "setting", wants=Wants.TEXT)
        assert newest_open(work, START, Wants.TEXT) == second
        assert find(work, first.token).outcome is Outcome.REPLACED
        assert newest_open(work, START, Wants.TAP) == card


def test_what_is_long_over_is_forgotten_and_its_button_says_so(database: Database) -> None:
    with database.unit_of_work() as work:
        old = asked(work)
        for number in range(60):
            asked(work, f"Selling {number}", tap=f"message:{number}")
        assert find(work, old.token) is None
        assert staleness(None, START) == "This button is too old. Nothing was changed."


@given(st.text(max_size=70) | st.from_regex(r"c:[yn]:[0-9a-f]{14,18}", fullmatch=True))
def test_any_text_is_a_token_of_ours_or_nobodys(text: str) -> None:
    token = ConfirmToken.parse(text)
    assert token is None or (token.text() == text and len(text.encode()) <= 64)
