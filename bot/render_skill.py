"""What the live forecasts have been worth: news of lost and regained trust, and the words of reports. Pure."""

from __future__ import annotations

from bot.markup import esc, line, paragraphs
from bot.message import Message
from bot.render_marks import first_line
from core.domain.events import SkillChanged
from core.domain.skill import ALL, Trust

_TITLES = {
    Trust.TRUSTED: ("🌤", "trusted again"),
    Trust.THROTTLED: ("🐢", "half the size"),
    Trust.OBSERVED: ("👀", "observed only"),
}
_MEANING = {
    Trust.TRUSTED: "Its forecasts have done well enough since: purchases have their full size again.",
    Trust.THROTTLED: "Until its forecasts do better, purchases have half their size.",
    Trust.OBSERVED: (
        "Until its forecasts do better, it is not bought. It is judged each day all the same, and comes back by itself."
    ),
}
_RISEN = "Its forecasts have done better since: it is bought again, at half the size."
_EXITS = "Stops, targets and sales of what is held go on as they are."
_OFF = "Nothing follows: you have set SKILL_THROTTLE to ignored (/settings)."


def changed(event: SkillChanged) -> Message:
    icon, stage = _TITLES[event.trust]
    whose = "The model" if event.symbol == ALL else line(event.symbol, 20)
    title = first_line(icon, f"{whose}: {stage}")
    meaning = _RISEN if (event.before, event.trust) == (Trust.OBSERVED, Trust.THROTTLED) else _MEANING[event.trust]
    return Message(paragraphs(title, f"{meaning if event.in_force else _OFF} {_EXITS}", esc(event.reason, 400)))
