"""Which version this is: also what is built and installed is called by it."""

__version__ = "0.1.0"
