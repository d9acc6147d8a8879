"""The ways in which a broker can fail us as a whole, each with what the owner reads and what is done about it: data.

    what it is          how it is found                          entries there     then, if it lasts
    keys refused        a call is refused for its keys           none              manual after `keys_patience`
    wrong address       keys of the other kind of account        none              manual at once
    account blocked     the account says that it may not trade   none              manual at once
    another account     the account's number is another one      none              the owner is asked, nothing else
    no answer           time-outs, no connection, 5xx            none              manual after `outage_patience`
    too many questions  429                                      none              manual after `outage_patience`
    unreadable answer   an answer that cannot be one             none              manual after `outage_patience`
    clocks apart        the venue's clock and ours differ        none, exits go    held back until they agree

"Manual" is core.execution.fallback: entries become cards on the manual account's declared cash, exits become cards
"sell in the broker's own app", what rests at the venue is left alone. All are DEGRADED health of the account's
component, none halts the engine. Orders sent into a failure are UNKNOWN until looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from core.errors import AccessRefused, MalformedAnswer, RateLimited, Transient, WrongAddress
from core.strategy.policy import Policy


class Trouble(StrEnum):
    KEYS = "keys refused"
    ADDRESS = "wrong address"
    BLOCKED = "account blocked"
    REPLACED = "another account"
    OUTAGE = "no answer"
    LIMITED = "too many questions"
    MALFORMED = "unreadable answer"
    CLOCK = "clocks apart"


@dataclass(frozen=True, slots=True)
class Failure:
    """`says` follows the broker's name, `advice` is what the owner can do. `patience` is how long it may last before
    entries go to the owner's hand, None: they never do. `is_definite`: one look is enough to know it; otherwise it is
    told only once it has been met again. `answers`: orders, fills and positions are known all the same, and exits go.
    `asks`: the owner hears of it by a question.
    """

    says: str
    advice: str
    patience: Callable[[Policy], timedelta] | None
    is_definite: bool = False
    answers: bool = False
    asks: bool = False


def _at_once(_: Policy) -> timedelta:
    return timedelta(0)


def _keys(policy: Policy) -> timedelta:
    return policy.keys_patience


def _outage(policy: Policy) -> timedelta:
    return policy.outage_patience


_WAIT = "Nothing is asked of you: I try again every minute."
FAILURES: Mapping[Trouble, Failure] = MappingProxyType(
    {
        Trouble.KEYS: Failure(
            "refuses the keys",
            "They are wrong or were revoked. Make new ones on its web page, put them into .env and start me again.",
            _keys,
            is_definite=True,
        ),
        Trouble.ADDRESS: Failure(
            "refuses the keys: they belong to the other kind of account",
            "Paper keys work with ALPACA_PAPER=true, live ones with ALPACA_PAPER=false. Put the right pair into .env "
            "and start me again.",
            _at_once,
            is_definite=True,
        ),
        Trouble.BLOCKED: Failure(
            "has blocked the account for trading",
            "Only the broker can lift that: look for its message in the app, or ask its support.",
            _at_once,
            is_definite=True,
        ),
        Trouble.REPLACED: Failure(
            "shows another account than before",
            "Everything there is held back until you have answered the question about it.",
            None,
            is_definite=True,
            asks=True,
        ),
        Trouble.OUTAGE: Failure("does not answer", _WAIT, _outage),
        Trouble.LIMITED: Failure("wants fewer questions from us", _WAIT, _outage),
        Trouble.MALFORMED: Failure("answers what cannot be read", _WAIT, _outage),
        Trouble.CLOCK: Failure(
            "has another time than this machine",
            "Nothing is bought there until both agree; exits go on. Set this machine's clock (systemctl restart "
            "systemd-timesyncd, or your system's time settings).",
            None,
            is_definite=True,
            answers=True,
        ),
    }
)


def trouble_of(error: Transient) -> Trouble:
    """What a failed call means for its venue. What has no kind of its own counts as no answer."""
    kinds: tuple[tuple[type[Transient], Trouble], ...] = (
        (WrongAddress, Trouble.ADDRESS),
        (AccessRefused, Trouble.KEYS),
        (RateLimited, Trouble.LIMITED),
        (MalformedAnswer, Trouble.MALFORMED),
    )
    return next((trouble for kind, trouble in kinds if isinstance(error, kind)), Trouble.OUTAGE)
