"""The profiles as the owner reads them: a list with each one's measured figures, a card before one is chosen. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot import numbers, render_settings
from bot.markup import bold, esc, italic, line, paragraphs
from bot.menus import IN_PLACE, menu_token
from bot.message import Button, Message, in_rows
from bot.render_marks import first_line
from core.domain.events import ProfileContradicted
from core.settings.book import SettingsBook, Source
from core.settings.editable import CHOSEN, EDITABLE
from core.settings.profile_figures import Book, Line, Measured
from core.settings.profiles import PROFILE_NAMES, PROFILES, Profile, ProfileName
from core.strategy.policy import Strategy

_ABOUT = {
    Source.CHAT: "as you changed it here",
    Source.ENV: "as .env says",
}
_HEAD = f"{'profile':<12}{'a yr':>6}{'Sharpe':>7}{'fell':>5}{'n':>4}"


def profiles(book: SettingsBook, figures: Book | None) -> Message:
    """The chosen one first of all, every profile with what it earned, and a button for each other one."""
    chosen, own = book.current.profile, book.override(CHOSEN) is not None
    lines = [_HEAD]
    for profile in PROFILES.values():
        made = figures.profiles.get(profile.name) if figures is not None else None
        lines += [f"{profile.name:<12} not measured yet"] if made is None else _rows(profile.name, made.lines)
    lines += _held(figures) if figures is not None else []
    buttons = [Button(f"🎚 {each.value}", _here(each.value)) for each in ProfileName if each is not chosen]
    return Message(
        paragraphs(
            first_line("🎚", f"Profile: {chosen}"),
            f"{esc(PROFILES[chosen].about)}.",
            _columns(lines),
            italic(_measured_how(figures)),
        ),
        (
            *in_rows(buttons),
            *(((Button("↩️ Back to .env", menu_token(f"settings-env-{CHOSEN}{IN_PLACE}")),),) if own else ()),
            *render_settings.undo_row(book.last_change()),
            (Button("‹ All settings", menu_token(f"settings{IN_PLACE}")),),
        ),
    )


def card(book: SettingsBook, wanted: ProfileName, figures: Book | None) -> Message:
    """One profile before it is chosen: what changes, what stays all the same, and what it earned; buttons are the
    caller's."""
    profile, after = PROFILES[wanted], book.in_profile(wanted)
    changes = [
        f"{render_settings.spoken(name)}: {_told(name, book.value(name))} → {bold(_told(name, after[name]))}"
        for name in PROFILE_NAMES
        if _told(name, book.value(name)) != _told(name, after[name])
    ]
    return Message(
        paragraphs(
            first_line("🎚", f"{book.current.profile} → {wanted}?"),
            f"{esc(profile.about)}.",
            _figures(profile, figures),
            "\n".join(changes) or "No value changes.",
            _kept(book, profile, after),
            _of_strategy(book, after),
            "Stop and target of what is held stay where they are. It counts from the next decision on.",
        )
    )


def contradicted(event: ProfileContradicted) -> Message:
    """Said at a start, once."""
    lines = [
        f"{bold(esc(render_settings.spoken(name), 60))} is {_told(name, env)}; the profile says {_told(name, own)}"
        for name, env, own in event.kept[:20]
    ]
    return Message(
        paragraphs(
            f"🎚 {bold(f'Profile {line(event.profile, 40)}: .env says otherwise')}",
            "\n".join(lines),
            "What .env says counts. To follow the profile, take the line out of .env.",
        )
    )


def _figures(profile: Profile, figures: Book | None) -> str:
    made = figures.profiles.get(profile.name) if figures is not None else None
    if figures is None or made is None:
        return f"{bold('Not measured yet')}: no figures of it are committed with this program."
    rows = [_HEAD, *_rows(profile.name, made.lines), *_held(figures)]
    return paragraphs(_columns(rows), esc(_of_budget(profile, made)), italic(_measured_how(figures)))


def _of_budget(profile: Profile, made: Measured) -> str:
    budget, fell = float(profile.drawdown_budget), max(line.drawdown for line in made.lines)
    words = f"Its budget for the largest fall is {numbers.percent(budget)}: "
    if fell > budget:
        return f"{words}it fell {numbers.percent(fell)}, more than that."
    return f"{words}it stayed within it."


def _kept(book: SettingsBook, profile: Profile, after: Mapping[str, str]) -> str:
    """What the owner has set himself and what therefore does not follow the profile."""
    stays = [
        f"{render_settings.spoken(name)} stays {_told(name, after[name])}, {_ABOUT[book.source(name)]}"
        f" (profile: {_told(name, profile.values[name])})"
        for name in PROFILE_NAMES
        if book.source(name) in _ABOUT and _told(name, after[name]) != _told(name, profile.values[name])
    ]
    return "\n".join(stays)


def _of_strategy(book: SettingsBook, after: Mapping[str, str]) -> str:
    if after["STRATEGY"] == Strategy.RULE and book.value("STRATEGY") != Strategy.RULE:
        return "⚠️ The rule also sells: what is held and closed below its mean of 200 days goes at the next look."
    return ""


def _rows(name: str, lines: Sequence[Line]) -> list[str]:
    """All assets under the profile's name, then the parts of them."""
    return [_row(name if place == 0 else f"  {_short(line.name)}", line) for place, line in enumerate(lines)]


def _held(figures: Book) -> list[str]:
    """The same assets bought and held instead, and SPY alone."""
    return ["bought, held", *(_row(f"  {_short(line.name)}", line) for line in figures.held)]


def _columns(rows: Sequence[str]) -> str:
    return f"<pre>{esc(chr(10).join(rows), 3000)}</pre>"


def _row(name: str, line: Line) -> str:
    fell = numbers.percent(line.drawdown, places=0)
    return f"{name:<12}{numbers.percent(line.annualised):>6}{line.sharpe:>7.2f}{fell:>5}{line.trades:>4}"


def _short(name: str) -> str:
    return {"no coins": "funds", "no ADA, SOL": "no ADA,SOL"}.get(name, name)


def _measured_how(figures: Book | None) -> str:
    if figures is None:
        return "Nothing is measured yet."
    how = figures.conditions
    return (
        f"Measured on daily bars of {how.first.year} to {how.last.year}, costs in, by the code that trades; a brake on "
        f"the drawdown was released after {how.unlock_days} days. The assets were chosen knowing how they went: read "
        "funds first. n counts the closed trades. Past figures promise nothing."
    )


def _told(name: str, text: str) -> str:
    known = EDITABLE.get(name)
    return esc(render_settings.shown(known, text) if known is not None else text, 60)


def _here(name: str) -> str:
    return menu_token(f"settings-profile-{name}")
