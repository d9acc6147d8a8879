"""Between the sources of bars and the store: what is missing, who is asked for it, and whether what came fits."""
