"""Samples to the nearest of given sites."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _validate, errors
from ..._array import TORCH, gather
from ...results import Assignment
from .samples import SampleSource

OPERATION = "quantization.assign"


def assign(x: Any, sites: Any, weights: Any = None) -> Assignment:
    r"""Find the nearest site of every sample: the cells of Voronoi, seen by samples.

    .. math:: \ell_i = \operatorname{argmin}_j |x_i - y_j|, \quad E = \sum_i w_i |x_i - y_{\ell_i}|^2

    Parameters
    ----------
    x : array (n, d) or (n,)
        Samples: NumPy, PyTorch, JAX or CuPy, float32 or float64, any strides, read without a copy.
    sites : array (k, d) or (k,)
        Of the same library, dtype and device.
    weights : array (n,), optional
        Nonnegative weights, of any positive sum: they are divided by it. Equal weights by default.

    Returns
    -------
    Assignment
        `labels`, `squared_distance`, `weights`, `centroid`, `energy`. Not differentiable.

    Raises
    ------
    InvalidValue
        Empty or mismatched shapes, NaN or infinite entries, negative weights, zero mass.
    InvalidType
        Mixed libraries, devices or dtypes; anything but float32 and float64.

    Notes
    -----
    Labels are those of direct differences in float64, the lowest index of equals; nothing of size n times k is stored.
    Few coordinates (d <= 3) go through a grid, others through blocked products, see `lloyd`.

    Examples
    --------
    >>> import numpy as np, deblai
    >>> r = deblai.quantization.assign(np.array([0.0, 0.4, 1.0, 5.0]), np.array([0.0, 2.0]))
    >>> r.labels.tolist(), r.squared_distance.round(2).tolist(), r.weights.tolist()
    ([0, 0, 0, 1], [0.0, 0.16, 1.0, 9.0], [0.75, 0.25])
    """
    library, (x, sites, weights) = gather(OPERATION, {"x": x, "sites": sites, "weights": weights})
    points = _validate.points(OPERATION, "x", x)
    targets = _validate.points(OPERATION, "sites", sites, points)
    weights = _validate.weights(OPERATION, "weights", weights, points, "x")
    if library is TORCH:
        points, targets = points.detach(), targets.detach()
    shape = tuple(x.shape[1:])
    given = np.ascontiguousarray(library.numpy(targets))
    try:
        source = SampleSource(library, points, weights, len(given), labels=False)
        found = source.nearest(given)
    except errors.DeblaiError as error:
        raise type(error)(str(error).replace("[quantization.lloyd]", f"[{OPERATION}]")) from None
    step = found.step
    return Assignment(
        source.exported(found.labels),
        source.exported(found.costs),
        library.export(step.mass, points),
        library.export(step.centroid.reshape(len(given), *shape), points),
        library.scalars([step.energy], points)[0],
        source.plan.label,
    )
