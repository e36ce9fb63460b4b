"""SQLite's one lock: whoever is stopped with SIGSTOP inside a transaction that writes holds it, as anybody would."""

import sqlite3
from pathlib import Path

PATIENCE_S = 1.5


def is_free(file: str | Path) -> bool:
    """Whether somebody else could write to it now."""
    connection = sqlite3.connect(file, timeout=PATIENCE_S, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True
