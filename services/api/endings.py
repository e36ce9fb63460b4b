"""What ends before the gateway's connections do: the application leaves it where gunicorn's worker looks."""

from typing import Final

ENDINGS: Final = "vitrine.endings"  # key in the lifespan's state; a list of functions without arguments
