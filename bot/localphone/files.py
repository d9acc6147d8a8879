"""Pictures and documents that a bot sent: checked as Telegram checks them, kept on disk, named by ids."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

from bot.localphone.errors import bad_request
from bot.localphone.parameters import Upload
from bot.localphone.pictures import picture
from bot.localphone.store import PhoneStore

MAX_PHOTO_BYTES = 10 * 1024 * 1024
MAX_DOCUMENT_BYTES = 50 * 1024 * 1024
MAX_DOWNLOAD_BYTES = 20 * 1024 * 1024
MAX_PHOTO_DOTS = 10_000
"""Of width and height together."""

MAX_PHOTO_RATIO = 20
PHOTO, DOCUMENT = "photo", "document"
_TOO_BIG = "File of size {} bytes is too big{}; the maximum size is {} bytes"
_WRONG_FILE = "Wrong file identifier/HTTP URL specified"
_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class StoredFile:
    """`unique_id` is the same for the same content; the bytes lie under it. A photo has a size in dots."""

    file_id: str
    unique_id: str
    kind: str
    name: str
    mime_type: str
    size: int
    width: int = 0
    height: int = 0

    @property
    def path(self) -> str:
        """Where a bot downloads it, below the token."""
        return f"{self.kind}s/{self.unique_id}{PurePath(self.name).suffix}"

    def as_message_field(self) -> dict[str, Any]:
        """The value of a message's `photo` or `document`."""
        common = {"file_id": self.file_id, "file_unique_id": self.unique_id, "file_size": self.size}
        if self.kind == PHOTO:
            return {PHOTO: [common | {"width": self.width, "height": self.height}]}
        return {DOCUMENT: common | {"file_name": self.name, "mime_type": self.mime_type}}


class FileBox:
    """The bytes lie beside the store, one file for each content; the store knows what they are."""

    def __init__(self, store: PhoneStore, folder: Path) -> None:
        self._store = store
        self._folder = folder

    def open(self) -> None:
        """Makes the folder and drops what no message shows any more."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._store.forget_unused_files()
        kept = self._store.kept_contents()
        for path in self._folder.iterdir():
            if path.name not in kept:
                path.unlink()

    async def take(self, kind: str, given: Upload | str) -> StoredFile:
        """Keeps an upload, or finds the file that an id names. Raises ApiError with the real server's words."""
        if isinstance(given, str):
            return self._known(kind, given)
        file = await asyncio.to_thread(self._keep, kind, given)
        self._store.add_file(file.file_id, asdict(file))
        return file

    def file(self, file_id: str) -> StoredFile | None:
        found = self._store.file(file_id)
        return StoredFile(**found) if found is not None else None

    def location(self, file: StoredFile) -> Path:
        return self._folder / file.unique_id

    def at(self, path: str) -> StoredFile | None:
        """The file a bot downloads under `path`."""
        found = (StoredFile(**one) for one in self._store.files_of_content(PurePath(path).stem))
        return next((file for file in found if file.path == path), None)

    def _known(self, kind: str, file_id: str) -> StoredFile:
        file = self.file(file_id)
        if file is None:
            raise bad_request(_WRONG_FILE)
        if file.kind != kind:
            raise bad_request(f"Can't use file of type {file.kind.capitalize()} as {kind.capitalize()}")
        return file

    def _keep(self, kind: str, upload: Upload) -> StoredFile:
        """Hashing and writing fifty megabytes takes too long for the event loop: in a thread."""
        file = _photo(upload) if kind == PHOTO else _document(upload)
        whole = self.location(file)
        if not whole.exists():
            part = self._folder / f"{secrets.token_hex(8)}.part"
            part.write_bytes(upload.content)
            part.chmod(0o600)
            part.replace(whole)
        return file


def _photo(upload: Upload) -> StoredFile:
    _check_size(upload, MAX_PHOTO_BYTES, " for a photo")
    seen = picture(upload.content)
    if seen is None:
        raise bad_request("IMAGE_PROCESS_FAILED")
    longer, shorter = max(seen.width, seen.height), min(seen.width, seen.height)
    if longer + shorter > MAX_PHOTO_DOTS or longer > shorter * MAX_PHOTO_RATIO:
        raise bad_request("PHOTO_INVALID_DIMENSIONS")
    file_id, unique_id = _ids(upload.content)
    name = f"photo{seen.suffix}"
    return StoredFile(file_id, unique_id, PHOTO, name, seen.mime_type, len(upload.content), seen.width, seen.height)


def _document(upload: Upload) -> StoredFile:
    _check_size(upload, MAX_DOCUMENT_BYTES, "")
    file_id, unique_id = _ids(upload.content)
    name = PurePath(upload.name.replace("\\", "/")).name[-_LONGEST_NAME:] or "file"
    return StoredFile(file_id, unique_id, DOCUMENT, name, upload.mime_type, len(upload.content))


def _check_size(upload: Upload, limit: int, reason: str) -> None:
    size = len(upload.content)
    if size == 0:
        raise bad_request("File must be non-empty")
    if size > limit:
        raise bad_request(_TOO_BIG.format(size, reason, limit))


def _ids(content: bytes) -> tuple[str, str]:
    return secrets.token_urlsafe(24), hashlib.sha256(content).hexdigest()[:24]
