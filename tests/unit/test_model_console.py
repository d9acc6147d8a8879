"""autotrader model, beside a running engine: what there is, the way back, and training that goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.cli import main
from core.clock import VirtualClock
from core.domain.events import ModelRestored
from core.storage.store import Database, open_database
from tests.fakes_owner import NOON
from tests.fault.kill_setup import stump
from tests.forest_builders import save
from tests.model_builders import FAILED, FIRST, SECOND, two_models

pytestmark = pytest.mark.feature("S5")


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("data", "models"):
        (tmp_path / name).mkdir()
    database = open_database(tmp_path / "data" / "ledger.sqlite", durable=False, clock=VirtualClock(NOON))
    with database.unit_of_work() as work:
        work.add_model(save(stump(), tmp_path / "models"))
        two_models(work, tmp_path / "models")
        work.commit()
    yield database
    database.close()


def in_use(ledger: Database) -> str:
    with ledger.reading() as work:
        model = work.champion()
    assert model is not None
    return model.version


def test_it_lists_what_there_is_and_what_research_says(ledger: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model"]) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert lines[0] == "ledger.sqlite:"
    assert lines[1].split()[:3] == ["version", "state", "trained"]
    assert [line.split()[0] for line in lines[2:6]] == [SECOND, FAILED, FIRST, "stump"]
    assert lines[2].split()[1:3] == ["in", "use"]
    assert "Learning has not been shown to add anything" in said


def test_an_earlier_model_is_in_use_again_and_training_goes_on_when_told_so(
    ledger: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model", "back", "stu"]) == 0
    assert "Model stump is in use again" in capsys.readouterr().out
    assert in_use(ledger) == "stump"
    with ledger.reading() as work:
        (event,) = [row.event for row in work.messages() if isinstance(row.event, ModelRestored)]
        (noted,) = work.audit_trail()
    assert (event.version, event.former, event.by) == ("stump", SECOND, "console")
    assert (noted.actor, noted.action) == ("console", "model back stu")
    assert main(["model", "on"]) == 0
    assert "Training goes on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wanted", "words"), [("f", "or more than one"), ("f9", "there is no model"), (FAILED, "was set aside")]
)
def test_what_cannot_be_gone_back_to_is_said_and_changes_nothing(
    ledger: Database, capsys: pytest.CaptureFixture[str], wanted: str, words: str
) -> None:
    assert main(["model", "back", wanted]) == 1
    assert words in capsys.readouterr().err
    assert in_use(ledger) == SECOND


def test_a_file_that_does_not_match_is_refused(
    ledger: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "models" / "stump.npz").write_bytes(b"something else")
    assert main(["model", "back", "stump"]) == 1
    assert "has SHA-256" in capsys.readouterr().err
    assert in_use(ledger) == SECOND


def test_without_a_ledger_it_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "elsewhere"))
    assert main(["model"]) == 1
    assert "there is no ledger in" in capsys.readouterr().err
