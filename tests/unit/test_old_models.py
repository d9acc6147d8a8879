"""Model files are kept as long as somebody may go back to them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.clock import VirtualClock
from core.domain.decisions import ModelState
from core.storage.store import Database
from jobs.model_changes import Change, Fate, note
from jobs.old_models import KEPT, forget_models
from tests.fakes_owner import NOON
from tests.ledger_builders import ledger
from tests.model_builders import DAY, on_disk

pytestmark = pytest.mark.feature("S5")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = ledger(tmp_path, VirtualClock(NOON))
    (tmp_path / "models").mkdir()
    yield found
    found.close()


def versions(folder: Path) -> set[str]:
    assert {path.stem for path in folder.glob("*.npz")} == {path.stem for path in folder.glob("*.joblib")}
    return {path.stem for path in folder.glob("*.npz")}


def test_the_newest_that_were_in_use_stay_and_so_does_what_is_gone_back_to(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    with database.unit_of_work() as work:
        for number in range(30):
            model = on_disk(folder, f"m{number}", NOON + number * DAY)
            if number % 3 == 2:
                model = replace(model, state=ModelState.REJECTED)
            work.add_model(model)
            note(work, Change(model.trained_at, model.version, Fate.REJECTED if number % 3 == 2 else Fate.LIVE))
        work.promote_model("m1")
        note(work, Change(NOON + 31 * DAY, "m1", Fate.BACK))
        work.promote_model("m0")
        note(work, Change(NOON + 32 * DAY, "m0", Fate.BACK))
        assert forget_models(work, folder, NOON) == 2 * (30 - KEPT - 2)
        assert forget_models(work, folder, NOON) == 0
    newest = [f"m{number}" for number in range(29, -1, -1) if number % 3 != 2][:KEPT]
    assert versions(folder) == {*newest, "m0", "m1"}


def test_files_that_the_ledger_does_not_name_are_not_touched(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    on_disk(folder, "of-another-ledger")
    (tmp_path / "kept.npz").write_bytes(b"outside")
    with database.unit_of_work() as work:
        work.add_model(replace(on_disk(folder, "m1"), state=ModelState.REJECTED, path="../kept.npz"))
        assert forget_models(work, folder, NOON) == 1
    assert (tmp_path / "kept.npz").is_file()
    assert (folder / "of-another-ledger.npz").is_file()


def test_what_a_killed_training_left_half_written_goes_after_a_day(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    old, fresh = folder / ".a.part", folder / ".b.part"
    for path, at in ((old, NOON - 2 * DAY), (fresh, NOON)):
        path.write_bytes(b"half")
        os.utime(path, (at.timestamp(), at.timestamp()))
    with database.reading() as work:
        assert forget_models(work, folder, NOON) == 1
    assert fresh.is_file() and not old.exists()
