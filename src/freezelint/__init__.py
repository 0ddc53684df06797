"""freezelint: proves whether what you meant to freeze is frozen, and what you meant to train is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from freezelint.live.watch import Unexpected, Watch, WatchReport, watch

__version__ = "0.1.0"

__all__ = ["Unexpected", "Watch", "WatchReport", "__version__", "watch"]


def __getattr__(name: str) -> Any:
    """What needs torch is imported when it is first asked for."""
    if name in __all__:
        from freezelint.live import watch as watching

        return getattr(watching, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
