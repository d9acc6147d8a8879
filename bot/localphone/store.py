"""What the local phone remembers across restarts: messages, files, updates not yet fetched, the command menu.

A SQLite file of its own, apart from the ledger: the chat history is the phone's, as Telegram's is Telegram's.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

MAX_MESSAGES = 2000
"""Older messages are dropped; a page shows fewer at a time."""

UPDATE_LIFETIME = timedelta(hours=24)
"""Updates nobody fetched are dropped after a day (Bot API, "Getting updates")."""

_FILE_ID = re.compile(r'"file_id": "([^"]+)"')
_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS updates (id INTEGER PRIMARY KEY AUTOINCREMENT, created INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS callbacks (id TEXT PRIMARY KEY, created INTEGER NOT NULL, message_id INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS commands (scope TEXT, language TEXT, body TEXT NOT NULL, PRIMARY KEY (scope, language));
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS reactions (message_id INTEGER PRIMARY KEY, emoji TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (id TEXT PRIMARY KEY, content TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS files_by_content ON files (content);
"""


class PhoneStore:
    """Message bodies are Message objects of the Bot API without their id; times are Unix seconds.

    Calls are synchronous and take well under a millisecond: commits go to the write-ahead log without waiting for the
    disk, because losing the last chat line in a power cut costs nothing that the ledger does not know.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add_message(self, body: dict[str, Any]) -> dict[str, Any]:
        """Stores it and returns it with its `message_id`."""
        message_id = self._db.execute("INSERT INTO messages (body) VALUES (?)", (json.dumps(body),)).lastrowid
        self._db.execute(
            "DELETE FROM messages WHERE id <= (SELECT id FROM messages ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (MAX_MESSAGES,),
        )
        return {"message_id": message_id} | body

    def message(self, message_id: int) -> dict[str, Any] | None:
        row = self._db.execute("SELECT body FROM messages WHERE id = ?", (message_id,)).fetchone()
        return {"message_id": message_id} | json.loads(row[0]) if row else None

    def replace_message(self, message: dict[str, Any]) -> None:
        body = {name: value for name, value in message.items() if name != "message_id"}
        self._db.execute("UPDATE messages SET body = ? WHERE id = ?", (json.dumps(body), message["message_id"]))

    def delete_message(self, message_id: int) -> None:
        self._db.execute("DELETE FROM messages WHERE id = ?", (message_id,))
        self._db.execute("DELETE FROM reactions WHERE message_id = ?", (message_id,))

    def set_reaction(self, message_id: int, emoji: str) -> None:
        """An empty `emoji` takes it away."""
        self._db.execute("DELETE FROM reactions WHERE message_id = ?", (message_id,))
        if emoji:
            self._db.execute("INSERT INTO reactions VALUES (?, ?)", (message_id, emoji))

    def reactions(self, first: int, last: int) -> dict[int, str]:
        """By message id, for those from `first` to `last`."""
        wanted = "SELECT message_id, emoji FROM reactions WHERE message_id BETWEEN ? AND ?"
        return dict(self._db.execute(wanted, (first, last)).fetchall())

    def add_file(self, file_id: str, body: dict[str, Any]) -> None:
        """`body` has a `unique_id`, which names the content."""
        self._db.execute("INSERT INTO files VALUES (?, ?, ?)", (file_id, body["unique_id"], json.dumps(body)))

    def file(self, file_id: str) -> dict[str, Any] | None:
        row = self._db.execute("SELECT body FROM files WHERE id = ?", (file_id,)).fetchone()
        return dict(json.loads(row[0])) if row else None

    def files_of_content(self, unique_id: str) -> list[dict[str, Any]]:
        rows = self._db.execute("SELECT body FROM files WHERE content = ?", (unique_id,))
        return [json.loads(row[0]) for row in rows]

    def forget_unused_files(self) -> None:
        """Drops files that no message shows."""
        bodies = self._db.execute("SELECT body FROM messages WHERE instr(body, 'file_id') > 0")
        used = {file_id for row in bodies for file_id in _FILE_ID.findall(row[0])}
        known = [row[0] for row in self._db.execute("SELECT id FROM files")]
        unused = [(file_id,) for file_id in known if file_id not in used]
        self._db.executemany("DELETE FROM files WHERE id = ?", unused)

    def kept_contents(self) -> set[str]:
        return {row[0] for row in self._db.execute("SELECT content FROM files")}

    def latest_messages(self, count: int, before: int | None = None) -> list[dict[str, Any]]:
        """Oldest first."""
        rows = self._db.execute(
            "SELECT id, body FROM messages WHERE ? IS NULL OR id < ? ORDER BY id DESC LIMIT ?", (before, before, count)
        ).fetchall()
        return [{"message_id": row[0]} | json.loads(row[1]) for row in reversed(rows)]

    def add_update(self, content: dict[str, Any], at: datetime) -> None:
        self._db.execute(
            "INSERT INTO updates (created, body) VALUES (?, ?)", (int(at.timestamp()), json.dumps(content))
        )
        self.forget_old_updates(at)

    def forget_old_updates(self, now: datetime) -> None:
        oldest = int((now - UPDATE_LIFETIME).timestamp())
        self._db.execute("DELETE FROM updates WHERE created < ?", (oldest,))

    def updates(self, first: int, limit: int) -> list[dict[str, Any]]:
        rows = self._db.execute(
            "SELECT id, body FROM updates WHERE id >= ? ORDER BY id LIMIT ?", (first, limit)
        ).fetchall()
        return [{"update_id": row[0]} | json.loads(row[1]) for row in rows]

    def forget_updates_before(self, first: int) -> None:
        self._db.execute("DELETE FROM updates WHERE id < ?", (first,))

    def forget_updates_but(self, newest: int) -> None:
        self._db.execute(
            "DELETE FROM updates WHERE id NOT IN (SELECT id FROM updates ORDER BY id DESC LIMIT ?)", (newest,)
        )

    def update_count(self) -> int:
        return int(self._db.execute("SELECT COUNT(*) FROM updates").fetchone()[0])

    def add_callback(self, callback_id: str, message_id: int, at: datetime) -> None:
        self._db.execute("INSERT INTO callbacks VALUES (?, ?, ?)", (callback_id, int(at.timestamp()), message_id))

    def callback(self, callback_id: str, not_before: datetime) -> int | None:
        """The message whose button was tapped; None for an unknown or older callback. Drops the older ones."""
        self._db.execute("DELETE FROM callbacks WHERE created < ?", (int(not_before.timestamp()),))
        row = self._db.execute("SELECT message_id FROM callbacks WHERE id = ?", (callback_id,)).fetchone()
        return int(row[0]) if row else None

    def set_commands(self, scope: str, language: str, commands: list[dict[str, str]]) -> None:
        self._db.execute("INSERT OR REPLACE INTO commands VALUES (?, ?, ?)", (scope, language, json.dumps(commands)))

    def commands(self, scope: str, language: str) -> list[dict[str, str]]:
        row = self._db.execute(
            "SELECT body FROM commands WHERE scope = ? AND language = ?", (scope, language)
        ).fetchone()
        return list(json.loads(row[0])) if row else []

    def setting(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def set_setting(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))
