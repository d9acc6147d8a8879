"""Execution: the only room that writes orders, fills and guards to the ledger and talks to a venue."""
