"""What a check found: whether it is good, in words, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"  # Vitrine works, but less well or less safely than it could; or it could not be looked at
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """`name` is the check's, or `check:part` where there are several of a kind; `mend` is empty when all is well."""

    name: str
    verdict: Verdict
    found: str
    mend: str = ""


def ok(name: str, found: str) -> Finding:
    return Finding(name, Verdict.OK, found)


def warn(name: str, found: str, mend: str) -> Finding:
    return Finding(name, Verdict.WARN, found, mend)


def fail(name: str, found: str, mend: str) -> Finding:
    return Finding(name, Verdict.FAIL, found, mend)
