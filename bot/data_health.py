"""How the owner hears of market data: how many instruments are without, why, and when it is tried again. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from core.collect import CollectReport
from core.domain.views import Health
from core.feed.telling import Place


def data_health(
    collected: CollectReport, elsewhere: Mapping[str, Place], *, is_patient: bool = False
) -> tuple[Health, str]:
    """Degraded while any instrument is without new bars: it takes no entries, the others go on. Where a silence is
    given some patience (`is_patient`), only once that is over: while the bars of a symbol are held, or come from
    `elsewhere` than the best source.

    A reason that several have is said once; the next try is part of it.
    """
    failed = {entry.symbol: entry.error for entry in collected.entries if entry.error}
    parts = []
    if failed:
        parts.append(_missing(failed, len({entry.symbol for entry in collected.entries})))
    if moved := sorted(symbol for symbol, place in elsewhere.items() if not place.held):
        parts.append(f"bars of {', '.join(moved)} come from {', '.join(sorted({elsewhere[s].source for s in moved}))}")
    if not parts:
        return Health.RUNNING, "all instruments have their bars"
    is_over = bool(elsewhere) if is_patient else bool(failed)
    return Health.DEGRADED if is_over else Health.RUNNING, "; ".join(parts)


def report_refusals(refusals: Mapping[str, Callable[[], str]], report: Callable[[str, Health, str], None]) -> None:
    """Tells health which sources do not let us in: only the owner can change that, though another one answers."""
    for component, refusal in refusals.items():
        words = refusal()
        report(component, Health.DEGRADED if words else Health.RUNNING, words)


def _missing(failed: Mapping[str, str], count: int) -> str:
    reasons = _by_reason(failed)
    if len(failed) == count and len(reasons) == 1:
        return f"no new bars of any instrument, so no entries: {next(iter(reasons))}"
    told = "; ".join(f"{', '.join(symbols)}: {reason}" for reason, symbols in reasons.items())
    return f"no new bars for {len(failed)} of {count} instruments, so no entries in them ({told})"


def _by_reason(failed: Mapping[str, str]) -> Mapping[str, list[str]]:
    """Symbols by their reason, the commonest first."""
    found: dict[str, list[str]] = {}
    for symbol, reason in sorted(failed.items()):
        found.setdefault(reason, []).append(symbol)
    return dict(sorted(found.items(), key=lambda each: -len(each[1])))
