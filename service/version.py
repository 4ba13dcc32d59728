"""Which version this is: the same as that of what workers install."""

from operator_status.version import __version__

__all__ = ["__version__"]
