"""In CI a skipped test fails, and the summary says so."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def run(folder: Path, text: str) -> "subprocess.CompletedProcess[str]":
    (folder / "test_it.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.no_skips", "-p", "no:cacheprovider", "test_it.py"]
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, check=False, cwd=folder, env=environ, capture_output=True, text=True, timeout=100)


def test_a_skipped_test_fails_with_its_reason_and_an_expected_failure_does_not(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        "import pytest\n"
        "def test_runs(): pass\n"
        "@pytest.mark.skip(reason='no market today')\n"
        "def test_marked(): pass\n"
        "def test_inside(): pytest.skip('no data here')\n"
        "@pytest.mark.xfail\n"
        "def test_known(): assert False\n",
    )
    assert done.returncode == 1
    assert "no market today" in done.stdout
    assert "no data here" in done.stdout
    assert "1 failed, 1 passed, 1 xfailed, 1 error" in done.stdout.splitlines()[-1]


def test_a_skipped_module_fails_too(tmp_path: Path) -> None:
    done = run(tmp_path, "import pytest\npytest.importorskip('no_such_library_here')\n")
    assert done.returncode != 0
    assert "nothing may be skipped" in done.stdout
