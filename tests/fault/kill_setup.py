"""What every life of the installation that is killed has in common: its settings, its market, its model."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from core.domain.bars import BarSize
from core.settings import Settings
from core.strategy.features import FEATURE_NAMES, FEATURE_VERSION
from core.strategy.forest import FlatForest
from tests.forest_builders import EVENT

T = TypeVar("T")
EVERY = 10**6
START = datetime(2026, 3, 3, 17, 0, tzinfo=UTC)
SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "SPY")
DEPTH = {BarSize.D1: timedelta(days=500), BarSize.M5: timedelta(days=4)}
"""Enough bars for a small model and for the confirming indicators."""


def settings_of(folder: Path) -> Settings:
    """Every forecast counts as a signal, levels lie close and no loss stops the play: much is traded in little time."""
    given = {
        "STATE_DIR": folder,
        "SYMBOLS": ",".join(SYMBOLS),
        "MIN_PROBABILITY": 0.0,
        "MIN_TRADE_GAP_MINUTES": 0,
        "STOP_LOSS": "0.002",
        "TAKE_PROFIT": "0.002",
        "INSTRUCTION_LIFE_MINUTES": 30,
        "DAILY_LOSS_LIMIT": "0.99",
        "DRAWDOWN_LIMIT": "0.99",
        "LOSS_STREAK": 1_000,
        "RETRAIN_MIN_NEW_LABELS": 1_000_000,
        "TIME_ZONE": "UTC",
    }
    return Settings.model_validate(given)


class IdleWorker:
    def run(self, task: Callable[..., T], *arguments: Any, deadline: float) -> T:
        raise AssertionError("nothing is to be trained here")


def stump() -> FlatForest:
    """A forest of one tree of one question, so that no life has to wait for scikit-learn."""
    nodes = np.array([1, 1, 2], dtype=np.int32), np.array([2, 1, 2], dtype=np.int32)
    return FlatForest(
        "stump",
        EVENT,
        FEATURE_NAMES,
        FEATURE_VERSION,
        roots=np.array([0], dtype=np.int32),
        feature=np.zeros(3, dtype=np.int32),
        threshold=np.zeros(3),
        left=nodes[0],
        right=nodes[1],
        probability=np.array([0.5, 0.4, 0.7]),
        depth=1,
    )
