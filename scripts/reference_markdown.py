"""What the generators of reference pages share."""

from __future__ import annotations


def row(*cells: object) -> str:
    """Of a table; an empty cell is a dash."""
    words = (" ".join(str(cell or "–").split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(words)} |"
