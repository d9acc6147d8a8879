"""How the owner is told of things: /notify (D10), /quiet (D11), and the live status message (D12)."""

from __future__ import annotations

from bot import menus
from bot.commands.talk import Reply, Request, Talk, reply
from bot.markup import bold, code, esc, paragraphs
from bot.message import Button, Message, in_rows
from bot.preferences import (
    TOPIC,
    TOPICS,
    Loudness,
    Preferences,
    QuietHours,
    Topic,
    read_preferences,
    write_quiet,
    write_topic,
)

_ICONS = {Loudness.ON: "🔔", Loudness.SILENT: "🔕", Loudness.OFF: "🚫"}
_SUGGESTED = ("22:00-07:00", "23:00-08:00")


async def notify(talk: Talk, request: Request) -> Reply:
    """Shows what is told and how, with a button a topic; or sets one: `/notify signals silent`."""
    words = request.words.lower().replace("-", " ").split()
    if not words:
        return reply(_topics(await talk.hands.ask(_read, talk)))
    topic = TOPIC.get(words[0])
    if topic is None or len(words) != 2 or words[1] not in {choice.value for choice in Loudness}:
        return _not_understood("I did not understand that, and nothing was changed. For example:", "/notify model off")
    wanted = Loudness(words[1])
    if wanted not in topic.choices():
        text = f"{topic.name} ask something of you or warn you: they can be silent, but not off. Nothing was changed."
        return Reply((Message(esc(text)),), f"{topic.name} cannot be off")
    known = await talk.hands.change(_write, talk, topic, wanted)
    return Reply((_topics(known),), f"{_ICONS[wanted]} {topic.name}: {wanted.value}")


async def quiet(talk: Talk, request: Request) -> Reply:
    """Shows or sets the hours without a sound: `/quiet 22:00-07:00`, `/quiet off`."""
    words = request.words.strip().lower()
    if not words:
        return reply(_hours(talk, await talk.hands.ask(_read, talk)))
    hours = QuietHours.parse(words)
    if hours is None and words != "off":
        return _not_understood("I cannot read those hours, and nothing was changed. For example:", "/quiet 22:00-07:00")
    known = await talk.hands.change(_write_hours, talk, hours)
    return Reply((_hours(talk, known),), f"quiet hours: {hours.text() if hours else 'off'}")


async def live(talk: Talk, words: str) -> Reply:
    """`/status live` begins a message that is kept up to date in place, `/status live off` ends that."""
    if words == "off":
        ended = await talk.hands.change(talk.live.end)
        text = "The live status is no longer kept up to date." if ended else "There is no live status. /status live"
        return Reply((Message(text),), "live status off")
    await talk.hands.change(lambda: talk.live.begin(pinned=words == "pin"))
    return Reply((), "live status on")


def _read(talk: Talk) -> Preferences:
    with talk.ledger() as work:
        return read_preferences(work)


def _write(talk: Talk, topic: Topic, wanted: Loudness) -> Preferences:
    with talk.ledger() as work:
        known = write_topic(work, topic.name, wanted)
        work.commit("notify")
    return known


def _write_hours(talk: Talk, hours: QuietHours | None) -> Preferences:
    with talk.ledger() as work:
        known = write_quiet(work, hours)
        work.commit("quiet")
    return known


def _topics(known: Preferences) -> Message:
    lines = "\n".join(
        f"{_ICONS[known.of_topic(topic.name)]} {bold(topic.name)}: {esc(topic.words)}" for topic in TOPICS
    )
    buttons = [_next_button(topic, known.of_topic(topic.name)) for topic in TOPICS]
    legend = "Tap to change: 🔔 with a sound, 🔕 silent, 🚫 off."
    hours = f"Quiet hours: {known.quiet.text() if known.quiet else 'none'} (/quiet)."
    return Message(paragraphs(f"🔔 {bold('What I tell you')}", lines, f"{legend}\n{hours}"), in_rows(buttons))


def _next_button(topic: Topic, loudness: Loudness) -> Button:
    choices = topic.choices()
    following = choices[(choices.index(loudness) + 1) % len(choices)]
    action = f"notify-{topic.name}-{following.value}{menus.IN_PLACE}"
    return Button(f"{_ICONS[loudness]} {topic.name}", menus.menu_token(action))


def _hours(talk: Talk, known: Preferences) -> Message:
    zone = esc(talk.zone.key)
    if known.quiet is None:
        state = f"No quiet hours: every message has its sound, day and night ({zone})."
    else:
        state = (
            f"🌙 Quiet {bold(known.quiet.text())} ({zone}): messages come without a sound; what is critical breaks "
            "through."
        )
    labels = [*(f"🌙 {hours}" for hours in _SUGGESTED), "🔔 off"]
    tokens = [menus.menu_token(f"quiet-{hours}{menus.IN_PLACE}") for hours in (*_SUGGESTED, "off")]
    return Message(
        paragraphs(state, f"Other hours: {code('/quiet 21:30-06:00')}"),
        (tuple(map(Button, labels, tokens)),),
    )


def _not_understood(sentence: str, example: str) -> Reply:
    return Reply((Message(f"{esc(sentence)}\n{code(esc(example))}"),), "not understood")
