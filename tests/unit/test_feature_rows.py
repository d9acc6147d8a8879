"""The list of feature rows tells the truth about which tests show them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.features import ROWS, UNBUILT, lines_of, problems

ROOT = Path(__file__).resolve().parents[2]
COLLECT = "import json, sys; from pathlib import Path; from tests.features import collected"
MARKED = """
import pytest

pytestmark = pytest.mark.feature("D1")


@pytest.mark.feature("C1", "S13")
@pytest.mark.parametrize("number", [1, 2])
def test_that_must_not_run(number):
    raise AssertionError


class TestInside:
    @pytest.mark.feature("D1")
    def test_named_twice(self):
        raise AssertionError
"""


def test_marks_of_functions_classes_and_modules_are_collected_without_running_a_test(tmp_path: Path) -> None:
    (tmp_path / "test_marked.py").write_text(MARKED)
    said = subprocess.run(
        [sys.executable, "-c", f"{COLLECT}; print(json.dumps(collected(Path(sys.argv[1]))))", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = {row: [name.rpartition(".py::")[2] for name in names] for row, names in json.loads(said).items()}
    assert found == {
        "D1": ["test_that_must_not_run", "TestInside::test_named_twice"],
        "C1": ["test_that_must_not_run"],
        "S13": ["test_that_must_not_run"],
    }


def test_a_folder_that_cannot_be_collected_is_no_empty_list(tmp_path: Path) -> None:
    (tmp_path / "test_broken.py").write_text("import no_such_library_here\n")
    done = subprocess.run(
        [sys.executable, "-c", f"{COLLECT}; collected(Path(sys.argv[1]))", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "no_such_library_here" in done.stderr


def test_what_is_wrong_with_the_list_is_said() -> None:
    rows = {"C1": "pause", "C2": "flatten", "C5": "settings"}
    tests = {"C1": ["a"], "C5": ["b"], "C99": ["c"], "S4": ["d"], "Q1": ["e"]}
    assert list(problems(rows, tests, {"C5": "later", "C7": "later"})) == [
        "C2 (flatten) has no test",
        "C5 is listed as unbuilt but has tests",
        "C7 is listed as unbuilt but is no row",
        "C99 is named by c but is no row",
        "Q1 is named by e but is no row",
    ]


def test_the_table_shows_each_row_with_its_tests_or_why_it_has_none() -> None:
    rows = {"C1": "pause", "C2": "flatten", "C5": "settings"}
    assert list(lines_of(rows, {"C1": ["one", "two"]}, {"C5": "later"})) == [
        "C1   pause: 2 tests",
        "       one",
        "       two",
        "C2   flatten: NO TEST",
        "C5   settings: later",
        "3 rows: 1 with tests, 1 unbuilt, 1 missing",
    ]


def test_the_chats_groups_are_listed_without_a_gap() -> None:
    groups = {"A": 9, "T": 10, "M": 15, "C": 9, "D": 14}
    assert {f"{group}{number}" for group, most in groups.items() for number in range(1, most + 1)} <= set(ROWS)
    assert set(UNBUILT) <= set(ROWS)
