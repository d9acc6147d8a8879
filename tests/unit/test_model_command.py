"""/model: how good the model is beside guessing, what became of those before it, and a picture of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.commands.table import run_command
from bot.commands.talk import Talk
from bot.hands import Hands
from bot.live_status import LiveStatusDesk
from bot.markup import visible
from bot.message import Message
from bot.model_desk import ModelDesk
from bot.model_picture import BAND, LINE, MARK, picture
from core.clock import VirtualClock
from core.domain.contests import Attempt, Contest
from core.domain.decisions import Prediction
from core.domain.skill import LiveSkill, SkillRecord, Standing, Standings, TrackedPrediction, Trust
from core.execution.live_skill import keep_live_skill, keep_standings
from core.settings import load_settings
from core.settings.book import SettingsBook
from core.storage.store import Database
from jobs.model_changes import Change, Fate
from jobs.writer import InlineWriter
from tests.fakes_owner import NOON, FakeOwner
from tests.ledger_builders import ledger
from tests.model_builders import DAY, FIRST, SECOND, foreseen, model_store, two_models
from tests.telegram_html import check_message
from tests.unit.test_bars_report import pixels_of
from tests.unit.test_style import MarketClock, too_wide

pytestmark = pytest.mark.feature("I7")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = ledger(tmp_path, VirtualClock(NOON))
    yield found
    found.close()


@pytest.fixture
def talk(database: Database, tmp_path: Path) -> Iterator[Talk]:
    book = SettingsBook(load_settings({}, None), database.unit_of_work, VirtualClock(NOON))
    clock, hands = MarketClock(NOON), Hands(InlineWriter())
    live = LiveStatusDesk(database.unit_of_work, clock, clock)
    store = model_store(tmp_path / "models")
    models = ModelDesk(database.unit_of_work, database.reading, store, clock, lambda: None)
    yield Talk(FakeOwner([]), hands, clock, book, database.unit_of_work, live, VirtualClock(NOON), models=models)
    hands.close()


@pytest.fixture
def filled(database: Database, tmp_path: Path, talk: Talk) -> Talk:
    with database.unit_of_work() as work:
        two_models(work, tmp_path / "models")
        days = [(NOON - (60 - day) * DAY, day) for day in range(50)]
        foreseen(work, FIRST, [("SPY", at, day % 4 != 0) for at, day in days])
        foreseen(work, FIRST, [("BTC-USD", at + timedelta(hours=3), day % 2 == 0) for at, day in days])
        work.commit()
    return talk


def answer(talk: Talk, said: str) -> Message:
    (message,) = asyncio.run(run_command(talk, said, "owner", f"message:{said}"))[1].messages
    check_message(message.text)
    assert too_wide(message.text) == []
    return message


def labels(message: Message) -> list[str]:
    return [button.label for row in message.keyboard for button in row]


def test_it_says_what_the_model_foresees_how_well_and_that_research_found_no_gain(filled: Talk) -> None:
    message = answer(filled, "/model")
    text = visible(message.text)
    assert text.startswith(f"🧠 Model {SECOND}\nin use since ")
    assert "It says how likely this is: close higher after 10 bars." in text
    assert "Recipe scaled-asset: a forest for each asset." in text
    for row in ("Learned    17,000 rows", "Skill      +0.0014 (0 is guessing)", "Base rate  56.0% came true"):
        assert row in text, text
    assert "Learning has not been shown to add anything over the plain rule" in text
    assert labels(message) == ["📈 Picture", "🎓 Train now", f"⏪ Go back to {FIRST}, {(NOON - 10 * DAY).day} Nov"]


def test_it_counts_each_assets_live_forecasts_that_came_true(filled: Talk) -> None:
    text = visible(answer(filled, "/model").text)
    for row in ("BTC-USD  25 of 50 (50%)", "SPY      37 of 50 (74%)", "All      62 of 100 (62%)"):
        assert row in text, text


def test_the_live_skill_is_that_of_the_recipe_in_use(filled: Talk, database: Database) -> None:
    record = SkillRecord(
        "*", 100, 62, 12.4, 0.5, 0.7, 0.24, 0.25, 0.6900, 0.6931, -0.0123, 0.0201, 0.0, Trust.TRUSTED, ()
    )  # fmt: skip
    with database.unit_of_work() as work:
        keep_live_skill(work, LiveSkill(NOON, NOON - 365 * DAY, "scaled-asset", record, (), ()))
        work.commit()
    said = "Live skill +0.0031 nats (90 % interval −0.0123 to 0.0201), of 12 independent outcomes."
    assert said in visible(answer(filled, "/model").text)
    with database.unit_of_work() as work:
        keep_live_skill(work, LiveSkill(NOON, NOON - 365 * DAY, "direction-pooled", record, (), ()))
        work.commit()
    assert "Live skill" not in answer(filled, "/model").text


def test_whose_purchases_the_live_record_holds_back_is_said_with_its_reason(filled: Talk, database: Database) -> None:
    doubted = {
        "SPY": Standing("SPY", Trust.OBSERVED, "log loss 0.7100, base rate 0.6900", NOON),
        "*": Standing("*", Trust.THROTTLED, "evidence of 2.1 nats", NOON),
    }
    with database.unit_of_work() as work:
        keep_standings(work, Standings("scaled-asset", doubted))
        work.commit()
    text = visible(answer(filled, "/model").text)
    assert "All assets half the size: evidence of 2.1 nats\nSPY watched only: log loss 0.7100" in text


def test_the_newest_contest_is_told_with_what_each_recipe_came_to(filled: Talk, database: Database) -> None:
    attempts = (
        Attempt("scaled-asset", "scaled", 9000, -0.0055, why="the champion's"),
        Attempt("scaled-class", "scaled", 9000, -0.01, -0.0045, -0.0123, 0.03, "0.0045 nats behind the champion's"),
        Attempt("direction-pooled", "direction", why="its event happens by itself 66% of the time in SPY"),
    )
    told = "no other recipe is shown to foresee more: scaled-asset stays"
    with database.unit_of_work() as work:
        work.record_contest(
            Contest(1, NOON, "scaled-asset", NOON - 1825 * DAY, NOON, "0" * 64, attempts, "", told), recorded_at=NOON
        )
        work.commit()
    text = visible(answer(filled, "/model").text)
    assert (
        f"Contest of recipes 1, {NOON.day} Nov\nNo other recipe is shown to foresee more: scaled-asset stays.\n"
        "scaled-class: 0.0045 nats behind the champion's\n1 other could not challenge"
    ) in text


def test_a_model_that_is_worse_than_guessing_has_a_skill_below_zero(filled: Talk, database: Database) -> None:
    with database.unit_of_work() as work:
        model = work.champion()
        assert model is not None
        work.add_model(replace(model, version="f444444444444", validation_log_loss=0.6980, baseline_log_loss=0.6923))
        work.commit()
    assert "Skill      −0.0057 (0 is guessing)" in visible(answer(filled, "/model").text)


def test_what_became_of_models_is_told_with_days_and_reasons_the_newest_first(filled: Talk) -> None:
    text = visible(answer(filled, "/model").text)
    told = [line for line in text.splitlines() if "f111" in line or "f222" in line or "f333" in line]
    assert [line.split(" ", 3)[3] for line in told[1:]] == [
        f"{SECOND} in use",
        "f333333333333 set aside: Its log loss 0.7500 is 0.0600 above the base rate's",
        f"{FIRST} in use",
    ]


def test_without_a_model_it_says_that_nothing_is_bought(talk: Talk) -> None:
    message = answer(talk, "/model")
    assert visible(message.text).startswith("🧠 No model yet\n\nNo model is in use: nothing is bought without one.")
    assert labels(message) == ["🎓 Train now"]
    assert "nothing to draw" in answer(talk, "/model picture").text
    assert "There is no model that" in visible(answer(talk, "/model back").text)
    assert answer(replace(talk, models=None), "/model").text == "🧠 No models are kept here."


@pytest.mark.feature("S21")
def test_where_the_plain_rule_decides_no_model_is_missed_and_none_is_asked(talk: Talk, request: Any) -> None:
    talk.book.change({"PROFILE": "rule"}, "owner")
    assert "No model is in use: the plain rule decides without one." in visible(answer(talk, "/model").text)
    filled = request.getfixturevalue("filled")
    assert "The plain rule decides (/settings profile): forecasts are only" in visible(answer(filled, "/model").text)


def test_words_that_mean_nothing_change_nothing(filled: Talk) -> None:
    assert "takes no words, or" in answer(filled, "/model forward").text
    assert "There is no model “f9”" in answer(filled, "/model back f9").text
    assert "in use already" in answer(filled, f"/model back {SECOND}").text
    assert "set aside when it was trained" in answer(filled, "/model back f333").text


def test_the_picture_shows_the_share_the_luck_and_when_a_model_came_into_use(filled: Talk) -> None:
    message = answer(filled, "/model picture")
    assert message.attachment is not None
    assert message.attachment.is_picture
    pixels = pixels_of(message.attachment.content)
    assert pixels.shape == (420, 900)
    assert {LINE, BAND} <= set(np.unique(pixels).tolist())
    assert "62 of 100 (62%)" in visible(message.text)


def foretold(at: datetime, came_true: bool) -> TrackedPrediction:
    return TrackedPrediction(Prediction("SPY", 0.6, "up", "f1", at), came_true)


def test_the_line_lies_where_the_share_is_and_a_mark_where_the_model_changed() -> None:
    days = [NOON + day * DAY for day in range(100)]
    scored = [foretold(at, day >= 50) for day, at in enumerate(days)]
    pixels = pixels_of(picture(scored, [Change(NOON + 50 * DAY, "f2", Fate.LIVE), Change(NOON, "f0", Fate.REJECTED)]))
    heights = [np.flatnonzero(pixels[45:370, column] == LINE).mean() + 45 for column in (80, 870)]
    assert heights[0] == pytest.approx(360, abs=3)
    assert heights[1] == pytest.approx(52, abs=3)
    marked = np.flatnonzero((pixels[53:358] == MARK).sum(axis=0) > 50)
    assert marked == pytest.approx([70 + 50 / 99 * 809], abs=2)


def test_one_forecast_alone_can_be_drawn() -> None:
    assert picture([foretold(NOON, True)], [])[:4] == b"\x89PNG"
