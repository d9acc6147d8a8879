"""/audit: who asked for what, and what became of it (A7), newest first and page by page."""

from __future__ import annotations

from collections.abc import Sequence

from bot import menus, numbers
from bot.commands.talk import Reply, Request, Talk
from bot.markup import bold, code, line, paragraphs
from bot.message import Button, Message
from core.domain.records import AuditRecord

PAGE = 12
_MOST_PAGES = 10_000


async def audit(talk: Talk, request: Request) -> Reply:
    """One page of the audit: `/audit`, `/audit 3`."""
    wanted = request.words.strip()
    if wanted and not (wanted.isascii() and wanted.isdigit() and 1 <= int(wanted[:9]) <= _MOST_PAGES):
        return Reply((Message(f"Which page? For example {code('/audit 2')}"),), "not understood")
    page = int(wanted or 1)
    # One more than is shown tells whether there is an older page.
    found = await talk.hands.ask(_read, talk, page)
    return Reply((_shown(found, page, talk),), f"page {page}")


def _read(talk: Talk, page: int) -> Sequence[AuditRecord]:
    with talk.ledger() as work:
        return work.audit_trail(PAGE + 1, skip=(page - 1) * PAGE)


def _shown(found: Sequence[AuditRecord], page: int, talk: Talk) -> Message:
    buttons = []
    if page > 1:
        buttons.append(_button("⬅️ Newer", page - 1))
    if len(found) > PAGE:
        buttons.append(_button("Older ➡️", page + 1))
    lines = [
        f"{numbers.moment(record.at, talk.zone)} · {line(record.actor, 30)}\n"
        f"{bold(line(record.action, 90))}: {line(record.outcome, 110)}"
        for record in found[:PAGE]
    ]
    title = f"🗒 {bold(f'Audit, page {page}')}"
    return Message(
        paragraphs(title, *(lines or ["Nothing is recorded that far back."])), (tuple(buttons),) if buttons else ()
    )


def _button(label: str, page: int) -> Button:
    return Button(label, menus.menu_token(f"audit-{page}{menus.IN_PLACE}"))
