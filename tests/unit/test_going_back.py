"""Going back to a model that was in use before, and what training makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from core.adapters.model_files import ModelFiles
from core.clock import VirtualClock
from core.domain.decisions import ModelState
from core.domain.events import ModelRestored
from core.domain.views import AnswerKind, OwnerAnswer
from core.storage.store import Database
from jobs.going_back import HOLDS, Held, go_back, held, let_go
from jobs.model_changes import Change, Fate, changes, former, note
from tests.fakes_owner import NOON
from tests.ledger_builders import a_model, ledger
from tests.model_builders import DAY, FAILED, FIRST, SECOND, model_store, on_disk, two_models

pytestmark = pytest.mark.feature("S5")


@dataclass
class House:
    database: Database
    models: Path
    store: ModelFiles

    def back(self, version: str = FIRST, instead_of: str = SECOND, now: datetime = NOON) -> OwnerAnswer:
        uow = self.database.unit_of_work
        return go_back(version, instead_of, uow=uow, store=self.store, now=now, by="owner")

    def states(self) -> dict[str, ModelState]:
        with self.database.reading() as work:
            return {model.version: model.state for model in work.models()}

    def held(self, now: datetime) -> Held | None:
        with self.database.reading() as work:
            return held(work, now)

    def told(self) -> list[ModelRestored]:
        with self.database.reading() as work:
            return [row.event for row in work.messages() if isinstance(row.event, ModelRestored)]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    database = ledger(tmp_path, VirtualClock(NOON))
    store = model_store(tmp_path / "models")
    with database.unit_of_work() as work:
        two_models(work, tmp_path / "models")
        work.commit()
    yield House(database, tmp_path / "models", store)
    database.close()


def test_the_former_model_is_in_use_again_and_the_owner_is_told_in_the_same_transaction(house: House) -> None:
    assert house.back().kind is AnswerKind.DONE
    assert house.states() == {
        SECOND: ModelState.ARCHIVED,
        FAILED: ModelState.REJECTED,
        FIRST: ModelState.CHAMPION,
    }
    (event,) = house.told()
    assert (event.version, event.former, event.held_until) == (FIRST, SECOND, NOON + HOLDS)
    with house.database.reading() as work:
        newest = changes(work)[0]
        assert (newest.version, newest.fate) == (FIRST, Fate.BACK)


def test_done_twice_it_is_done_once(house: House) -> None:
    house.back()
    assert house.back().kind is AnswerKind.UNCHANGED
    assert len(house.told()) == 1


def test_a_file_that_is_not_the_ledgers_is_not_gone_back_to_and_the_words_say_which(house: House) -> None:
    (house.models / f"{FIRST}.npz").write_bytes(b"something else")
    answer = house.back()
    assert answer.kind is AnswerKind.REFUSED
    assert f"{FIRST}.npz has SHA-256" in answer.text
    assert house.states()[SECOND] is ModelState.CHAMPION
    assert house.told() == []
    assert house.held(NOON) is None


@pytest.mark.parametrize(
    ("version", "instead_of", "words"),
    [
        (FAILED, SECOND, "set aside when it was trained"),
        ("f999", SECOND, "There is no model f999"),
        (FIRST, "f999", "Another model is in use by now than f999"),
    ],
)
def test_only_a_model_that_was_in_use_takes_the_place_of_the_one_that_was_shown(
    house: House, version: str, instead_of: str, words: str
) -> None:
    answer = house.back(version, instead_of)
    assert answer.kind is AnswerKind.REFUSED
    assert words in answer.text
    assert house.states()[SECOND] is ModelState.CHAMPION


def test_it_holds_for_a_month_or_until_the_owner_lets_go(house: House) -> None:
    house.back()
    assert house.held(NOON) == Held(FIRST, NOON, NOON + HOLDS)
    assert house.held(NOON + HOLDS) is None
    assert let_go(house.database.unit_of_work, NOON + DAY).kind is AnswerKind.DONE
    assert house.held(NOON + DAY) is None
    assert let_go(house.database.unit_of_work, NOON + DAY).kind is AnswerKind.UNCHANGED


def test_it_holds_no_longer_once_another_model_is_in_use(house: House) -> None:
    house.back()
    with house.database.unit_of_work() as work:
        work.add_model(a_model("f444"))
        work.commit()
    assert house.held(NOON + DAY) is None


def test_the_way_back_leads_to_the_model_that_was_in_use_before(house: House) -> None:
    def before() -> str | None:
        with house.database.reading() as work:
            found = former(work)
        return found.version if found is not None else None

    assert before() == FIRST
    house.back()
    assert before() == SECOND
    with house.database.unit_of_work() as work:
        work.add_model(on_disk(house.models, "f444444444444"))
        note(work, Change(NOON + DAY, "f444444444444", Fate.LIVE))
        work.commit()
    assert before() == FIRST


def test_a_ledger_without_notes_goes_back_to_the_newest_archived_model(tmp_path: Path) -> None:
    database = ledger(tmp_path, VirtualClock(NOON))
    with database.unit_of_work() as work:
        assert former(work) is None
        work.add_model(a_model("m1"))
        assert former(work) is None
        work.add_model(a_model("m2"))
        work.add_model(a_model("m3", state=ModelState.REJECTED))
        found = former(work)
    assert found is not None
    assert found.version == "m1"
    database.close()
