"""Training on a Dask cluster by one setting."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import Fatal
from jobs.fan_out import FanOut

HERE = Path(__file__).resolve().parents[2]


def test_a_cluster_that_is_not_there_is_said_in_words() -> None:
    with pytest.raises(Fatal, match=r"AUTOTRADER_DASK=tcp://127\.0\.0\.1:9"):
        list(FanOut(1, "tcp://127.0.0.1:9").map(str, [1]))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_real_cluster_trains_the_same_models(tmp_path: Path) -> None:
    """Dask is installed into a folder of the test's own: the product does without it."""
    folder = tmp_path / "dask"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), "distributed"]
    subprocess.run(install, check=True)
    path = os.pathsep.join((str(HERE), str(folder)))
    done = subprocess.run(
        [sys.executable, "-m", "tests.fault.dask_cluster", str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {"trainings": 4, "equal": True}
