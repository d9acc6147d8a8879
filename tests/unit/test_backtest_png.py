"""The tear sheet as a picture, drawn by matplotlib, which the product does without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
import numpy as np
from bot.backtest_png import Picture, draw
from bot.svg import Drawn
at = np.arange(1_577_836_800, 1_577_836_800 + 400 * 86_400, 86_400)
line = Drawn("all", "#1f6feb", at, 10_000 + np.arange(400.0))
part = Drawn("stocks", "#1f6feb", at, np.full(400, 0.4))
shown = Picture("T", "F", "A", "W", [["", "x"], ["all", "1"]], [line], [part], {2020: [0.01, None] * 6}, [part])
data = draw(shown)
assert data == draw(shown), "drawn twice, the same bytes"
assert "matplotlib.pyplot" not in sys.modules
sys.stdout.buffer.write(data)
"""


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.feature("S17")
def test_a_picture_is_drawn_without_pyplot_and_twice_the_same(tmp_path: Path) -> None:
    """matplotlib is installed into a folder of the test's own."""
    folder = tmp_path / "charts"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), "matplotlib"]
    subprocess.run(install, check=True)
    path = os.pathsep.join((str(HERE), str(folder)))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        check=True,
        capture_output=True,
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout.startswith(b"\x89PNG")
    assert len(done.stdout) > 20_000
