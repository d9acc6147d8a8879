"""Files of bars as programs and vendors export them, read by rules that refuse where two readings fit."""
