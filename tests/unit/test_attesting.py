"""The weekly question whether the owner's own broker shows what the ledger says (M15)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from core.domain.records import QuestionChoice, QuestionKind, QuestionState
from core.execution.attesting import ask_weekly
from tests.bot_line import a_desk_line, buttons_of, eventually
from tests.builders import COIN, Bench

ZONE = ZoneInfo("America/New_York")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """It is midnight UTC on a Monday: Sunday evening in New York."""
    return Bench(tmp_path, symbols=(COIN,), zone=ZONE).start()


def hours(bench: Bench, count: float) -> None:
    bench.system.advance(timedelta(hours=count))
    bench.clock.advance(timedelta(hours=count))


def asked(bench: Bench) -> list[str]:
    return [each.text for each in bench.owner.questions() if each.kind is QuestionKind.ATTEST]


def in_the_first_morning(bench: Bench) -> None:
    """A holding, first seen at nine in New York, and the Monday after it."""
    bench.declare_cash("2240.22")
    card = bench.instruct()
    bench.owner.execute(card.number, card.version, "tap")
    hours(bench, 14)
    assert ask_weekly(bench.desk) == "first seen"
    hours(bench, 7 * 24)


@pytest.mark.feature("M15")
def test_nothing_is_asked_while_nothing_is_held(bench: Bench) -> None:
    hours(bench, 14)
    assert ask_weekly(bench.desk) == "nothing to confirm"


@pytest.mark.feature("M15")
def test_a_week_after_the_first_holding_the_owner_is_asked_once_in_his_morning(bench: Bench) -> None:
    in_the_first_morning(bench)
    assert ask_weekly(bench.desk) == "asked"
    (text,) = asked(bench)
    assert text.startswith("Does your broker show 10 BTC-USD and 1,240.22 USD in cash?")
    for _ in range(20):
        hours(bench, 24)
        assert ask_weekly(bench.desk) == "asked already"
    assert len(asked(bench)) == 1


@pytest.mark.feature("M15")
def test_it_is_not_asked_at_night_and_every_week_again_after_an_answer(bench: Bench) -> None:
    in_the_first_morning(bench)
    when = []
    for _ in range(24 * 22):
        if ask_weekly(bench.desk) == "asked":
            when.append(bench.system.now().astimezone(ZONE))
            (question,) = bench.owner.questions()[-1:]
            bench.owner.answer(question.number, question.version, QuestionChoice.MATCH, f"tap {question.number}")
        hours(bench, 1)
    assert len(when) == 4
    assert {moment.hour for moment in when} <= {8, 9, 10, 11}
    assert all(timedelta(days=6) < later - earlier < timedelta(days=8) for earlier, later in pairwise(when))


@pytest.mark.feature("M15")
def test_the_morning_is_that_of_the_zone_to_which_the_owner_has_moved(bench: Bench) -> None:
    in_the_first_morning(bench)
    bench.zone = ZoneInfo("Asia/Tokyo")
    assert ask_weekly(bench.desk) == "not due", "it is eleven at night in Tokyo"
    hours(bench, 9)
    assert ask_weekly(bench.desk) == "asked"


@pytest.mark.feature("M15")
def test_a_machine_that_sleeps_in_the_mornings_asks_in_the_afternoon_in_the_end(bench: Bench) -> None:
    in_the_first_morning(bench)
    hours(bench, 6)
    assert ask_weekly(bench.desk) == "not due"
    hours(bench, 3 * 24)
    assert ask_weekly(bench.desk) == "asked"


@pytest.mark.feature("M15")
def test_a_match_dates_the_manual_account_and_a_restart_keeps_it(bench: Bench) -> None:
    in_the_first_morning(bench)
    ask_weekly(bench.desk)
    (question,) = [each for each in bench.owner.questions() if each.kind is QuestionKind.ATTEST]
    answer = bench.owner.answer(question.number, question.version, QuestionChoice.MATCH, "tap-1")
    assert "counts as confirmed" in answer.text
    confirmed = bench.clock.now()
    bench.restart()
    hours(bench, 5)
    accounts = {each.account: each.confirmed_at for each in bench.owner.positions().accounts}
    assert accounts == {"simulated": None, "manual": confirmed}
    assert {each.account: each.confirmed_at for each in bench.owner.report().accounts} == accounts


@pytest.mark.feature("M15")
def test_a_match_with_figures_that_have_changed_confirms_nothing_and_asks_anew(bench: Bench) -> None:
    in_the_first_morning(bench)
    ask_weekly(bench.desk)
    (question,) = [each for each in bench.owner.questions() if each.kind is QuestionKind.ATTEST]
    bench.owner.declare_cash(Decimal(1000), "owner", "cash")
    answer = bench.owner.answer(question.number, question.version, QuestionChoice.MATCH, "tap-1")
    assert "nothing was noted" in answer.text
    assert {each.confirmed_at for each in bench.owner.positions().accounts} == {None}
    (text,) = asked(bench)
    assert "1,000.00 USD" in text


@pytest.mark.feature("M15")
def test_a_difference_leads_to_the_ways_to_put_it_right_and_changes_nothing(bench: Bench) -> None:
    in_the_first_morning(bench)
    ask_weekly(bench.desk)
    (question,) = [each for each in bench.owner.questions() if each.kind is QuestionKind.ATTEST]
    head = bench.read(lambda work: work.chain_head())
    answer = bench.owner.answer(question.number, question.version, QuestionChoice.DIFFERS, "tap-1")
    assert all(way in answer.text for way in ("/bought", "/correct", "/undo", "/cash", "/split"))
    assert bench.read(lambda work: work.chain_head()) == head
    assert {each.confirmed_at for each in bench.owner.positions().accounts} == {None}


@pytest.mark.feature("M15")
async def test_the_card_is_answered_with_one_tap_and_the_date_is_shown(bench: Bench) -> None:
    in_the_first_morning(bench)
    ask_weekly(bench.desk)
    async with a_desk_line(bench) as line:
        await line.person.sends("/positions")
        await line.until_said("Manual account: as you reported.")
        shown = await line.message_with("does your broker show the same?")
        assert list(buttons_of(shown)) == ["✅ Match", "✏️ Differs"]
        assert "10 BTC-USD and $1,240.22 in cash?" in shown["text"]
        await line.tap(shown, "✅ Match")
        await eventually(lambda: asked(bench) == [])
        await line.person.sends("/positions")
        await line.until_said("Manual account: as you confirmed on Mon 11 Mar 2024.")
        await line.person.sends("/report")
        await line.until_said("as you confirmed on Mon 11 Mar 2024")
        settled = bench.read(lambda work: work.questions())
        assert [each.answer for each in settled if each.state is QuestionState.ANSWERED] == [QuestionChoice.MATCH]
