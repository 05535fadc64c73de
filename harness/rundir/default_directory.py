"""Where a run goes for which nobody named a directory."""

from datetime import datetime
from pathlib import Path
from secrets import token_hex


def default_directory(kind: str) -> Path:
    """runs/KIND-TIME-ID: two runs that start in the same second do not meet."""
    return Path("runs") / f"{kind}-{datetime.now():%Y%m%d-%H%M%S}-{token_hex(2)}"
