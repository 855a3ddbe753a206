"""The structure factor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import _backend, _validate, errors
from ...results import Bonds, StructureFactor
from .. import _checks
from ._sites import ROOM, UNIT, Array, array, domain

OPERATION = f"{ROOM}.structure_factor"
CHUNK = 1 << 20  # complex numbers of a temporary array
REACH = 3.0  # times 2 pi over the mean spacing


def structure_factor(sites: Any, k: Any = None, *, measure: Any = None, k_max: float | None = None) -> StructureFactor:
    r"""Structure factor of sites: what they would scatter.

    .. math::
        S(k) = \frac{1}{n} \Bigl| \sum_j e^{i k \cdot y_j} \Bigr|^2

    Parameters
    ----------
    sites : array (n, d) or (n,), QuantizationResult or Bonds
        NumPy, PyTorch, JAX or CuPy.
    k : array (m, d) or (m,), optional
        Wave vectors. By default those of the torus of the box, :math:`k_a = 2 \pi \nu_a / L_a` with whole numbers
        :math:`\nu_a`, as far as `k_max`.
    measure : UniformBox, Grid or another measure with `lower` and `upper`, optional
        Its box; the unit square or cube by default. Not used for given k; Bonds have theirs.
    k_max : float, optional
        Largest length of the wave vectors; by default :math:`6 \pi (n / V)^{1/d}`. They are about
        :math:`V (k_{max} / 2 \pi)^d` times the volume of the unit ball.

    Returns
    -------
    StructureFactor
        `k`, `value`, `index` and ``radial(bins)``.

    Raises
    ------
    InvalidValue
        Shapes that do not fit, NaN or infinite entries.
    OutOfMemory
        The wave vectors would not fit.

    Notes
    -----
    On the lattice of the torus the sums over sites are products of matrices of the exponentials along the axes, about
    4 flops for each site and wave vector of the box around the ball; temporary arrays are of 16 MiB. Where the sites
    are not on a torus, the border scatters, too: along the axes, most at small k.

    Examples
    --------
    A crystal has Bragg's peaks, of the height n:

    >>> import numpy as np
    >>> from deblai.quantization import crystal
    >>> sites, torus = crystal.lattice("A2").torus((4, 2))
    >>> s = crystal.structure_factor(sites, measure=torus, k_max=7.5)
    >>> s
    StructureFactor(n=16, wave vectors=65, peak=16 at |k|=7.2552)
    >>> bool(np.isclose(7.2552, 4 * np.pi / 3**0.5)), int((s.value > 1e-9).sum())
    (True, 7)
    """
    if isinstance(sites, Bonds):
        if measure is not None:
            raise errors.InvalidValue(f"[{OPERATION}] measure: expected none beside bonds, which have theirs")
        measure, sites = sites.measure, sites.sites
    library, given, points = array(OPERATION, sites)
    n, d = points.shape
    if k is not None:
        if k_max is not None:
            raise errors.InvalidValue(f"[{OPERATION}] k_max: expected none beside k")
        _, _, waves = array(OPERATION, k, "k")
        if waves.shape[1] != d:
            raise errors.InvalidValue(f"[{OPERATION}] k: expected {d} columns to match sites, got {waves.shape[1]}")
        value = _at(points - points.mean(0), waves)
        return StructureFactor(library.export(waves, given), library.export(value, given), None, n)
    if measure is not None and not isinstance(measure, _checks.BOXES + _checks.FORMS):
        raise errors.InvalidType(
            f"[{OPERATION}] measure: expected a density of deblai.measures, got {type(measure).__name__}"
        )
    box = UNIT.get(d) if measure is None else domain(measure)
    if box is None or box.dim != d:
        raise errors.InvalidValue(
            f"[{OPERATION}] measure: expected one of {d} dimensions to match sites, got {measure}"
        )
    sides = np.subtract(box.upper, box.lower)
    reach = REACH * 2 * math.pi * (n / float(np.prod(sides))) ** (1 / d) if k_max is None else k_max
    reach = _validate.real(OPERATION, "k_max", reach)
    if reach < 0:
        raise errors.InvalidValue(f"[{OPERATION}] k_max: expected at least 0, got {k_max!r}")
    most = [int(reach * side / (2 * math.pi) * (1 + 1e-12)) for side in sides]
    _backend.require_memory(OPERATION, 8 * (4 + 2 * d) * math.prod(2 * m + 1 for m in most))
    value = _on_the_torus(2 * np.pi * (points - box.lower) / sides, most)
    axes = [np.arange(-m if a else 0, m + 1) for a, m in enumerate(most)]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, d)
    value = value.reshape(-1)
    mirrored = index[:, 0] > 0
    index, value = np.concatenate([index, -index[mirrored]]), np.concatenate([value, value[mirrored]])
    waves = 2 * np.pi * index / sides
    length = np.sqrt((waves**2).sum(1))
    order = np.argsort(length, kind="stable")
    order = order[length[order] <= reach * (1 + 1e-12)]
    return StructureFactor(
        library.export(waves[order], given),
        library.export(value[order], given),
        library.device_array(index[order].astype(np.int64), given),
        n,
    )


def _at(points: Array, waves: Array) -> Array:
    """Return S at wave vectors."""
    value = np.empty(len(waves))
    step = max(1, CHUNK // len(points))
    for begin in range(0, len(waves), step):
        phase = waves[begin : begin + step] @ points.T
        value[begin : begin + step] = np.cos(phase).sum(1) ** 2 + np.sin(phase).sum(1) ** 2
    return value / len(points)


def _on_the_torus(angle: Array, most: list[int]) -> Array:
    """Return S at whole numbers, from 0 along the first axis, from minus the most along the others."""
    n, d = angle.shape
    axes = [np.arange(-m if a else 0, m + 1) for a, m in enumerate(most)]
    if d == 1:
        axes = [*axes, np.zeros(1, int)]
        angle = np.concatenate([angle, np.zeros((n, 1))], 1)
    left = math.prod(map(len, axes[:-1]))
    total = np.zeros((left, len(axes[-1])), complex)
    step = max(1, CHUNK // max(left, len(axes[-1])))
    for begin in range(0, n, step):
        some = angle[begin : begin + step]
        waves = [np.exp(1j * some[:, a, None] * axis) for a, axis in enumerate(axes)]
        rows = waves[0]
        for other in waves[1:-1]:
            rows = (rows[:, :, None] * other[:, None, :]).reshape(len(some), -1)
        total += rows.T @ waves[-1]
    return np.asarray((total.real**2 + total.imag**2) / n)
