"""Exceptions and warnings of deblai.

Messages read ``[operation] argument: expected ..., got ...``.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BackendError",
    "ConvergenceWarning",
    "CudaError",
    "DeblaiError",
    "Interrupted",
    "InvalidType",
    "InvalidValue",
    "MissingExtra",
    "OutOfMemory",
]


class DeblaiError(Exception):
    """Base class of every error that deblai raises."""


class InvalidValue(DeblaiError, ValueError):
    """An argument has a value that the operation cannot take."""


class InvalidType(DeblaiError, TypeError):
    """An argument is of the wrong kind: library, dtype, rank or device."""


class BackendError(DeblaiError, RuntimeError):
    """The backend or instruction set asked for is not there."""


class CudaError(BackendError):
    """The CUDA runtime reported an error."""


class OutOfMemory(DeblaiError, MemoryError):
    """A run would not fit in memory."""


class MissingExtra(DeblaiError, ImportError):
    """An optional package is needed; the message says which extra installs it."""


class ConvergenceWarning(UserWarning):
    """An iteration stopped before it met its tolerance; the result says ``converged=False``."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a long call.

    Attributes
    ----------
    result
        The best result so far, of the type that the call would have returned; None if there is none yet.
    """

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result
