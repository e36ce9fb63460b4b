"""What the harness raises."""


class HarnessError(Exception):
    """A server of the harness is missing, did not start or did not stop; the message says which and why."""
