"""The settings as menus of buttons: groups, the settings of one, and one setting with all that is to be known. Pure."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from bot import numbers
from bot.markup import bold, code, esc, italic, paragraphs, table
from bot.menus import IN_PLACE, menu_token
from bot.message import Button, Keyboard, Message, in_rows
from bot.render_marks import first_line
from core.domain.events import SettingsDiffer
from core.settings import Settings
from core.settings.book import Change, SettingsBook, Source
from core.settings.checks import WorldChoice
from core.settings.editable import CHANGEABLE, CHOSEN, EDITABLE, Editable, Group, Unit
from core.settings.profiles import PROFILE_NAMES, PROFILES

_UNITS = {Unit.MINUTES: "min", Unit.HOURS: "h", Unit.DAYS: "days", Unit.COUNT: ""}
_UNIT_WORDS = {
    Unit.PERCENT: "percent",
    Unit.MINUTES: "minutes",
    Unit.HOURS: "hours",
    Unit.DAYS: "days",
    Unit.COUNT: "a count",
    Unit.NAME: "a name",
}
_GROUPS = {
    Group.RISK: ("🛡", "how much, and what brakes"),
    Group.SCHEDULE: ("⏰", "how long things wait"),
    Group.STYLE: ("🗣", "how I talk to you"),
}
_MARKS = {Source.CHAT: "• ", Source.ENV: "◦ ", Source.PROFILE: "▸ ", Source.DEFAULT: ""}
_WHENCE = {
    Source.CHAT: "your change here",
    Source.ENV: ".env",
    Source.PROFILE: "the profile",
    Source.DEFAULT: "the default",
}


def shown(setting: Editable, written: str) -> str:
    """A value as the owner reads it: 0.05 is 5%, an empty one is off."""
    if not written:
        return "off" if setting.can_be_off else numbers.MISSING
    try:
        value = Decimal(written)
    except InvalidOperation:
        return written
    if setting.unit is Unit.PERCENT:
        return percent(value)
    return f"{numbers.quantity(value)} {_UNITS.get(setting.unit, '')}".strip()


def percent(fraction: Decimal) -> str:
    """As exact as it was chosen: 5%, 0.75%."""
    return f"{numbers.quantity(fraction * 100)}%"


def spoken(name: str) -> str:
    """STOP_LOSS becomes Stop loss."""
    return name.replace("_", " ").capitalize().replace("fraction", "share")


def groups(book: SettingsBook) -> Message:
    lines = "\n".join(f"{icon} {bold(group.value.capitalize())}: {words}" for group, (icon, words) in _GROUPS.items())
    changed = [name for name in EDITABLE if book.override(name) is not None]
    told = (
        f"{numbers.count(len(changed), 'setting')} changed from here."
        if changed
        else "Nothing has been changed from here."
    )
    elsewhere = (
        f"{told} The mode is set by /mode. Tokens, addresses, real or paper money and who I obey are set on the server "
        "alone."
    )
    buttons = [Button(f"{_GROUPS[group][0]} {group.value.capitalize()}", _here(group.value)) for group in Group]
    buttons.append(Button("🔔 Messages", menu_token("notify")))
    buttons.append(Button("🎚 Profile", _here("profile")))
    profile = f"🎚 Profile: {bold(book.current.profile.value)}, {_WHENCE[book.source(CHOSEN)]}"
    return Message(
        paragraphs(f"⚙️ {bold('Settings')}", lines, profile, _money(book.environment), elsewhere),
        (*in_rows(buttons), *undo_row(book.last_change())),
    )


def _money(environment: Settings) -> str:
    """Whose money automatic orders spend, as the server says; cannot be changed from here."""
    if environment.alpaca_keys is None or environment.world is WorldChoice.SIMULATED:
        return ""
    if environment.alpaca_paper:
        return f"🔒 Alpaca: {bold('PAPER')} money ({code('ALPACA_PAPER')})"
    return f"🔒 Alpaca: {bold('LIVE')}, account {code(esc(environment.allow_real_money or ''))}. /realmoney"


def group(book: SettingsBook, which: Group) -> Message:
    """Its settings with their values, each marked with where its value comes from."""
    known = [each for each in EDITABLE.values() if each.group is which]
    rows = [
        (f"{_MARKS[book.source(each.name)]}{spoken(each.name)}", shown(each, book.value(each.name))) for each in known
    ]
    buttons = [Button(spoken(each.name).removesuffix(" share"), _here(each.name)) for each in known]
    more: Keyboard = ((Button("🔔 Messages", menu_token("notify")), Button("🌙 Quiet hours", menu_token("quiet"))),)
    return Message(
        paragraphs(
            f"{_GROUPS[which][0]} {bold(f'Settings: {which.value.capitalize()}')}",
            table(rows),
            italic(f"• is changed from here, ◦ is as .env says, ▸ as the profile {book.current.profile} says."),
        ),
        (
            *in_rows(buttons),
            *(more if which is Group.STYLE else ()),
            (Button("‹ All settings", menu_token(f"settings{IN_PLACE}")),),
        ),
    )


def setting(book: SettingsBook, name: str) -> Message:
    """One setting: what it is, its value and where that comes from, the default, profile's and .env value, unit and
    limits, and buttons to change it."""
    known = EDITABLE[name]
    env, override = book.env_value(name), book.override(name)
    rows = [
        ("Now", shown(known, book.value(name))),
        ("Default", shown(known, known.default) if known.default or known.can_be_off else "this machine's"),
        (".env", shown(known, env) if env is not None else "– (not set)"),
        ("Unit", _UNIT_WORDS[known.unit]),
        ("Limits", limits(known)),
    ]
    if name in PROFILE_NAMES:
        rows.insert(2, ("Profile", shown(known, PROFILES[book.current.profile].values[name])))
    rows.append(("Counts", _WHENCE[book.source(name)]))
    if override is not None:
        rows.append(("Changed", f"by {'you' if override.by == 'owner' else override.by}, here"))
    return Message(
        paragraphs(first_line("⚙️", spoken(name), code(name)), f"{esc(_about(known))}.", table(rows)),
        _setting_buttons(book, known),
    )


def _about(known: Editable) -> str:
    """Without the unit of .env, which is not the one that is shown."""
    return re.sub(r", (?:fraction[^;]*|minutes|hours|count|IANA name|0 to 1)(?=[;.]|$)", "", known.about)


def limits(known: Editable) -> str:
    """Above 0%, at most 100%."""
    if known.choices:
        return ", ".join(known.choices)
    if known.least is None or known.most is None:
        return "a zone of the IANA list"
    low = shown(known, str(known.least))
    high = shown(known, str(known.most))
    return f"{'over' if known.least_is_open else 'from'} {low} {'to below' if known.most_is_open else 'to'} {high}"


def _setting_buttons(book: SettingsBook, known: Editable) -> Keyboard:
    rows: list[tuple[Button, ...]] = []
    steps = [_step(book, known, sign) for sign in (-1, 1)]
    if known.unit is not Unit.NAME:
        rows.append(tuple(each for each in steps if each is not None))
    if known.choices:
        rows.append(tuple(Button(each, _here(f"set-{known.name}-{each}")) for each in known.choices))
    else:
        rows.append((Button("✏️ Type a value", menu_token(f"settings-type-{known.name}")),))
    if known.can_be_off and book.value(known.name):
        rows.append((Button("🚫 Switch off", _here(f"set-{known.name}-off")),))
    if book.override(known.name) is not None:
        rows.append((Button("↩️ Back to .env", _here(f"env-{known.name}")),))
    return (
        *(row for row in rows if row),
        *undo_row(book.last_change()),
        (Button(f"‹ {known.group.value.capitalize()}", _here(known.group.value)),),
    )


def _step(book: SettingsBook, known: Editable, sign: int) -> Button | None:
    """The value one step away, where it is allowed. It stands in the button, so that a second tap changes nothing."""
    now = book.value(known.name)
    if known.unit is Unit.NAME or (not now and sign < 0):
        return None
    value = Decimal(now) + sign * known.step if now else Decimal(known.example)
    if not is_allowed(known, value):
        return None
    label = f"{'➖' if sign < 0 else '➕'} {shown(known, str(value))}"
    return Button(label, _here(f"set-{known.name}-{numbers.quantity(value).replace(',', '')}"))


def is_allowed(known: Editable, value: Decimal) -> bool:
    low = known.least is None or value > known.least or (value == known.least and not known.least_is_open)
    high = known.most is None or value < known.most or (value == known.most and not known.most_is_open)
    return low and high


def _here(action: str) -> str:
    """What a button does with the settings; their message is renewed in its place."""
    return menu_token(f"settings-{action}{IN_PLACE}")


def undo_row(change: Change | None) -> Keyboard:
    """The button that takes the newest change back."""
    if change is None:
        return ()
    return ((Button(f"⏪ Undo: {spoken(change.name)}"[:40], _here(f"undo-{change.number}")),),)


def changed(change: Change) -> str:
    """Stop loss: 5% → 4%, as a toast or a line."""
    known = CHANGEABLE[change.name]
    return f"{spoken(change.name)}: {shown(known, change.before)} → {shown(known, change.after)}"


def differs(event: SettingsDiffer) -> Message:
    """Said at a start: .env has been changed, what was chosen in the chat stays."""
    lines = []
    for name, value, before, now in event.changes[:20]:
        known = CHANGEABLE.get(name)
        told = [shown(known, text) if known else text or "off" for text in (value, before, now)]
        lines.append(
            f"{bold(esc(spoken(name), 60))} stays {esc(told[0], 60)}, as you chose here "
            f"(.env: {esc(told[1], 60)} → {esc(told[2], 60)})"
        )
    return Message(
        paragraphs(
            f"⚙️ {bold('.env was changed, your settings stay')}",
            "\n".join(lines),
            "To follow .env again: /settings, the setting, Back to .env.",
        )
    )
