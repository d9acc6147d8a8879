"""The newest revision of the schema. Kept here so that an ordinary start need not load Alembic; a test compares."""

from typing import Final

HEAD: Final = "0008"
