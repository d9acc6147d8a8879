"""Times in the owner's words: `15:58`, `3:58 pm`, `yesterday 15:58`, `2026-11-24 15:58`, `19:58 UTC`.

By the clock on the owner's wall (in a simulated world the market's clock, shown in his zone), never in the future. A
time that happened twice or not at all, around a change of summer time, is asked about.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from bot.commands.amounts import Unclear

_AHEAD = timedelta(minutes=1)
"""How far the owner's watch may be ahead of ours."""
_TIME = re.compile(
    r"(?:\b(?:at|on)\s+)?(?<![\d.,:])(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s*([ap])\.?m\b\.?)?(?:\s*(utc|z)\b)?(?![\d:])",
    re.ASCII,
)
_DAY = re.compile(r"(?:\bon\s+)?\b(today|yesterday|\d{4}-\d{1,2}-\d{1,2})(?=$|[\s,;.!)]|t\d)\.?", re.ASCII)
_DATE_AND_T = re.compile(r"(\d{4}-\d{1,2}-\d{1,2})t(?=\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class WallClock:
    """What a time in words is told by: `now`, and the owner's zone."""

    now: datetime
    zone: ZoneInfo


def take_time(text: str, clock: WallClock | None) -> tuple[str, datetime | None]:
    """`text` (normal, lower case) without the time in it, and that time as aware UTC; None where it names none.

    Raises Unclear: more than one time, a day without a time, a time to come, one that the wall clock shows twice.
    """
    text = _DATE_AND_T.sub(r"\1 ", text)
    times, days = list(_TIME.finditer(text)), list(_DAY.finditer(text))
    if not times and not days:
        return text, None
    if clock is None:
        raise Unclear("I cannot read a time here.")
    if len(times) > 1 or len(days) > 1:
        raise Unclear("There are two times. Send one, like: yesterday 15:58")
    if not times:
        raise Unclear(f"At what time {days[0].group(1)}? Write for example: {days[0].group(1)} 15:58")
    rest = _TIME.sub(" ", _DAY.sub(" ", text))
    return rest, _moment(times[0], days[0].group(1) if days else "", clock)


def _moment(found: re.Match[str], day: str, clock: WallClock) -> datetime:
    zone: tzinfo = UTC if found.group(5) else clock.zone
    local = datetime.combine(_date(day, clock.now.astimezone(zone).date()), _time(found))
    at = _only_moment(local, zone, found.group(0).strip())
    if at <= clock.now:
        return at
    if at <= clock.now + _AHEAD:
        return clock.now
    hint = "" if day else f" If it was yesterday, write: yesterday {local:%H:%M}"
    raise Unclear(f"{local:%Y-%m-%d %H:%M} is still to come.{hint}")


def _time(found: re.Match[str]) -> time:
    hour, minute, second = (int(part or 0) for part in found.group(1, 2, 3))
    if found.group(4):
        if not 1 <= hour <= 12:
            raise Unclear(f"{found.group(0).strip()} is no time of day.")
        hour = hour % 12 + (12 if found.group(4) == "p" else 0)
    try:
        return time(hour, minute, second)
    except ValueError:
        raise Unclear(f"{found.group(0).strip()} is no time of day.") from None


def _date(day: str, today: date) -> date:
    if day in ("", "today"):
        return today
    if day == "yesterday":
        return today - timedelta(days=1)
    try:
        return date(*(int(part) for part in day.split("-")))
    except ValueError:
        raise Unclear(f"There is no {day} in the calendar.") from None


def _only_moment(local: datetime, zone: tzinfo, words: str) -> datetime:
    """The one moment at which the wall clock showed `local`, as UTC."""
    try:
        first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        shown = first.astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        raise Unclear(f"{local:%Y-%m-%d} is too long ago.") from None
    if shown != local:
        raise Unclear(f"No clock showed {words} on {local:%Y-%m-%d}: summer time began. Write it in UTC")
    if first != second:
        raise Unclear(
            f"It was {words} twice on {local:%Y-%m-%d}: summer time ended. Write {first:%H:%M} UTC or "
            f"{second:%H:%M} UTC"
        )
    return first
