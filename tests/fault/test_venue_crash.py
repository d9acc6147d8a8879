"""The simulated venue is killed with SIGKILL beside every commit; what it had answered still holds after."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.fault.crash_nest import CrashNest
from tests.fault.crashing import Crash, crash_points, run_scenario

SCENARIO = Path(__file__).with_name("venue_scenario.py")


def events(folder: Path) -> list[str]:
    database = sqlite3.connect(folder / "simulated_venue.sqlite")
    kinds = [kind for (kind,) in database.execute("SELECT kind FROM events ORDER BY sequence")]
    database.close()
    return kinds


@pytest.mark.feature("S14")
def test_killed_between_journal_and_answer_the_same_id_again_is_one_order(tmp_path: Path) -> None:
    run = run_scenario(SCENARIO, tmp_path, crash=Crash("venue.submit.after_commit"))
    assert run.was_killed
    assert run.trail[-1] == "venue.submit.after_commit"
    assert "scenario.answered" not in run.trail
    assert events(tmp_path) == ["opened", "submitted"]
    again = run_scenario(SCENARIO, tmp_path)
    assert events(tmp_path).count("submitted") == 2, "the entry once, and the order dropped later"
    assert again.facts is not None
    assert [fill[0] for fill in again.facts["fills"]] == ["entry/1", "entry-s/1"]


@pytest.mark.feature("S14")
def test_killed_before_the_journal_is_written_the_order_never_existed(tmp_path: Path) -> None:
    assert run_scenario(SCENARIO, tmp_path, crash=Crash("venue.submit.before_commit")).was_killed
    assert events(tmp_path) == ["opened"]


@pytest.mark.feature("S14")
def test_killed_at_any_checkpoint_a_restart_reaches_the_same_end(tmp_path: Path) -> None:
    undisturbed_folder = tmp_path / "undisturbed"
    undisturbed_folder.mkdir()
    with CrashNest(SCENARIO) as nest:
        undisturbed = run_scenario(SCENARIO, undisturbed_folder, nest=nest)
        assert undisturbed.facts is not None
        assert undisturbed.facts["states"] == ["filled", "filled", "canceled", "canceled"]
        assert undisturbed.facts["live"] == 0
        points = crash_points(undisturbed)
        assert len(points) >= 12
        for number, crash in enumerate(points):
            folder = tmp_path / f"crash{number}"
            folder.mkdir()
            killed = run_scenario(SCENARIO, folder, crash=crash, nest=nest)
            assert killed.was_killed, crash
            assert killed.facts is None
            assert run_scenario(SCENARIO, folder, nest=nest).facts == undisturbed.facts, crash
            assert events(folder) == events(undisturbed_folder), crash


def test_a_scenario_that_fails_by_itself_is_not_taken_for_a_crash(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def main():\n    raise SystemExit('no such luck')\n\n\nif __name__ == '__main__':\n    main()\n")
    with pytest.raises(AssertionError, match="no such luck"):
        run_scenario(broken, tmp_path, crash=Crash("anything"))
    with CrashNest(broken) as nest, pytest.raises(AssertionError, match="no such luck"):
        run_scenario(broken, tmp_path, crash=Crash("anything"), nest=nest)


def test_the_crash_can_be_chosen_by_count_over_all_checkpoints(tmp_path: Path) -> None:
    run = run_scenario(SCENARIO, tmp_path, crash=Crash("*", 3))
    assert run.was_killed
    assert len(run.trail) == 3
