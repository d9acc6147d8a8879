"""/settings profile: the named sets of values with their measured figures; a card asks before one is chosen (S21)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from bot import render_profiles, render_settings
from bot.commands import waiting
from bot.commands.talk import Reply, Request, Talk, reply
from bot.commands.waiting import Deed
from bot.confirmations import Confirmation, confirm_keyboard
from bot.message import Message
from core.domain.views import AnswerKind, OwnerAnswer
from core.settings.editable import CHOSEN
from core.settings.profile_figures import measured
from core.settings.profiles import ProfileName

CHOOSE: Final = "profile"


def shown(talk: Talk) -> Message:
    return render_profiles.profiles(talk.book, measured())


async def choose(talk: Talk, request: Request, words: str) -> Reply:
    """Without a name the list; with one the card that asks."""
    spoken, chosen = words.strip().lower(), talk.book.current.profile
    if not spoken:
        return reply(shown(talk))
    if spoken not in {each.value for each in ProfileName}:
        names = ", ".join(ProfileName)
        return reply(Message(f"Profiles are {names}. Nothing was changed."), "unknown profile")
    if spoken == chosen:
        return reply(shown(talk), f"Profile {chosen} is chosen already")
    payload = {"profile": spoken, "instead_of": chosen.value}
    asked = await waiting.ask(talk, request, CHOOSE, f"Profile {spoken}", payload)
    card = render_profiles.card(talk.book, ProfileName(spoken), measured())
    return reply(replace(card, keyboard=confirm_keyboard(asked, f"✅ Choose {spoken}")), "asked first")


def _do_choose(talk: Talk, asked: Confirmation) -> OwnerAnswer:
    """In the writer: another choice may have been made since the card was shown."""
    now = talk.book.current.profile
    if now.value == asked.payload["profile"]:
        return OwnerAnswer(AnswerKind.UNCHANGED, f"Profile {now} is chosen already.")
    if now.value != asked.payload["instead_of"]:
        text = f"The profile is {now} by now: this card compared with another one. /settings profile shows it anew."
        return OwnerAnswer(AnswerKind.STALE, text)
    (change,) = talk.book.change({CHOSEN: asked.payload["profile"]}, "owner")
    told = f"{render_settings.changed(change)}. It counts from the next decision on; /settings undo takes it back."
    return OwnerAnswer(AnswerKind.DONE, told)


DEEDS: Mapping[str, Deed] = {CHOOSE: _do_choose}
