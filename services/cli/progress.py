"""Progress of many renders or warmings: a live bar on a terminal, one line for each result otherwise."""

from __future__ import annotations

import time
from collections import Counter
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from services.cli.inline import Result

MARKS = {
    "rendered": "[green]✓[/]",
    "warmed": "[green]✓[/]",
    "fresh": "[dim]=[/]",
    "already_warm": "[dim]=[/]",
    "running": "[yellow]…[/]",
    "skipped": "[yellow]–[/]",
    "failed": "[red]✗[/]",
}


class Progress:
    """Use as a context manager; `show` each result, then `summarise`."""

    def __init__(self, total: int, doing: str = "Rendering") -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._line = self._bar.add_task(doing, total=total)
        self._counts: Counter[str] = Counter()
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, result: Result) -> None:
        self._counts[result.word] += 1
        seconds = f" [dim]{result.seconds:.2f} s[/]" if result.seconds else ""
        detail = f": {result.detail}" if result.detail else ""
        self._console.print(f"{MARKS[result.word]} {result.word} ", end="")
        self._console.print(f"{result.name}{detail}", markup=False, end="")
        self._console.print(seconds)
        self._bar.advance(self._line)

    def summarise(self) -> None:
        words = ", ".join(f"{count} {word}" for word, count in sorted(self._counts.items()))
        self._console.print(f"{words} in {time.monotonic() - self._began:.1f} s")
