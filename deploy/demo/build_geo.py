"""Cut the TopoJSON maps of the chart page out of the vega-datasets npm package.

    npm pack vega-datasets@3.2.1 && tar xzf vega-datasets-3.2.1.tgz
    python deploy/demo/build_geo.py package services/api/pages/static/geo

The topology (which borders are shared) is kept; coordinates are rounded to what a screen can show.
"""

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

Point = list[int]

GRID = 0.014
"""Degrees. Corners of the map of US counties snap to this grid: a quarter of a pixel on a full screenshot."""


def main(package: Path, target: Path) -> None:
    """Write the world's countries, the US with its counties, and the US states alone."""
    world = _read(package / "data/world-110m.json")
    del world["objects"]["land"]
    for country in world["objects"]["countries"]["geometries"]:
        country.pop("properties", None)
    _write(world, target / "world-110m.json")

    states = _read(package / "data/us-10m.json")
    del states["objects"]["land"]
    for layer in states["objects"].values():
        layer["geometries"] = [geometry for geometry in layer["geometries"] if geometry.get("arcs")]
    snap(states, GRID)
    _write(states, target / "us-10m.json")

    del states["objects"]["counties"]
    keep_used_arcs(states)
    _write(states, target / "us-states-10m.json")


def snap(topology: dict[str, Any], grid: float) -> None:
    """Round every corner to the grid, so that the steps between corners are short numbers."""
    scale_x, scale_y = topology["transform"]["scale"]
    arcs = (_to_points(arc) for arc in topology["arcs"])
    snapped = ([[round(x * scale_x / grid), round(y * scale_y / grid)] for x, y in arc] for arc in arcs)
    topology["arcs"] = [_to_deltas(_without_repeats(arc)) for arc in snapped]
    topology["transform"]["scale"] = [grid, grid]


def keep_used_arcs(topology: dict[str, Any]) -> None:
    """Drop the arcs that no object refers to, and number the others anew."""
    new_numbers: dict[int, int] = {}

    def renumber(arcs: Any) -> Any:
        if isinstance(arcs, list):
            return [renumber(arc) for arc in arcs]
        # A negative number, ~n, means arc n walked backwards.
        number = new_numbers.setdefault(arcs if arcs >= 0 else ~arcs, len(new_numbers))
        return number if arcs >= 0 else ~number

    for layer in topology["objects"].values():
        for geometry in layer["geometries"]:
            geometry["arcs"] = renumber(geometry["arcs"])
    topology["arcs"] = [topology["arcs"][old] for old in new_numbers]


def _without_repeats(points: list[Point]) -> list[Point]:
    # A ring needs four corners and a line two, even where the grid made some of them equal.
    at_least = 4 if points[0] == points[-1] else 2
    distinct = [point for i, point in enumerate(points) if i == 0 or point != points[i - 1]]
    return distinct if len(distinct) >= at_least else points


def _to_points(arc: list[Point]) -> list[Point]:
    x = y = 0
    points = []
    for dx, dy in arc:
        x, y = x + dx, y + dy
        points.append([x, y])
    return points


def _to_deltas(points: list[Point]) -> list[Point]:
    return [points[0], *([b[0] - a[0], b[1] - a[1]] for a, b in pairwise(points))]


def _read(path: Path) -> dict[str, Any]:
    topology: dict[str, Any] = json.loads(path.read_text())
    return topology


def _write(topology: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(topology, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
