"""A phone without Telegram: a Bot API server on loopback and one chat page in the browser.

The real python-telegram-bot talks to it through its base URL, so the bot has one code path for both.
"""
