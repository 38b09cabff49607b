"""What settings are when nobody gives them; imports nothing, so that `--help` can show the values at once."""

from typing import Final

COUNT: Final = 12
"""Entries per product."""
SEED: Final = 0
TEMPERATURE: Final = 0.0
CONCURRENCY: Final = 4
"""Products at once."""
TIMEOUT: Final = 120.0
"""Seconds for one try."""
ROUNDS: Final = 5
"""Of `improve`."""
