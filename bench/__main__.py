"""`python -m bench [NAME…] [--quick] [--write]`: run benchmarks, one after the other, and print what they measured."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys

import structlog

from bench.report import keep, machine

NAMES = ("pictures", "thumbnails", "queue", "memory", "warm", "queries", "results", "superset", "half_drawn")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(NAMES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="one short round: shows that it works, measures nothing")
    parser.add_argument("--write", action="store_true", help="also put the figures into docs/benchmarks.md")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.names if name not in NAMES]
    if unknown:
        parser.error(f"{unknown[0]!r} is none of {', '.join(NAMES)}")
    if chosen.quick and chosen.write:
        parser.error("--quick measures nothing worth keeping: leave out --write")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print(f"Machine: {machine()}. Load now: {os.getloadavg()[0]:.1f}\n", flush=True)
    for name in chosen.names or NAMES:
        report = importlib.import_module(f"bench.{name}").run(quick=chosen.quick)
        markdown = report.markdown()
        print(f"## {report.title}\n\n{markdown}", flush=True)
        if chosen.write:
            keep(name, markdown)
    if chosen.write:
        keep("machine", f"{machine()}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
