"""What Alpaca's streams have in common: how patient we are with them, how they are connected, what they refuse with.

Nothing of alpaca-py is loaded here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What alpaca-py has to say arrives as a stream's trouble.
logging.getLogger("alpaca").setLevel(logging.CRITICAL)
# At DEBUG websockets writes down whole frames, the one with the keys among them.
_quiet = logging.getLogger("autotrader.alpaca.frames")
_quiet.setLevel(logging.CRITICAL)

GOODBYE = 0.5
KEYS_REFUSED, ELSEWHERE, TOO_MANY = "auth failed", "connection limit exceeded", "symbol limit exceeded"


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds: how long Alpaca may take to let us in; the least and longest wait before the next try, the one after
    keys were refused, and the one while another connection is in the way, which may be our own of before a restart; how
    long a market that is open may be silent; how often a sign of life is asked for, and how long it may take."""

    to_enter: float = 10.0
    first_retry: float = 1.0
    longest_retry: float = 30.0
    after_refusal: float = 300.0
    while_elsewhere: float = 45.0
    silence: float = 60.0
    between_pings: float = 10.0
    to_pong: float = 20.0

    def connection(self) -> Mapping[str, Any]:
        """What websockets is told of it."""
        return {
            "open_timeout": self.to_enter,
            "close_timeout": GOODBYE,
            "ping_interval": self.between_pings,
            "ping_timeout": self.to_pong,
            "max_queue": 64,
            "logger": _quiet,
        }
