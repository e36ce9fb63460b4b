"""A web site whose pages behave badly on purpose, for tests with a real browser. It imports nothing of the product."""

from tests.sites.site import Site
from tests.sites.trap import Trap

__all__ = ["Site", "Trap"]
