"""Who may use a route at all; what they may see there, the catalog decides. A route without a policy is closed."""

from __future__ import annotations

from enum import Enum, auto

from shared.identity import Scope


class Policy(Enum):
    ANYONE = auto()  # no log-in needed: the log-in itself, health, static files, the API document
    PAGES = auto()  # a person, or the renderer reading pages as an executor (GET only)
    PEOPLE = auto()  # a person or a program that logged in
    NEAR = auto()  # this machine and the networks of the settings, not through a proxy
    EVENTS = auto()  # these three: an admin, or a program whose token has the scope
    WARM_UP = auto()
    SCHEDULES = auto()
    OPS = auto()  # the same; to others it looks as if it did not exist

    @property
    def scope(self) -> Scope | None:
        """The scope that opens the route to programs; None when no service token does."""
        return Scope[self.name] if self.name in Scope.__members__ else None
