"""What people outside remember of an installation that is killed again and again: the owner, and the chat.

Every line is written before or after the deed itself, in files of its own, so that after a kill the ledger can be held
against what the owner was told and against what reached the chat. Plain JSON lines; a killed process loses none.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.message import Attachment, Keyboard
from core.domain.events import Priority
from core.domain.records import OutboxMessage

EXECUTE, APPROVE, SKIP, CASH, PAUSE, RESUME, MODE = "execute", "approve", "skip", "cash", "pause", "resume", "mode"
SENDINGS = tuple(f"{call}.{side}_call" for call in ("send", "send critical", "edit") for side in ("before", "after"))


@dataclass(frozen=True, slots=True)
class Deed:
    """Something the owner does once, under one tap. Amounts and prices as exact text; `value` is a mode or an amount
    of cash; the rest describes the card that is tapped."""

    kind: str
    tap: str
    value: str = ""
    number: int = 0
    version: int = 0
    symbol: str = ""
    side: str = ""
    quantity: str = "0"
    price: str = "0"


@dataclass
class Attested:
    """What follows from the answers that the owner was given, computed without the ledger."""

    cash: Decimal
    units: dict[str, Decimal] = field(default_factory=dict)
    paused: bool = False
    mode: str = "auto"
    settled: dict[int, str] = field(default_factory=dict)

    def after(self, deed: Deed) -> None:
        match deed.kind:
            case "pause" | "resume":
                self.paused = deed.kind == PAUSE
            case "mode":
                self.mode = deed.value
            case "cash":
                self.cash = Decimal(deed.value)
            case "execute":
                sign = 1 if deed.side == "buy" else -1
                quantity = Decimal(deed.quantity)
                self.cash -= sign * quantity * Decimal(deed.price)
                self.units[deed.symbol] = self.units.get(deed.symbol, Decimal(0)) + sign * quantity
                self.settled[deed.number] = "executed"
            case "skip" | "approve":
                self.settled[deed.number] = {SKIP: "skipped", APPROVE: "approved"}[deed.kind]


class Memory:
    """The owner's memory, in `memory.jsonl` of a folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "memory.jsonl"

    def begins(self, deed: Deed) -> None:
        append(self._path, {"begins": asdict(deed)})

    def was_answered(self, deed: Deed, kind: str) -> None:
        append(self._path, {"answered": asdict(deed), "kind": kind})

    def saw(self, sight: Mapping[str, Any]) -> None:
        """What the ledger showed when nothing was going on."""
        append(self._path, {"saw": sight})

    def unanswered(self) -> Deed | None:
        """The deed that a kill cut short: the owner will tap again."""
        begun: Deed | None = None
        for line in lines_of(self._path):
            if "begins" in line:
                begun = Deed(**line["begins"])
            elif "answered" in line:
                begun = None
        return begun

    def last_sight(self) -> Mapping[str, Any]:
        return next((line["saw"] for line in reversed(list(lines_of(self._path))) if "saw" in line), {})

    def attested(self, opening_cash: Decimal) -> Attested:
        """An answer counts where it says that the deed is done, or was done already: once a tap."""
        known, counted = Attested(opening_cash), set[str]()
        for line in lines_of(self._path):
            if line.get("kind") in ("done", "unchanged"):
                deed = Deed(**line["answered"])
                if deed.tap not in counted:
                    counted.add(deed.tap)
                    known.after(deed)
        return known


class Chat:
    """The Transport of a chat that outlives every process: what arrived is in `chat.jsonl`, with the row it came from.

    `row_in_hand` gives the outbox row being delivered; `checkpoint` is called on both sides of an arrival, under the
    names of `SENDINGS`; `fence` before anything leaves, as the product's client does, and raises LeaseLost.
    """

    def __init__(
        self,
        folder: Path,
        row_in_hand: Callable[[], OutboxMessage],
        checkpoint: Callable[[str], None],
        fence: Callable[[], None] = lambda: None,
    ) -> None:
        self._fence = fence
        self._path = folder / "chat.jsonl"
        self._row_in_hand = row_in_hand
        self._checkpoint = checkpoint
        self.is_open = False

    def is_ready(self) -> bool:
        return self.is_open

    async def send(
        self, text: str, *, html: bool, keyboard: Keyboard, reply_to: int | None = None, silent: bool = False
    ) -> int:
        number = sum(1 for _ in lines_of(self._path)) + 1
        self._arrives(number, 0, text)
        return number

    async def send_file(self, attachment: Attachment, caption: str, **how: Any) -> int:
        return await self.send(caption, **how)

    async def edit(self, message_id: int, text: str, *, html: bool, keyboard: Keyboard) -> None:
        self._arrives(0, message_id, text)

    async def pin(self, message_id: int) -> None:
        """Nothing is pinned here."""

    def _arrives(self, number: int, edits: int, text: str) -> None:
        self._fence()
        row = self._row_in_hand()
        call = "edit" if edits else "send critical" if row.priority is Priority.CRITICAL else "send"
        self._checkpoint(f"{call}.before_call")
        append(self._path, {"id": number, "row": row.id, "edits": edits, "text": text})
        self._checkpoint(f"{call}.after_call")

    def arrivals(self) -> list[Mapping[str, Any]]:
        return list(lines_of(self._path))

    def sent_of(self) -> Counter[int]:
        """How many messages (edits apart) arrived of each row."""
        return Counter(arrival["row"] for arrival in self.arrivals() if not arrival["edits"])


def append(path: Path, line: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)
