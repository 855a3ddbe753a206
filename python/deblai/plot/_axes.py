"""What all pictures share: colours, new axes, NumPy arrays of any library."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import errors
from .._array import NUMPY, library_of
from .._extras import require

INK, BLUE, RED = "#22252b", "#2b6cb0", "#c05621"


def new_axes(ax: Any, operation: str, **figure: Any) -> Any:
    """Return the given axes, or those of a new figure."""
    if ax is not None:
        return ax
    pyplot = require("matplotlib.pyplot", operation, "plot")
    return pyplot.subplots(layout="constrained", **figure)[1]


def clean(ax: Any) -> None:
    """Leave out what says nothing."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(colors=INK, labelsize=9)


def frame(ax: Any, lower: Any, upper: Any) -> None:
    """Show a box of the plane, undistorted, without axes."""
    ax.set_xlim(lower[0], upper[0])
    ax.set_ylim(lower[1], upper[1])
    ax.set_aspect("equal")
    ax.axis("off")


def numpy(x: Any) -> np.ndarray[Any, Any]:
    """Return the values of an array of any library."""
    return (library_of(x) or NUMPY).numpy(x)


def plane(operation: str, name: str, x: Any) -> np.ndarray[Any, Any]:
    """Return points of the plane as a NumPy array (n, 2)."""
    points = np.asarray(numpy(x), np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise errors.InvalidValue(f"[{operation}] {name}: expected shape (n, 2), got {points.shape}")
    return points
