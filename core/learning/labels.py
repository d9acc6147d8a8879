"""What the model learns to foresee: whether an event came true."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int8]
"""1 where it did, else 0."""


def event_name(horizon: int) -> str:
    """The direction of prices in words, as predictions and messages name it."""
    return f"close higher after {horizon} bars"
