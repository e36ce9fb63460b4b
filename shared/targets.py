"""What a picture is of: a target, a view state, a size. Pure values, shared by keys, catalogs and messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shared.errors import InvalidInput

MAX_DIMENSION_PX = 16_384  # Chromium draws nothing taller or wider in one surface
MAX_DATA_MASK_BYTES = 64 * 1024


class TargetKind(StrEnum):
    CHART = "chart"
    DASHBOARD = "dashboard"


class Format(StrEnum):
    """A picture's file format; the value is its file extension."""

    PNG = "png"
    WEBP = "webp"
    PDF = "pdf"

    @property
    def content_type(self) -> str:
        return "application/pdf" if self is Format.PDF else f"image/{self.value}"


@dataclass(frozen=True, slots=True)
class Target:
    """One chart or dashboard of a catalog; `id` is the catalog's own."""

    catalog: str
    kind: TargetKind
    id: str

    def __str__(self) -> str:
        return f"{self.catalog}/{self.kind}/{self.id}"


@dataclass(frozen=True, slots=True)
class Size:
    """CSS pixels. Raises InvalidInput outside 1 … 16,384."""

    width: int
    height: int

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            if not 1 <= getattr(self, name) <= MAX_DIMENSION_PX:
                raise InvalidInput(
                    f"{name} must be 1 to {MAX_DIMENSION_PX} pixels, not {getattr(self, name)}.", field=name
                )

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def canonical_json(value: Any) -> str:
    """One text for equal JSON values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, slots=True)
class ViewState:
    """What of a dashboard's state the picture shows; the empty one is the dashboard as it opens.

    `data_mask` is canonical JSON of Superset's dataMask, or "" (shape: shared `superset` notes in docs/reference).
    """

    data_mask: str = ""
    active_tabs: tuple[str, ...] = ()
    anchor: str = ""
    url_params: tuple[tuple[str, str], ...] = field(default=())

    @staticmethod
    def of(
        data_mask: dict[str, Any] | None = None,
        active_tabs: list[str] | None = None,
        anchor: str | None = None,
        url_params: list[list[str]] | None = None,
    ) -> ViewState:
        """From a request's JSON. Raises InvalidInput when the mask is too large."""
        mask = canonical_json(data_mask) if data_mask else ""
        if len(mask.encode()) > MAX_DATA_MASK_BYTES:
            raise InvalidInput(
                f"dataMask is larger than {MAX_DATA_MASK_BYTES} bytes; save it as a permalink.", field="dataMask"
            )
        params = tuple(sorted((name, value) for name, value in url_params or []))
        return ViewState(mask, tuple(sorted(set(active_tabs or []))), anchor or "", params)

    @property
    def is_empty(self) -> bool:
        return self == ViewState()

    @property
    def mask(self) -> dict[str, Any]:
        """The dataMask as an object."""
        found: dict[str, Any] = json.loads(self.data_mask) if self.data_mask else {}
        return found

    @staticmethod
    def from_json(kept: Mapping[str, Any]) -> ViewState:
        """What `as_json` gave; {} is the empty one."""
        parts = (kept.get(name) for name in ("dataMask", "activeTabs", "anchor", "urlParams"))
        return ViewState.of(*parts)

    def as_json(self) -> dict[str, Any]:
        """The shape of a page's `#state=` fragment and of a permalink."""
        return {
            "dataMask": self.mask,
            "activeTabs": list(self.active_tabs),
            "anchor": self.anchor,
            "urlParams": [list(pair) for pair in self.url_params],
        }
