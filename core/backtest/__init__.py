"""Past bars through the live tick without a database: the ledger in memory, forecasts made for the whole period at
once, and no tick made that could change nothing."""
