"""From what a forest says to a probability that can be taken at its word. Pure; numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np

from core.series import Floats

LEAST, MOST = 1e-6, 1.0 - 1e-6


class Method(StrEnum):
    """PLATT is a line in log-odds, ISOTONIC a rising line through knots, NONE leaves what the forest says."""

    NONE = "none"
    PLATT = "platt"
    ISOTONIC = "isotonic"


@dataclass(frozen=True, slots=True)
class Calibration:
    """`x` and `y` are intercept and slope for PLATT (one each), the knots for ISOTONIC, empty for NONE."""

    method: Method = Method.NONE
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()

    def check(self) -> None:
        """Raises ValueError where the numbers are not those of the method."""
        shape = {Method.NONE: 0, Method.PLATT: 1, Method.ISOTONIC: max(2, len(self.x))}[self.method]
        rising = all(low <= high for column in (self.x, self.y) for low, high in pairwise(column))
        if not len(self.x) == len(self.y) == shape or (self.method is Method.ISOTONIC and not rising):
            raise ValueError(f"{len(self.x)} and {len(self.y)} numbers are no calibration by {self.method}")

    def apply(self, probability: Floats) -> Floats:
        """Calibrated probabilities, shape as given, never falling where the given ones rise."""
        if self.method is Method.NONE:
            return probability
        if self.method is Method.ISOTONIC:
            return np.asarray(np.interp(probability, self.x, self.y), np.float64)
        return sigmoid(self.x[0] + self.y[0] * log_odds(probability))


def log_odds(probability: Floats) -> Floats:
    """log(p / (1 - p)), of p kept off 0 and 1."""
    sure = np.clip(probability, LEAST, MOST)
    return np.asarray(np.log(sure) - np.log1p(-sure), np.float64)


def sigmoid(value: Floats) -> Floats:
    """1 / (1 + exp(-value)), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * value)), np.float64)
