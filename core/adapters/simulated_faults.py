"""Faults of the simulated venue, drawn from a seeded generator: for tests and soaks, never in production."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Fault(StrEnum):
    NONE = "none"
    REJECT = "reject"
    TIMEOUT_BEFORE = "timeout before"
    TIMEOUT_AFTER = "timeout after"
    OUTAGE = "outage"


@dataclass(frozen=True, slots=True, eq=False)
class FaultPlan:
    """Rates from 0 to 1 of a call. Reject and the time-outs hit submissions only, an outage hits every call.

    reject: a final no without a cause; timeout_before: no answer and not placed; timeout_after: no answer, yet placed;
    outage: Transient, nothing happened.
    """

    generator: np.random.Generator
    reject: float = 0.0
    timeout_before: float = 0.0
    timeout_after: float = 0.0
    outage: float = 0.0

    def __post_init__(self) -> None:
        rates = (self.reject, self.timeout_before, self.timeout_after, self.outage)
        if min(rates) < 0 or sum(rates) > 1:
            raise ValueError(f"fault rates must be at least 0 and add up to at most 1, got {rates}")

    def of_submission(self) -> Fault:
        """What befalls the next submission."""
        drawn = float(self.generator.random())
        for fault, rate in (
            (Fault.OUTAGE, self.outage),
            (Fault.REJECT, self.reject),
            (Fault.TIMEOUT_BEFORE, self.timeout_before),
            (Fault.TIMEOUT_AFTER, self.timeout_after),
        ):
            if drawn < rate:
                return fault
            drawn -= rate
        return Fault.NONE

    def of_query(self) -> Fault:
        """What befalls any other call."""
        return Fault.OUTAGE if float(self.generator.random()) < self.outage else Fault.NONE
