"""freezelint: proves whether what you meant to freeze is frozen, and what you meant to train is trained."""

__version__ = "0.1.0"
