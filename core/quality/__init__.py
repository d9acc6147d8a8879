"""The gate every bar passes before anything is computed from it: bad rows are refused, each with a reason in words.

Real crashes and flash crashes pass: how far a price moved is no fault; that the next bar knows nothing of it may be.
"""

from core.quality.defects import Defect, Inspection, Refusal
from core.quality.gate import CONTEXT, inspect, is_sound

__all__ = ["CONTEXT", "Defect", "Inspection", "Refusal", "inspect", "is_sound"]
