"""The owner's settings: from the environment and .env, checked once at the start."""

from core.settings.load import load_settings
from core.settings.table import Settings, SettingsError

__all__ = ["Settings", "SettingsError", "load_settings"]
