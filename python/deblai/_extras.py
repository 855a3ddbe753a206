"""Optional packages, imported on demand."""

from __future__ import annotations

import importlib
from typing import Any

from . import errors


def require(module: str, operation: str, extra: str) -> Any:
    """Import an optional module, or say which extra installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise errors.MissingExtra(
            f"[{operation}] needs {module.partition('.')[0]}, which is not installed: pip install 'deblai[{extra}]'"
        ) from error
