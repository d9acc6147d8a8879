"""Every place where a crash is rehearsed: both sides of each commit and of each call that leaves the process.

A commit takes its name where it is made (`work.commit("owner")`), a call is wrapped in `calling`. In ordinary operation
nobody listens; a test kills the process at any of these names (tests/fault).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Checkpoint = Callable[[str], None]

COMMITS = (
    # the engine
    "accounts",
    "reconcile",
    "protect",
    "intents",
    "result",
    "resend",
    "owner",
    "expiry",
    "report",
    "rescaled",
    "withdraw",
    "replace",
    "replaced",
    "reminder",
    "wish",
    "brakes",
    "alerts",
    "venue state",
    "real_money",
    # its jobs
    "seed",
    "gift",
    "greeting",
    "seen",
    "absence",
    "watched",
    "second line",
    "bar sources",
    "scores",
    "model",
    "contest",
    "health",
    "job.start",
    "job.end",
    "job.failed",
    "job.missed",
    "job.closed",
    # the owner's side
    "outbox.claim",
    "outbox.done",
    "outbox.recover",
    "outbox.silent",
    "live.begin",
    "live.end",
    "live.refresh",
    "notify",
    "quiet",
    "confirmation",
    "second factor",
    "settings",
    "away",
    "sign",
    "gate.owner",
    "gate.stranger",
    "gate.audit",
    "bot.error",
    # the file itself
    "lease",
    "founding",
    "epoch",
    "restored",
    "old runs",
    "bars",
    "import",
    "bars.rescale",
    "old bars",
)
CALLS = (
    "fills",
    "activities",
    "orders",
    "state",
    "lookup",
    "submit",
    "replace",
    "cancel",
    "quotes",
    "file",
    "rescale",
    "fetch",
    "train",
    "send",
    "edit",
    "pin",
    "ping",
    "alarm",
    "heartbeat",
    "backup",
    "migrate",
)
CHECKPOINTS: tuple[str, ...] = (
    "cycle.start",
    *(f"{step}.{side}_commit" for step in COMMITS for side in ("before", "after")),
    *(f"{call}.{side}_call" for call in CALLS for side in ("before", "after")),
    "cycle.end",
)


def nowhere(_name: str) -> None:
    """The checkpoint of ordinary operation."""


@contextmanager
def calling(checkpoint: Checkpoint, call: str) -> Iterator[None]:
    """Wraps one call that leaves the process in its two checkpoints."""
    checkpoint(f"{call}.before_call")
    yield
    checkpoint(f"{call}.after_call")
