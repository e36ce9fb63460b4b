"""The accounts that servers run as: some refuse to be root."""

import os
import pwd
from typing import Any


def unprivileged_user(*preferred: str) -> str | None:
    """The account for a server that refuses to run as root: the first known of `preferred`, or `nobody`.

    None when we are not root: then it runs as we do.
    """

    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in preferred if name in known), "nobody")


def run_as(user: str | None) -> dict[str, Any]:
    """What `subprocess` takes to run a command as another user."""
    if user is None:
        return {}
    account = pwd.getpwnam(user)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
