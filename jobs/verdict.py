"""What research says about learning, for the owner's side, which reaches core.learning through jobs alone."""

from core.learning.verdict import committed_verdict

__all__ = ["committed_verdict"]
