"""The buttons of the menus, and what their tokens say. Pure."""

from __future__ import annotations

from bot.message import Button, Keyboard, Message
from bot.render_marks import all_badges, first_line
from core.domain.views import StatusView

MENU_PREFIX = "m"
IN_PLACE = "!"
LONGEST_TOKEN = 64
"""Bytes of callback data that Telegram allows."""


def menu_token(action: str) -> str:
    return f"{MENU_PREFIX}:{action}"


def menu(paused: bool, *, under_status: bool = False) -> Keyboard:
    """The buttons under /status, /start and the welcome. Under a status they renew that message in place."""
    here = IN_PLACE if under_status else ""
    brake = ("▶️ Resume", "resume") if paused else ("⏸ Pause", "pause")
    return (
        (Button(brake[0], menu_token(brake[1] + here)), Button("🔄 Status", menu_token("status" + here))),
        (Button("📊 Positions", menu_token("positions")), Button("✋ Pending", menu_token("pending"))),
        (Button("📄 Report", menu_token("report")), *([Button("📍 Live", menu_token("status-live"))] if here else [])),
    )


def whole_menu(view: StatusView) -> Message:
    """Every command that needs no words of its own."""
    brake = ("▶️ Resume", f"menu-resume{IN_PLACE}") if view.paused else ("⏸ Pause", f"menu-pause{IN_PLACE}")
    # Two in a row: a phone wraps the longer labels of three.
    rows = (
        (("🔄 Status", "status"), ("📊 Positions", "positions")),
        (("✋ Pending", "pending"), ("📈 Signals", "signals")),
        (("📄 Report", "report"), ("📍 Live", "status-live")),
        (brake, ("🎛 Mode", "mode")),
        (("🛑 Locks", "locks"), ("⚙️ Settings", "settings")),
        (("👀 Watched", "watch"), ("🔔 Messages", "notify")),
        (("🧠 Model", "model"), ("🌙 Quiet", "quiet")),
        (("📖 Help", "help"),),
        (("🏁 Sell everything", "flatten"),),
    )
    keyboard = tuple(tuple(Button(label, menu_token(action)) for label, action in row) for row in rows)
    state = "paused" if view.paused else f"mode {view.mode.value}"
    return Message(first_line("🧭", f"Menu, {state}", all_badges(view.accounts, view.badges)), keyboard)
