"""The end of every command's --help: what to type, and what comes of it."""

from __future__ import annotations

AS_IT_IS = "\b\n"  # click would wrap it as if it were prose


def examples(*pairs: tuple[str, str]) -> str:
    """An epilog of (command line, what comes of it), both short enough for a terminal of 80 columns."""
    return f"{AS_IT_IS}Examples:\n" + "\n".join(f"  $ {line}\n      {what}" for line, what in pairs)
