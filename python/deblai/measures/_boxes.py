"""Measures on boxes: uniform, or constant on pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _validate, errors
from .._array import NUMPY, TRACED, gather, library_of

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True)
class UniformBox:
    """The uniform probability on a box.

    Parameters
    ----------
    lower, upper : sequence of float
        Opposite corners, lower < upper in every coordinate.

    Attributes
    ----------
    dim : int
        The dimension.
    volume : float
        The volume of the box.

    Raises
    ------
    InvalidValue
        Corners of different lengths, infinite or NaN entries, a box without volume.
    InvalidType
        Corners that are not sequences of numbers.

    Examples
    --------
    >>> from deblai.measures import UniformBox
    >>> UniformBox((0, 0), (2, 1)).volume
    2.0
    """

    lower: Sequence[float]
    upper: Sequence[float]

    def __post_init__(self) -> None:
        _set_box(self, "measures.UniformBox", self.lower, self.upper)

    @property
    def dim(self) -> int:
        """The dimension."""
        return len(self.lower)

    @property
    def volume(self) -> float:
        """The volume of the box."""
        return float(np.prod(np.subtract(self.upper, self.lower)))


@dataclass(frozen=True, eq=False, repr=False)
class Grid:
    """A density that is constant on each cell (pixel) of a regular grid.

    Parameters
    ----------
    values : array (m_1, ..., m_d)
        Nonnegative, with a positive sum. Axis k is coordinate k: in the plane, ``values[i, j]`` is the pixel
        i-th from the left and j-th from below. NumPy, PyTorch, JAX or CuPy.
    lower, upper : sequence of float
        Opposite corners of the box that the grid fills.

    Attributes
    ----------
    dim : int
        The dimension.
    volume : float
        The volume of the box.

    Raises
    ------
    InvalidValue
        Negative, NaN or infinite values, zero mass, corners that do not fit.
    InvalidType
        Anything but float32, float64, integer NumPy arrays and lists.

    Examples
    --------
    >>> import numpy as np
    >>> from deblai.measures import Grid
    >>> Grid(np.array([[1.0, 2.0], [3.0, 4.0]]), (0, 0), (1, 1))
    Grid(shape=(2, 2), lower=(0.0, 0.0), upper=(1.0, 1.0))
    """

    values: Any
    lower: Sequence[float]
    upper: Sequence[float]

    def __post_init__(self) -> None:
        operation = "measures.Grid"
        library, (values,) = gather(operation, {"values": self.values}, traces=True)
        if values is None:
            raise errors.InvalidType(f"[{operation}] values: expected an array, got None")
        if values.ndim == 0 or 0 in values.shape:
            raise errors.InvalidValue(
                f"[{operation}] values: expected at least one pixel, got shape {tuple(values.shape)}"
            )
        if library is not TRACED:  # those are looked at when the program runs
            _require_mass(operation, values)
        object.__setattr__(self, "values", values)
        _set_box(self, operation, self.lower, self.upper)
        if values.ndim != len(self.lower):
            raise errors.InvalidValue(
                f"[{operation}] lower: expected {values.ndim} coordinates to match values, got {len(self.lower)}"
            )

    def __repr__(self) -> str:
        return f"Grid(shape={tuple(self.values.shape)}, lower={self.lower}, upper={self.upper})"

    @property
    def dim(self) -> int:
        """The dimension."""
        return len(self.lower)

    @property
    def volume(self) -> float:
        """The volume of the box."""
        return float(np.prod(np.subtract(self.upper, self.lower)))

    @classmethod
    def from_image(
        cls,
        image: Any,
        lower: Sequence[float] | None = None,
        upper: Sequence[float] | None = None,
        invert: bool = False,
    ) -> Grid:
        """Turn an image into a density: x is the column, y points upward, bright pixels are heavy.

        Parameters
        ----------
        image : array (h, w), (h, w, 3) or (h, w, 4)
            Rows from the top; grey, RGB or RGBA; uint8, or float in [0, 1]. Colours become their luma (ITU-R BT.601);
            transparency lets a white background through.
        lower, upper : sequence of float, optional
            The box; by default [0, w / max(w, h)] x [0, h / max(w, h)], which keeps the aspect.
        invert : bool, default False
            Take 1 - image: dark pixels are heavy, as ink is.

        Returns
        -------
        Grid
            Values in the library of the image; float64 for uint8.

        Raises
        ------
        InvalidValue
            A shape that is no image, values outside of [0, 1], an image without mass.
        InvalidType
            Anything but uint8, float32 and float64.

        Examples
        --------
        >>> import numpy as np
        >>> from deblai.measures import Grid
        >>> image = np.array([[0, 255, 0], [0, 0, 51]], dtype=np.uint8)  # the bright pixel is top, middle
        >>> grid = Grid.from_image(image)
        >>> grid.values.tolist()
        [[0.0, 0.0], [0.0, 1.0], [0.2, 0.0]]
        >>> grid.upper
        (1.0, 0.6666666666666666)
        """
        operation = "measures.Grid.from_image"
        library = library_of(image) or NUMPY
        try:
            pixels = library.numpy(image) if library_of(image) else np.asarray(image)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise errors.InvalidType(
                f"[{operation}] image: expected an array of pixels, got {type(image).__name__}"
            ) from error
        if pixels.dtype not in (np.uint8, np.float32, np.float64):
            raise errors.InvalidType(f"[{operation}] image: expected uint8, float32 or float64, got {pixels.dtype}")
        if pixels.ndim not in (2, 3) or 0 in pixels.shape or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4)):
            raise errors.InvalidValue(
                f"[{operation}] image: expected shape (h, w), (h, w, 3) or (h, w, 4), got {tuple(pixels.shape)}"
            )
        if pixels.dtype == np.uint8:
            pixels = pixels / 255.0
        elif not ((pixels >= 0) & (pixels <= 1)).all():
            raise errors.InvalidValue(
                f"[{operation}] image: expected floats in [0, 1], got {pixels.min():g} to {pixels.max():g}"
            )
        if pixels.ndim == 3:
            alpha = pixels[..., 3] if pixels.shape[2] == 4 else None
            pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels[..., :3] @ np.array(LUMA, pixels.dtype)
            if alpha is not None:
                pixels = pixels * alpha + (1 - alpha)
        if invert:
            pixels = 1 - pixels
        values: Any = np.ascontiguousarray(pixels[::-1].T)
        if library is not NUMPY:
            values = library.device_array(values, image)
        h, w = pixels.shape
        return cls(
            values,
            (0.0, 0.0) if lower is None else lower,
            (w / max(w, h), h / max(w, h)) if upper is None else upper,
        )


def _require_mass(operation: str, values: Any) -> None:
    if not bool((values >= 0).all()):
        raise errors.InvalidValue(f"[{operation}] values: expected finite nonnegative values, got nan or negative")
    largest = float(values.max().item())
    if not 0 < largest < np.inf:
        raise errors.InvalidValue(
            f"[{operation}] values: expected a positive finite total mass, got {'inf' if largest else '0'}"
        )


def _corner(operation: str, name: str, values: Any) -> tuple[float, ...]:
    try:
        entries = list(values)
    except TypeError as error:
        raise errors.InvalidType(f"[{operation}] {name}: expected a sequence of numbers, got {values!r}") from error
    if not entries or isinstance(values, str):
        raise errors.InvalidValue(f"[{operation}] {name}: expected a sequence of numbers, got {values!r}")
    return tuple(_validate.real(operation, f"{name}[{k}]", v) for k, v in enumerate(entries))


def _set_box(measure: Any, operation: str, lower: Any, upper: Any) -> None:
    low, high = _corner(operation, "lower", lower), _corner(operation, "upper", upper)
    if len(low) != len(high):
        raise errors.InvalidValue(
            f"[{operation}] upper: expected {len(low)} coordinates to match lower, got {len(high)}"
        )
    for k, (a, b) in enumerate(zip(low, high, strict=True)):
        if not 0 < b - a < np.inf:
            raise errors.InvalidValue(f"[{operation}] upper[{k}]: expected more than lower[{k}] = {a!r}, got {b!r}")
    object.__setattr__(measure, "lower", low)
    object.__setattr__(measure, "upper", high)
